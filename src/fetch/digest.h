// Checksums of files, by the names that publishers give them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace vitrail {

enum class DigestKind { md5, sha1, sha256 };

class Digest {
 public:
  explicit Digest(DigestKind kind);
  ~Digest();
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text);
  std::string hex();  // lower case; ends the digest

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Error: the file cannot be read.
std::string file_digest(const std::filesystem::path& path, DigestKind kind);
// The name git gives a file's content: the SHA-1 of "blob SIZE\0" and the content.
std::string git_blob_digest(const std::filesystem::path& path);

}  // namespace vitrail
