#include "fetch/hub_settings.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>

#include "core/printable.h"
#include "formats/text_file.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPublicHub = "https://huggingface.co";
constexpr uint64_t kMaxTokenBytes = 4096;
constexpr long kMaxTimeout = 86400;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool is_true(const char* name) {
  std::string value = variable(name);
  std::transform(value.begin(), value.end(), value.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return value == "1" || value == "ON" || value == "YES" || value == "TRUE";
}

// "~/models" as the hub's own tools read it.
fs::path expanded(const std::string& path) {
  return path.starts_with("~/") ? fs::path(variable("HOME")) / path.substr(2) : fs::path(path);
}

// Empty: the environment does not say.
fs::path home_folder() {
  if (const std::string home = variable("HF_HOME"); !home.empty()) return expanded(home);
  if (const std::string cache = variable("XDG_CACHE_HOME"); !cache.empty())
    return fs::path(cache) / "huggingface";
  const std::string user = variable("HOME");
  return user.empty() ? fs::path() : fs::path(user) / ".cache/huggingface";
}

std::string find_token(const fs::path& home) {
  for (const char* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"})
    if (std::string token = variable(name); !token.empty()) return token;
  const std::string chosen = variable("HF_TOKEN_PATH");
  const fs::path path = chosen.empty() ? home / "token" : expanded(chosen);
  std::error_code missing;
  if (!fs::is_regular_file(path, missing)) return "";
  return read_text_file(path, kMaxTokenBytes);
}

std::string trimmed(std::string text) {
  const auto blank = [](unsigned char c) { return std::isspace(c) != 0; };
  while (!text.empty() && blank(text.back())) text.pop_back();
  text.erase(text.begin(), std::find_if_not(text.begin(), text.end(), blank));
  return text;
}

long timeout_of(const char* name) {
  const std::string text = variable(name);
  if (text.empty()) return HttpTimeouts().stall_seconds;
  long seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  check(error == std::errc() && end == text.data() + text.size() && seconds >= 1 &&
            seconds <= kMaxTimeout,
        "hub", "{} is '{}'; it takes whole seconds, 1 to {}", name, printable(text), kMaxTimeout);
  return seconds;
}

}  // namespace

HubSettings hub_settings() {
  HubSettings settings;
  settings.endpoint = variable("HF_ENDPOINT").empty() ? kPublicHub : variable("HF_ENDPOINT");
  while (settings.endpoint.ends_with('/')) settings.endpoint.pop_back();
  check(settings.endpoint.starts_with("https://") || settings.endpoint.starts_with("http://"),
        "hub", "HF_ENDPOINT is '{}'; it takes an address that begins with https:// (or http://)",
        printable(settings.endpoint));
  const fs::path home = home_folder();
  const std::string cache = variable("HF_HUB_CACHE").empty() ? variable("HUGGINGFACE_HUB_CACHE")
                                                             : variable("HF_HUB_CACHE");
  check(!cache.empty() || !home.empty(), "hub",
        "neither HF_HOME nor HOME says where models are kept");
  settings.cache = cache.empty() ? home / "hub" : expanded(cache);
  settings.token = trimmed(find_token(home));
  check(std::all_of(settings.token.begin(), settings.token.end(),
                    [](unsigned char c) { return std::isgraph(c) != 0; }),
        "hub", "the token (HF_TOKEN) has blanks or control characters in it");
  settings.offline = is_true("HF_HUB_OFFLINE") || is_true("TRANSFORMERS_OFFLINE");
  const long question = timeout_of("HF_HUB_ETAG_TIMEOUT");
  const long transfer = timeout_of("HF_HUB_DOWNLOAD_TIMEOUT");
  settings.questions = {
      .connect_seconds = question, .stall_seconds = question, .total_seconds = 6 * question};
  settings.transfers = {.connect_seconds = transfer, .stall_seconds = transfer};
  return settings;
}

}  // namespace vitrail
