#include "apps/cli/hub_model.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "apps/cli/common.h"
#include "core/log.h"

namespace vitrail::cli {

ResolvedModel resolve_model(const std::string& model) {
  std::error_code ignored;
  if (!is_hub_name(model) || std::filesystem::exists(model, ignored)) return {model, ""};
  // A path whose last folder was mistyped is nobody's business but the user's.
  const std::string first = model.substr(0, model.find('/'));
  if (std::filesystem::is_directory(first, ignored))
    fail("model", "{}: no such file or folder; no hub is asked, since a folder '{}' is here", model,
         first);
  const HubModel wanted = parse_hub_name(model);
  const HubSettings settings = hub_settings();
  try {
    const auto path = model_from_hub(settings, wanted, {.progress = download_progress()}, [&] {
      log_info(fmt::format("fetching {} from {} into {}", model, host_of(settings.endpoint),
                           settings.cache.string()));
    });
    return {path.string(), model};
  } catch (const Error& error) {
    // A path that was mistyped ends here too.
    fail("model", "{}: no such file or folder, and as a hub's model: {}", model, error.what());
  }
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
