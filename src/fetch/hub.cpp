#include "fetch/hub.h"

#include <fnmatch.h>

#include <algorithm>

#include "core/file_lock.h"
#include "core/log.h"
#include "core/printable.h"
#include "fetch/download.h"
#include "fetch/hub_api.h"
#include "fetch/model_files.h"
#include "formats/json.h"
#include "formats/text_file.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

// Beside the weights, one of them or both say what the model is.
constexpr const char* kDescriptions[] = {"config.json", "preprocessor_config.json"};

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::vector<std::string> matching(const std::vector<std::string>& names,
                                  const std::vector<std::string>& patterns,
                                  const std::string& model) {
  std::vector<std::string> chosen;
  for (const std::string& pattern : patterns) {
    const size_t before = chosen.size();
    bool any = false;
    for (const std::string& name : names) {
      if (::fnmatch(pattern.c_str(), name.c_str(), 0) != 0) continue;
      any = true;
      if (!contains(chosen, name)) chosen.push_back(name);
    }
    check(any || chosen.size() > before, "hub", "no file of {} matches --file '{}'", model,
          printable(pattern));
  }
  return chosen;
}

class Pull {
 public:
  Pull(const HubSettings& settings, const HubModel& model, const PullOptions& options)
      : settings_(settings),
        model_(model),
        options_(options),
        api_(settings, model),
        cache_(settings.cache, model) {}

  PulledModel run() {
    listing_ = api_.listing();
    std::vector<std::string> names;
    for (const HubFile& file : listing_.files) names.push_back(file.name);
    cache_.make_folders();
    result_.commit = listing_.commit;
    result_.folder = cache_.snapshot(listing_.commit);
    if (!options_.patterns.empty()) {
      for (const std::string& name : matching(names, options_.patterns, model_.name)) bring(name);
    } else {
      bring_model(choose_model_files(names, model_.name));
      for (const char* name : kDescriptions)
        if (!contains(names, name)) cache_.remember_absent(listing_.commit, name);
    }
    cache_.remember_commit(model_.revision, listing_.commit);
    return std::move(result_);
  }

 private:
  // The weights last: where they are, everything is.
  void bring_model(const ModelFiles& files) {
    for (const std::string& name : files.texts) bring(name);
    if (files.index.empty()) return bring(files.weights);
    bring(files.index);
    for (const std::string& name :
         shards_of(read_text_file(result_.folder / files.index, kIndexJson.bytes), files.index))
      bring(name);
  }

  void bring(const std::string& name) {
    const auto listed = std::find_if(listing_.files.begin(), listing_.files.end(),
                                     [&](const HubFile& file) { return file.name == name; });
    check(listed != listing_.files.end(), "hub", "{} lacks {}, which its index names", model_.name,
          printable(name));
    const HubFileInfo info = api_.info(listing_.commit, *listed);
    const fs::path blob = cache_.blob(info.etag);
    const FileLock lock(cache_.lock(info.etag), say_that_another_fetches);
    const bool there = is_there(name, info, blob);
    if (!there) fetch(name, info, blob);
    cache_.link(listing_.commit, name, info.etag);
    result_.files.push_back({.name = name,
                             .path = result_.folder / name,
                             .bytes = fs::file_size(blob),
                             .downloaded = !there});
  }

  // Whether the cache has the content, and not other bytes under its name.
  bool is_there(const std::string& name, const HubFileInfo& info, const fs::path& blob) const {
    std::error_code missing;
    if (!fs::is_regular_file(blob, missing)) return false;
    try {
      verify_file(blob, info.expected, name);
    } catch (const Error& error) {
      log_warning(fmt::format("{}; the cache's copy is fetched again", error.what()));
      return false;
    }
    return true;
  }

  void fetch(const std::string& name, const HubFileInfo& info, const fs::path& blob) {
    if (info.expected.sha256.empty() && info.expected.git_sha1.empty())
      log_warning(fmt::format("{}: the hub gives no checksum that could be compared", name));
    Download file{.request = api_.file_request(listing_.commit, name),
                  .target = blob,
                  .expected = info.expected,
                  .name = fmt::format("{} of {}", name, model_.name)};
    if (options_.progress)
      file.progress = [&](uint64_t done, uint64_t total) { options_.progress(name, done, total); };
    file.refuse = [&](const HttpAnswer& answer) { api_.refuse(answer, file.name); };
    download(file);
  }

  const HubSettings& settings_;
  const HubModel& model_;
  const PullOptions& options_;
  HubApi api_;
  HubCache cache_;
  HubListing listing_;
  PulledModel result_;
};

// A snapshot's weights, when all of them are there: the folder, or the file where the folder's
// name alone would not find it.
std::optional<fs::path> weights_of(const HubCache& cache, const std::string& commit,
                                   const std::string& model) {
  const std::vector<std::string> names = cache.files_of(commit);
  ModelFiles files;
  try {
    files = choose_model_files(names, model);
  } catch (const Error&) {
    return std::nullopt;
  }
  fs::path folder = cache.snapshot(commit);
  if (files.weights == "model.safetensors") return folder;
  if (files.index.empty()) return folder / files.weights;
  for (const std::string& shard :
       shards_of(read_text_file(folder / files.index, kIndexJson.bytes), files.index))
    if (!contains(names, shard)) return std::nullopt;
  return folder;
}

// Other tools fetch a model without its preprocessing, which every picture needs.
bool has_texts(const HubCache& cache, const std::string& commit) {
  const std::vector<std::string> names = cache.files_of(commit);
  return std::all_of(std::begin(kDescriptions), std::end(kDescriptions), [&](const char* name) {
    return contains(names, name) || cache.is_known_absent(commit, name);
  });
}

PulledModel from_cache(const HubSettings& settings, const HubModel& model,
                       const PullOptions& options) {
  const HubCache cache(settings.cache, model);
  const std::optional<std::string> commit = cache.commit_of(model.revision);
  check(commit.has_value(), "hub",
        "{} (revision {}) is not in the cache {}, and HF_HUB_OFFLINE forbids to ask the hub",
        model.name, printable(model.revision), settings.cache.string());
  PulledModel result{.commit = *commit, .folder = cache.snapshot(*commit), .files = {}};
  std::vector<std::string> names = cache.files_of(*commit);
  if (!options.patterns.empty()) names = matching(names, options.patterns, model.name);
  for (const std::string& name : names)
    result.files.push_back({.name = name,
                            .path = result.folder / name,
                            .bytes = fs::file_size(result.folder / name),
                            .downloaded = false});
  return result;
}

}  // namespace

PulledModel pull(const HubSettings& settings, const HubModel& model, const PullOptions& options) {
  return settings.offline ? from_cache(settings, model, options)
                          : Pull(settings, model, options).run();
}

bool has_weights(const HubSettings& settings, const HubModel& model) {
  const HubCache cache(settings.cache, model);
  const std::optional<std::string> commit = cache.commit_of(model.revision);
  return commit && weights_of(cache, *commit, model.name);
}

fs::path model_from_hub(const HubSettings& settings, const HubModel& model,
                        const PullOptions& options, const std::function<void()>& announce) {
  const HubCache cache(settings.cache, model);
  std::optional<fs::path> cached;
  std::optional<std::string> commit = cache.commit_of(model.revision);
  if (commit) cached = weights_of(cache, *commit, model.name);
  if (cached && (settings.offline || has_texts(cache, *commit))) return *cached;
  if (!settings.offline) announce();
  try {
    commit = pull(settings, model, options).commit;
  } catch (const HttpFailure& failure) {
    // As huggingface_hub does: what another tool left in the cache serves while there is no hub.
    if (!cached) throw;
    log_warning(fmt::format("{}; {} answers from the cache, commit {}", failure.what(), model.name,
                            *commit));
    return *cached;
  }
  const std::optional<fs::path> found = weights_of(cache, *commit, model.name);
  check(found.has_value(), "hub", "{}: the cache {} lacks weights of commit {}", model.name,
        settings.cache.string(), *commit);
  return *found;
}

}  // namespace vitrail
