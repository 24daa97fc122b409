#include "fetch/hub_api.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "core/printable.h"
#include "formats/json.h"

namespace vitrail {
namespace {

constexpr size_t kMaxFiles = 100'000;
constexpr int kMaxRenames = 5;  // redirects within the hub, of repositories that moved

bool is_hex(const std::string& text, size_t digits) {
  return text.size() == digits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

// W/"etag" and "etag" are the same name.
std::string bare_etag(std::string etag) {
  if (etag.starts_with("W/")) etag.erase(0, 2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"')
    etag = etag.substr(1, etag.size() - 2);
  return etag;
}

std::optional<uint64_t> size_from(const std::string& text) {
  uint64_t bytes = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return bytes;
}

std::optional<uint64_t> size_from(const Json& object, const std::string& place) {
  const auto bytes = get_optional<int64_t>(object, "size", place);
  if (!bytes || *bytes < 0) return std::nullopt;
  return static_cast<uint64_t>(*bytes);
}

ExpectedFile expected_of(const Json& sibling, const std::string& place) {
  ExpectedFile expected{.bytes = size_from(sibling, place)};
  if (const auto lfs = sibling.find("lfs"); lfs != sibling.end() && lfs->is_object()) {
    expected.sha256 = get_optional<std::string>(*lfs, "sha256", place).value_or("");
    if (const auto bytes = size_from(*lfs, place)) expected.bytes = bytes;
  } else {
    expected.git_sha1 = get_optional<std::string>(sibling, "blobId", place).value_or("");
  }
  if (!is_hex(expected.sha256, 64)) expected.sha256.clear();
  if (!is_hex(expected.git_sha1, 40)) expected.git_sha1.clear();
  return expected;
}

std::string origin_of(const std::string& url) {
  return url.substr(0, url.find('/', url.find("://") + 3));
}

}  // namespace

HttpRequest HubApi::request(const std::string& url) const {
  HttpRequest request{.url = url, .timeouts = settings_.questions};
  if (!settings_.token.empty())
    request.headers.push_back("Authorization: Bearer " + settings_.token);
  return request;
}

std::string HubApi::resolve_url(const std::string& commit, const std::string& file) const {
  return fmt::format("{}/{}/resolve/{}/{}", settings_.endpoint, model_.name, url_quoted(commit),
                     url_quoted(file, "/"));
}

HttpRequest HubApi::file_request(const std::string& commit, const std::string& file) const {
  HttpRequest file_request = request(resolve_url(commit, file));
  file_request.timeouts = settings_.transfers;
  return file_request;
}

void HubApi::refuse(const HttpAnswer& answer, const std::string& what) const {
  const std::string host = host_of(settings_.endpoint);
  const std::string code = answer.header("x-error-code");
  if (code == "RevisionNotFound")
    fail("hub", "{} has no revision '{}' at {}", model_.name, printable(model_.revision), host);
  if (answer.status == 401 || answer.status == 403) {
    const char* advice = settings_.token.empty() ? "set HF_TOKEN to a token that may read it"
                                                 : "the token of HF_TOKEN may not read it";
    const char* kind = code == "GatedRepo" ? "its owner asks for an agreement on its page first"
                                           : "it is private, gated or does not exist";
    fail("hub", "{}: {} answers {}: {}; {}", what, host, status_text(answer.status), kind, advice);
  }
  if (answer.status == 404)
    fail("hub", "{} has no {}{}", host, what,
         what == model_.name ? fmt::format(" (revision {})", printable(model_.revision)) : "");
  const std::string message =
      fmt::format("{}: {} answers {}", what, host, status_text(answer.status));
  // What may pass is a failure of the transfer, for which a cache can stand in.
  if (answer.status >= 500 || answer.status == 429 || answer.status == 408)
    throw HttpFailure(message, true);
  fail("hub", "{}", message);
}

HubListing HubApi::listing() const {
  const std::string place =
      fmt::format("{}'s listing of {}", host_of(settings_.endpoint), model_.name);
  const HttpAnswer answer =
      http(request(fmt::format("{}/api/models/{}/revision/{}?blobs=true", settings_.endpoint,
                               model_.name, url_quoted(model_.revision))));
  if (answer.status != 200) refuse(answer, model_.name);
  const Json json = parse_json(answer.body, place);
  HubListing listing;
  listing.commit = get<std::string>(json, "sha", place);
  check(is_plain_word(listing.commit), "hub", "{} gives the commit '{}', which is none", place,
        printable(listing.commit));
  const auto siblings = json.find("siblings");
  check(siblings != json.end() && siblings->is_array() && siblings->size() <= kMaxFiles, "hub",
        "{} has no list of at most {} files", place, kMaxFiles);
  for (const Json& sibling : *siblings) {
    HubFile file{.name = get<std::string>(sibling, "rfilename", place), .expected = {}};
    check_repository_path(file.name, model_.name);
    file.expected = expected_of(sibling, place);
    listing.files.push_back(std::move(file));
  }
  return listing;
}

HubFileInfo HubApi::info(const std::string& commit, const HubFile& file) const {
  const std::string what = fmt::format("{} of {}", file.name, model_.name);
  HttpRequest question = request(resolve_url(commit, file.name));
  question.head = true;
  question.follow = false;
  question.headers.emplace_back("Accept-Encoding: identity");  // sizes are those of the file
  HttpAnswer answer = http(question);
  for (int i = 0;
       i < kMaxRenames && answer.status >= 300 && answer.status < 400 &&
       answer.header("location").starts_with('/') && !answer.header("location").starts_with("//");
       ++i) {
    question.url = origin_of(question.url) + answer.header("location");
    answer = http(question);
  }
  if (answer.status >= 400) refuse(answer, what);
  const std::string given = answer.header("x-repo-commit");
  check(given.empty() || given == commit, "hub", "{}: the hub answers for commit '{}', not {}",
        what, printable(given), commit);

  HubFileInfo info{.etag = bare_etag(answer.header("x-linked-etag")), .expected = file.expected};
  if (info.etag.empty()) info.etag = bare_etag(answer.header("etag"));
  check(!info.etag.empty(), "hub", "{}: the hub gives no etag, so its content cannot be named",
        what);
  check(is_plain_word(info.etag), "hub", "{}: the hub gives the etag '{}', which is no name", what,
        printable(info.etag));
  std::optional<uint64_t> bytes = size_from(answer.header("x-linked-size"));
  if (!bytes && answer.status == 200) bytes = size_from(answer.header("content-length"));
  check(!bytes || !info.expected.bytes || *bytes == *info.expected.bytes, "hub",
        "{}: the hub lists {} bytes and offers {}", what, info.expected.bytes.value_or(0),
        bytes.value_or(0));
  if (bytes) info.expected.bytes = bytes;
  const auto agree = [&](std::string& listed, const char* kind) {
    check(listed.empty() || listed == info.etag, "hub", "{}: the hub lists the {} {} and offers {}",
          what, kind, listed, info.etag);
    listed = info.etag;
  };
  if (is_hex(info.etag, 64)) agree(info.expected.sha256, "SHA-256");
  if (is_hex(info.etag, 40)) agree(info.expected.git_sha1, "git SHA-1");
  const ExpectedFile& known = info.expected;
  check(
      known.bytes || !known.sha256.empty() || !known.git_sha1.empty(), "hub",
      "{}: the hub gives neither a checksum nor a length, so nobody could tell whether it arrived",
      what);
  return info;
}

}  // namespace vitrail
