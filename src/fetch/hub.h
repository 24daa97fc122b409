// Models of a Hugging Face-compatible hub, fetched into its cache.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "fetch/hub_cache.h"
#include "fetch/hub_settings.h"

namespace vitrail {

struct PullOptions {
  std::vector<std::string> patterns;  // names or globs ("*.md"); none: what Vitrail needs
  // A file's bytes so far, and in all.
  std::function<void(const std::string& file, uint64_t done, uint64_t total)> progress = {};
};

struct PulledFile {
  std::string name;
  std::filesystem::path path;  // in the snapshot
  uint64_t bytes = 0;
  bool downloaded = false;  // now; else it was there
};

struct PulledModel {
  std::string commit;
  std::filesystem::path folder;  // the snapshot
  std::vector<PulledFile> files;
};

// Asks the hub what the revision is and brings what the cache lacks; each file is checked against
// its hash before it appears there. Offline: what the cache has.
// Error: no such model or revision, no right to it (HF_TOKEN), a hub that does not answer or whose
// answers do not fit, a pattern that nothing matches.
PulledModel pull(const HubSettings& settings, const HubModel& model,
                 const PullOptions& options = {});

// Whether the cache has weights of the model, so that model_from_hub() fetches no more than a
// description that other tools left out.
bool has_weights(const HubSettings& settings, const HubModel& model);

// For --model: the folder or file that load_model() takes. From the cache when the model is there
// as a whole, pulled otherwise; `announce` is told before that.
std::filesystem::path model_from_hub(const HubSettings& settings, const HubModel& model,
                                     const PullOptions& options,
                                     const std::function<void()>& announce);

}  // namespace vitrail
