// Where models come from and where they are kept: the environment variables of the Hugging Face
// hub's own tools, so that one setting serves all of them.
//
//   HF_ENDPOINT          the hub (default: the public one)
//   HF_TOKEN             who asks; else the file HF_TOKEN_PATH, else HF_HOME/token
//   HF_HUB_CACHE         the cache (default: HF_HOME/hub)
//   HF_HOME              (default: XDG_CACHE_HOME/huggingface, ~/.cache/huggingface)
//   HF_HUB_OFFLINE       1: the cache alone
//   HF_HUB_ETAG_TIMEOUT, HF_HUB_DOWNLOAD_TIMEOUT    seconds (10)
#pragma once

#include <filesystem>
#include <string>

#include "fetch/http.h"

namespace vitrail {

struct HubSettings {
  std::string endpoint;  // without a slash at its end
  std::string token;     // empty: anonymous
  std::filesystem::path cache;
  bool offline = false;
  HttpTimeouts questions;  // of the API
  HttpTimeouts transfers;  // of files
};

// Error: an endpoint that is no http address, a token with blanks in it, a timeout that is no
// number.
HubSettings hub_settings();

}  // namespace vitrail
