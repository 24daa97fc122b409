// HTTP by libcurl: one request at a time, with the environment's proxy, time limits, and errors
// that name the host and the reason. Redirects never go from https to http, and a header of ours
// (Authorization) never reaches another host than the one it was meant for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"

namespace vitrail {

// The transfer itself failed. What is transient may succeed when it is tried again.
struct HttpFailure : Error {
  HttpFailure(const std::string& message, bool may_pass)
      : Error("http", message), transient(may_pass) {}
  bool transient;
};

struct HttpTimeouts {
  long connect_seconds = 10;
  long stall_seconds = 10;  // without a byte
  long total_seconds = 0;   // 0: as long as bytes come
};

struct HttpRequest {
  std::string url;
  std::vector<std::string> headers;  // "Name: value"
  HttpTimeouts timeouts;
  bool head = false;
  bool follow = true;  // redirects
};

struct HttpAnswer {
  long status = 0;
  std::map<std::string, std::string> headers;  // of the last answer; names in lower case
  std::string body;                            // without a sink, and of a refusal
  // Empty: there is no such header.
  std::string header(const std::string& name) const;
};

// Receives the bytes of a successful answer (2xx), after its status and headers are known.
using HttpSink = std::function<void(const HttpAnswer&, std::span<const std::byte>)>;

inline constexpr size_t kMaxHttpBody = size_t{16} << 20;  // without a sink

// Any status is an answer. Error: HttpFailure, or what the sink throws.
HttpAnswer http(const HttpRequest& request, const HttpSink& sink = {});

// "example.org:8080", for messages.
std::string host_of(const std::string& url);
// Percent-encoded for a path: everything but letters, digits, "-._~" and the characters of `keep`.
std::string url_quoted(const std::string& text, const std::string& keep = "");
// "a server error (503)": a status in words.
std::string status_text(long status);

}  // namespace vitrail
