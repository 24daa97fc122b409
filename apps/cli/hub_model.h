// --model: a path, a bundled name, or a model of a hub, which is fetched when the cache lacks it.
#pragma once

#include <functional>
#include <string>

#include "fetch/hub.h"

namespace vitrail::cli {

struct ResolvedModel {
  std::string path;      // what load_model() takes
  std::string hub_name;  // OWNER/NAME[@REVISION]; empty: it is of no hub
};
// What exists as a file counts before a hub's name.
ResolvedModel resolve_model(const std::string& model);

// Shows how far the files of a pull are, a bar each.
std::function<void(const std::string& file, uint64_t done, uint64_t total)> download_progress();
// "22.9 MB": a size for people.
std::string human_bytes(uint64_t bytes);

}  // namespace vitrail::cli
