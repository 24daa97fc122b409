// A file from the network that is what it should be, or is not there. The part that came lies
// beside it as NAME.incomplete, and the next attempt continues there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "fetch/http.h"

namespace vitrail {

// What is known of a file beforehand; hashes in lower-case hex, empty where unknown.
struct ExpectedFile {
  std::optional<uint64_t> bytes;
  std::string sha256, git_sha1, md5;
};

// Bytes so far, and in all (0: unknown).
using DownloadProgress = std::function<void(uint64_t done, uint64_t total)>;

struct Download {
  HttpRequest request;
  std::filesystem::path target;
  ExpectedFile expected;
  std::string name;  // in messages
  DownloadProgress progress = {};
  // Whether a refusal (4xx, 5xx) has a message of its own; otherwise one is made of the status.
  std::function<void(const HttpAnswer&)> refuse = {};
};

// Tries again when the connection breaks, as long as bytes come. Error: the server refuses, sends
// another length or another content (nothing is left then), does not answer, or the disk is full.
void download(const Download& file);

// For a lock that somebody else holds.
void say_that_another_fetches();

// Error: the file differs from what is expected. `name` in messages.
void verify_file(const std::filesystem::path& path, const ExpectedFile& expected,
                 const std::string& name);

}  // namespace vitrail
