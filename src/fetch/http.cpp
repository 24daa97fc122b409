#include "fetch/http.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <exception>
#include <memory>

#include "core/lazy_library.h"
#include "core/printable.h"

namespace vitrail {
namespace {

constexpr long kMaxRedirects = 10;
constexpr size_t kMaxRefusal = size_t{64} << 10;
constexpr size_t kMaxHeaders = 200;

struct Curl {
  decltype(curl_global_init)* global_init;
  decltype(curl_easy_init)* easy_init;
  decltype(curl_easy_cleanup)* easy_cleanup;
  decltype(curl_easy_setopt)* easy_setopt;
  decltype(curl_easy_getinfo)* easy_getinfo;
  decltype(curl_easy_perform)* easy_perform;
  decltype(curl_easy_strerror)* easy_strerror;
  decltype(curl_slist_append)* slist_append;
  decltype(curl_slist_free_all)* slist_free_all;

  Curl() {
    const LazyLibrary library(VITRAIL_CURL, "fetch", "fetching needs it");
    library.find(global_init, "curl_global_init");
    library.find(easy_init, "curl_easy_init");
    library.find(easy_cleanup, "curl_easy_cleanup");
    library.find(easy_setopt, "curl_easy_setopt");
    library.find(easy_getinfo, "curl_easy_getinfo");
    library.find(easy_perform, "curl_easy_perform");
    library.find(easy_strerror, "curl_easy_strerror");
    library.find(slist_append, "curl_slist_append");
    library.find(slist_free_all, "curl_slist_free_all");
    global_init(CURL_GLOBAL_DEFAULT);
  }
};

const Curl& curl_library() {
  static const Curl curl;
  return curl;
}

struct Transfer {
  CURL* curl = nullptr;
  HttpAnswer answer;
  const HttpSink* sink = nullptr;
  std::exception_ptr error;
};

// Exceptions must not cross libcurl's C frames: they wait in the transfer.
template <typename Work>
size_t guarded(Transfer& transfer, size_t bytes, Work work) {
  try {
    work();
    return bytes;
  } catch (...) {
    transfer.error = std::current_exception();
    return 0;  // libcurl ends the transfer
  }
}

size_t take_body(char* data, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const size_t bytes = size * count;
  return guarded(transfer, bytes, [&] {
    HttpAnswer& answer = transfer.answer;
    curl_library().easy_getinfo(transfer.curl, CURLINFO_RESPONSE_CODE, &answer.status);
    if (answer.status >= 300) {
      answer.body.append(data,
                         std::min(bytes, kMaxRefusal - std::min(kMaxRefusal, answer.body.size())));
    } else if (*transfer.sink) {
      (*transfer.sink)(answer, std::as_bytes(std::span(data, bytes)));
    } else {
      check(answer.body.size() + bytes <= kMaxHttpBody, "http",
            "the answer is longer than the limit of {} bytes", kMaxHttpBody);
      answer.body.append(data, bytes);
    }
  });
}

size_t take_header(char* data, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const size_t bytes = size * count;
  return guarded(transfer, bytes, [&] {
    std::string line(data, bytes);
    auto& headers = transfer.answer.headers;
    if (line.starts_with("HTTP/")) headers.clear();  // the answer after a redirect
    const size_t colon = line.find(':');
    if (colon == std::string::npos) return;
    std::string name = line.substr(0, colon), value = line.substr(colon + 1);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const auto blank = [](unsigned char c) { return std::isspace(c) != 0; };
    while (!value.empty() && blank(value.back())) value.pop_back();
    value.erase(value.begin(), std::find_if_not(value.begin(), value.end(), blank));
    check(headers.size() < kMaxHeaders, "http", "the answer has more than {} headers", kMaxHeaders);
    headers[name] = value;
  });
}

bool is_transient(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return true;
    default:
      return false;
  }
}

std::string reason_of(CURLcode code, const HttpTimeouts& timeouts, const char* detail) {
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return fmt::format("does not answer (waited {} s)", timeouts.total_seconds > 0
                                                              ? timeouts.total_seconds
                                                              : timeouts.stall_seconds);
    case CURLE_COULDNT_RESOLVE_HOST:
      return "is no known host";
    case CURLE_COULDNT_RESOLVE_PROXY:
      return "cannot be reached: the proxy is no known host";
    case CURLE_COULDNT_CONNECT:
      return "cannot be reached";
    case CURLE_PARTIAL_FILE:
      return "closed the connection before the end of the file";
    case CURLE_TOO_MANY_REDIRECTS:
      return fmt::format("redirects more than {} times", kMaxRedirects);
    case CURLE_UNSUPPORTED_PROTOCOL:
      return "redirects to what is neither http nor https (or from https to http)";
    case CURLE_URL_MALFORMAT:
      return "is no address";
    default:
      return fmt::format("failed: {}",
                         *detail != '\0' ? detail : curl_library().easy_strerror(code));
  }
}

// Where a site keeps certificates of its own, by the variables that its other programs read.
const char* certificate_file() {
  for (const char* name : {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"})
    if (const char* value = std::getenv(name); value != nullptr && *value != '\0') return value;
  return nullptr;
}

}  // namespace

std::string HttpAnswer::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

HttpAnswer http(const HttpRequest& request, const HttpSink& sink) {
  const Curl& library = curl_library();
  const std::unique_ptr<CURL, decltype(curl_easy_cleanup)*> curl(library.easy_init(),
                                                                 library.easy_cleanup);
  check(curl != nullptr, "http", "libcurl cannot be started");
  Transfer transfer{.curl = curl.get(), .answer = {}, .sink = &sink, .error = nullptr};
  curl_slist* list = nullptr;
  for (const std::string& header : request.headers)
    list = library.slist_append(list, header.c_str());
  const std::unique_ptr<curl_slist, decltype(curl_slist_free_all)*> headers(list,
                                                                            library.slist_free_all);
  char detail[CURL_ERROR_SIZE] = "";
  const auto set = [&](CURLoption option, auto value) {
    library.easy_setopt(curl.get(), option, value);
  };
  const bool secure = request.url.starts_with("https:");
  set(CURLOPT_URL, request.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
  set(CURLOPT_HTTPHEADER, headers.get());
  set(CURLOPT_USERAGENT, "vitrail");
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_NOBODY, request.head ? 1L : 0L);
  set(CURLOPT_FOLLOWLOCATION, request.follow ? 1L : 0L);
  set(CURLOPT_MAXREDIRS, kMaxRedirects);
  set(CURLOPT_CONNECTTIMEOUT, request.timeouts.connect_seconds);
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME, request.timeouts.stall_seconds);
  set(CURLOPT_TIMEOUT, request.timeouts.total_seconds);
  set(CURLOPT_ERRORBUFFER, detail);
  set(CURLOPT_WRITEFUNCTION, take_body);
  set(CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
  set(CURLOPT_HEADERFUNCTION, take_header);
  set(CURLOPT_HEADERDATA, static_cast<void*>(&transfer));
  if (const char* file = certificate_file()) set(CURLOPT_CAINFO, file);

  const CURLcode code = library.easy_perform(curl.get());
  if (transfer.error) std::rethrow_exception(transfer.error);
  library.easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &transfer.answer.status);
  if (code != CURLE_OK)
    throw HttpFailure(fmt::format("{} {}", host_of(request.url),
                                  printable(reason_of(code, request.timeouts, detail))),
                      is_transient(code));
  return std::move(transfer.answer);
}

std::string host_of(const std::string& url) {
  const size_t scheme = url.find("://");
  const size_t begin = scheme == std::string::npos ? 0 : scheme + 3;
  std::string host = url.substr(begin, url.find_first_of("/?#", begin) - begin);
  // A password in an address is nobody's business.
  if (const size_t at = host.rfind('@'); at != std::string::npos) host.erase(0, at + 1);
  return printable(host);
}

std::string url_quoted(const std::string& text, const std::string& keep) {
  std::string quoted;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = byte < 0x80 && (std::isalnum(byte) != 0 || c == '-' || c == '.' ||
                                       c == '_' || c == '~' || keep.find(c) != std::string::npos);
    if (plain)
      quoted += c;
    else
      quoted += fmt::format("%{:02X}", byte);
  }
  return quoted;
}

std::string status_text(long status) {
  const char* words = status == 401   ? "not authorised"
                      : status == 403 ? "forbidden"
                      : status == 404 ? "not found"
                      : status == 410 ? "gone"
                      : status == 429 ? "too many requests"
                      : status >= 500 ? "a server error"
                      : status >= 400 ? "a refusal"
                      : status >= 300 ? "a redirect that leads nowhere"
                                      : "an unexpected answer";
  return fmt::format("{} ({})", words, status);
}

}  // namespace vitrail
