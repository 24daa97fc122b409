#include "apps/cli/hub_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "apps/cli/command_text.h"
#include "apps/cli/common.h"
#include "apps/cli/question.h"
#include "core/log.h"
#include "core/nearest.h"
#include "core/printable.h"

namespace vitrail::cli {

namespace {

constexpr std::string_view kStandIn = "photos";  // what load_model("") takes

ResolvedModel fetched(const HubSettings& settings, const std::string& hub_name,
                      const std::string& called) {
  const auto path =
      model_from_hub(settings, parse_hub_name(hub_name), {.progress = download_progress()}, [&] {
        log_info(fmt::format("fetching {} from {} into {}", described_model(called),
                             host_of(settings.endpoint), settings.cache.string()));
      });
  return {.path = path.string(), .name = called};
}

ResolvedModel catalogued(const CatalogueModel& model) {
  if (model.bundled()) return {.path = std::string(model.name)};
  ResolvedModel resolved = fetched(hub_settings(), model.hub_name(), std::string(model.name));
  resolved.catalogued = true;
  return resolved;
}

// A name without a slash that is no file: of the catalogue, or bundled, or mistyped.
ResolvedModel named(const std::string& name, const std::vector<std::string>& architectures) {
  if (const CatalogueModel* model = find_catalogued(name)) return catalogued(*model);
  const std::vector<std::string> bundled = bundled_models();
  if (std::ranges::find(bundled, name) != bundled.end()) return {.path = name};
  std::vector<std::string> names = catalogue_names();
  names.insert(names.end(), bundled.begin(), bundled.end());
  names.insert(names.end(), architectures.begin(), architectures.end());
  fail("model", "{}: no such file or folder, nor a model that '{} models' lists{}{}",
       printable(name), program_name(), architectures.empty() ? "" : ", nor an architecture",
       did_you_mean(name, names));
}

// Why the default model is not here; empty: it is, and `resolved` says where.
std::string try_default(const WithoutModel& without, ResolvedModel& resolved) {
  const CatalogueModel& model = default_model();
  const std::string size = human_bytes(model.bytes());
  try {
    const HubSettings settings = hub_settings();
    if (!has_weights(settings, parse_hub_name(model.hub_name()))) {
      if (settings.offline)
        return fmt::format("{} is not in the cache, and HF_HUB_OFFLINE forbids to fetch it",
                           model.name);
      const std::string host = host_of(settings.endpoint);
      if (!without.yes && !(without.may_ask && can_ask()))
        return fmt::format("{} is not here yet; with --yes it is fetched from {} ({}, {})",
                           described_model(std::string(model.name)), host, size, model.licence);
      if (!without.yes &&
          !ask(fmt::format("The default model, {}, is not here yet: {}, {}, {}. Fetch it from {} "
                           "into {}?",
                           described_model(std::string(model.name)), model.knows, size,
                           model.licence, host, settings.cache.string())))
        return fmt::format("{} is not here, and was not fetched", model.name);
    }
    resolved = catalogued(model);
    return "";
  } catch (const Error& error) {
    return fmt::format("{} could not be fetched: {}", model.name, error.what());
  }
}

}  // namespace

ResolvedModel resolve_default_model(const WithoutModel& without) {
  ResolvedModel resolved;
  const std::string why = try_default(without, resolved);
  if (why.empty()) return resolved;
  check(without.bundled_answers, "model",
        "no --model is given, and {}; '{} pull {}' fetches it, and --model names another one "
        "('{} models' lists them)",
        why, program_name(), default_model().name, program_name());
  log_info(why);
  log_warning(
      fmt::format("the small bundled model '{}' answers instead: it knows only {}, and is "
                  "wrong on about half of ordinary photographs of these, so take its "
                  "answers as a demonstration",
                  kStandIn, find_catalogued(kStandIn)->knows));
  // By its name a folder of pictures that is called photos would be found first.
  return {.path = "", .stands_in = true};
}

ResolvedModel resolve_model(const std::string& model,
                            const std::vector<std::string>& architectures) {
  std::error_code ignored;
  if (std::filesystem::exists(model, ignored)) return {.path = model};
  if (!model.empty() && model.find('/') == std::string::npos) return named(model, architectures);
  if (!is_hub_name(model)) return {.path = model};
  // A path whose last folder was mistyped is nobody's business but the user's.
  const std::string first = model.substr(0, model.find('/'));
  if (std::filesystem::is_directory(first, ignored))
    fail("model", "{}: no such file or folder; no hub is asked, since a folder '{}' is here", model,
         first);
  const HubSettings settings = hub_settings();
  try {
    return fetched(settings, model, model);
  } catch (const Error& error) {
    // A path that was mistyped ends here too.
    fail("model", "{}: no such file or folder, and as a hub's model: {}", model, error.what());
  }
}

std::string hub_name_of(const std::string& name) {
  const CatalogueModel* model = find_catalogued(name);
  return model == nullptr || model->bundled() ? name : model->hub_name();
}

std::string described_model(const std::string& name) {
  const std::string hub_name = hub_name_of(name);
  return hub_name == name ? name : fmt::format("{} ({})", name, hub_name);
}

std::function<void(const std::string&, uint64_t, uint64_t)> download_progress() {
  struct Bar {
    std::string file;
    std::unique_ptr<Progress> progress;
  };
  auto bar = std::make_shared<Bar>();
  return [bar](const std::string& file, uint64_t done, uint64_t total) {
    constexpr uint64_t kKilo = 1000;
    if (bar->file != file || !bar->progress) {
      bar->progress.reset();
      bar->file = file;
      bar->progress =
          std::make_unique<Progress>(file + " (kB)", static_cast<int64_t>(total / kKilo));
    }
    bar->progress->update(static_cast<int64_t>(done / kKilo));
    if (done == total) bar->progress.reset();
  };
}

std::string human_bytes(uint64_t bytes) {
  const auto count = static_cast<double>(bytes);
  if (count >= 1e9) return fmt::format("{:.2f} GB", count * 1e-9);
  if (count >= 1e6) return fmt::format("{:.1f} MB", count * 1e-6);
  return count >= 1e3 ? fmt::format("{:.1f} kB", count * 1e-3) : fmt::format("{} bytes", bytes);
}

}  // namespace vitrail::cli
