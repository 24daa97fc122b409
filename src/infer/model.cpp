#include "infer/model.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "infer/fastest_precision.h"
#include "models/architectures.h"
#include "models/families/canonical.h"
#include "models/families/checkpoint.h"
#include "models/families/published.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDefaultModel = "photos";
constexpr int kParentsSearched = 4;  // from build/release/tests up to the source tree

bool is_model_folder(const fs::path& folder) {
  std::error_code ignored;
  return fs::is_regular_file(folder / "model.safetensors", ignored) ||
         fs::is_regular_file(folder / "model.safetensors.index.json", ignored);
}

// Where this code was loaded from: the program, or the shared library.
fs::path module_folder() {
  Dl_info info{};
  std::error_code ignored;
  if (dladdr(reinterpret_cast<const void*>(&module_folder), &info) == 0) return {};
  return fs::canonical(info.dli_fname, ignored).parent_path();
}

std::optional<fs::path> find_bundled(const std::string& name) {
  for (const fs::path& folder : bundled_model_folders())
    if (is_model_folder(folder / name)) return folder / name;
  return std::nullopt;
}

std::string joined(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  return list.empty() ? "none" : list;
}

bool is_plain_name(const std::string& text) {
  return !text.empty() && text != "." && text != ".." && text.find('/') == std::string::npos;
}

struct Place {
  fs::path path;
  bool bundled = false;
};

Place find_model(const std::string& path_or_name) {
  std::error_code ignored;
  if (path_or_name.empty()) {
    const auto found = find_bundled(kDefaultModel);
    check(found.has_value(), "model",
          "the bundled model '{}' is not installed; name one with --model, or the folder of "
          "bundled models with VITRAIL_MODELS",
          kDefaultModel);
    return {*found, true};
  }
  if (fs::exists(path_or_name, ignored)) return {path_or_name, false};
  if (is_plain_name(path_or_name))
    if (const auto found = find_bundled(path_or_name)) return {*found, true};
  fail("model", "{}: no such file or folder, nor a bundled model ({})", path_or_name,
       joined(bundled_models()));
}

// timm resizes to floor(size / crop_pct), which is not in proportion to another size's.
nlohmann::json timm_at(nlohmann::json config, PictureSize size) {
  nlohmann::json& fields = config.contains("pretrained_cfg") ? config["pretrained_cfg"] : config;
  const auto input = fields.find("input_size");
  const bool known = input != fields.end() && input->is_array() && !input->empty();
  const nlohmann::json channels = known ? input->front() : nlohmann::json(3);
  fields["input_size"] = {channels, size.height, size.width};
  return config;
}

// Names that config.json gives count before a file of labels in the folder.
ClassLabels labels_of(const CheckpointInfo& info, const fs::path& chosen) {
  const int64_t classes = info.config.num_classes;
  if (!chosen.empty()) return read_labels(chosen, classes);
  ClassLabels labels = unknown_labels(classes);
  if (!info.labels.empty()) {
    for (size_t i = 0; i < info.labels.size(); ++i)
      if (!info.labels[i].empty()) labels.names[i] = info.labels[i];
    labels.wnids = info.wnids;
  } else if (!info.labels_file.empty() && classes > 0) {
    return read_labels(info.labels_file, classes);
  }
  return labels;
}

// Gives every parameter its value, and packs as the options say.
void fill(Model& model, const LoadOptions& options,
          const std::function<void(Parameter&)>& fill_one) {
  Queue queue(options.threads);
  if (options.pack) {
    const PrecisionPlan precision = options.pack->fastest
                                        ? fastest_precision(model.precision).plan
                                        : options.pack->precision.value_or(model.precision);
    const Packing packing{.precision = precision, .single_pass = options.pack->single_pass};
    std::call_once(model.packing, [&] {
      model.network->pack_for_inference(queue, packing, fill_one);
      model.packed = precision;
    });
    return;
  }
  const auto& parameters = model.network->parameters().all();
  queue.pool().parallel_for(static_cast<int64_t>(parameters.size()),
                            [&](int64_t i, int) { fill_one(*parameters[static_cast<size_t>(i)]); });
}

}  // namespace

Preprocess preprocess_of(const CheckpointInfo& info, std::optional<PictureSize> size) {
  Preprocess preprocess;
  switch (info.preprocess_kind) {
    case PreprocessKind::timm:
      preprocess = from_timm(size ? timm_at(info.preprocess, *size) : info.preprocess);
      break;
    case PreprocessKind::hf:
      preprocess = from_hf(info.preprocess, hf_image_processor_type(info.model_type));
      break;
    case PreprocessKind::vitrail:
      preprocess = from_json(info.preprocess);
      break;
    case PreprocessKind::none:
      fail("model", "the checkpoint does not say how pictures are prepared");
  }
  for (const Provenance& source : info.sources)
    if (source.field == "preprocess") preprocess.source = source.source;
  return size ? at_size(preprocess, *size) : preprocess;
}

std::vector<fs::path> bundled_model_folders() {
  std::vector<fs::path> folders;
  if (const char* chosen = std::getenv("VITRAIL_MODELS"); chosen != nullptr && *chosen != '\0')
    folders.emplace_back(chosen);
  fs::path folder = module_folder();
  if (folder.empty()) return folders;
  folders.push_back(folder.parent_path() / "share/vitrail/models");
  // Of a library in lib/x86_64-linux-gnu.
  folders.push_back(folder.parent_path().parent_path() / "share/vitrail/models");
  for (int i = 0; i < kParentsSearched; ++i) {
    folder = folder.parent_path();
    folders.push_back(folder / "models");
  }
  return folders;
}

std::vector<std::string> bundled_models() {
  std::vector<std::string> names;
  for (const fs::path& folder : bundled_model_folders()) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error))
      if (is_model_folder(entry.path())) names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::shared_ptr<Model> load_model(const std::string& path_or_name, const LoadOptions& options) {
  const Place place = find_model(path_or_name);
  Checkpoint checkpoint = open_checkpoint(
      place.path, {.settings = options.settings, .read_labels = options.labels.empty()});
  auto model = std::make_shared<Model>();
  model->path = place.path;
  model->bundled = place.bundled;
  const fs::path& path = model->path;
  model->name = !fs::is_directory(path)   ? path.stem()
                : path.filename().empty() ? path.parent_path().filename()
                                          : path.filename();
  model->info = std::move(checkpoint.info);
  if (options.size) model->info.config.set_image_size(options.size->height, options.size->width);
  model->preprocess = preprocess_of(model->info, options.size);
  model->precision = model->info.precision;
  model->labels = labels_of(model->info, options.labels);
  model->rejection = model->info.rejection;
  model->network = std::make_shared<VisionTransformer>(model->info.config);
  fill(*model, options, [&](Parameter& parameter) { load_weight(parameter, *checkpoint.tensors); });
  return model;
}

std::shared_ptr<Model> random_model(const std::string& architecture, uint64_t seed,
                                    const LoadOptions& options) {
  auto model = std::make_shared<Model>();
  model->name = architecture;
  model->info.config = architecture_config(architecture);
  if (const PublishedArchitecture* published = find_published(architecture)) {
    model->info.preprocess_kind = PreprocessKind::timm;
    model->info.preprocess = published_preprocess(*published);
  } else {
    const VisionTransformerConfig& config = model->info.config;
    model->info.preprocess_kind = PreprocessKind::vitrail;
    model->info.preprocess =
        to_json(Preprocess{.channels = static_cast<int>(config.in_channels),
                           .resize_to = {static_cast<int>(config.image_height),
                                         static_cast<int>(config.image_width)}});
  }
  if (options.size) model->info.config.set_image_size(options.size->height, options.size->width);
  model->preprocess = preprocess_of(model->info, options.size);
  model->network = std::make_shared<VisionTransformer>(model->info.config);
  model->labels = unknown_labels(model->info.config.num_classes);
  fill(*model, options,
       [&](Parameter& parameter) { model->network->parameters().initialise(seed, parameter); });
  return model;
}

}  // namespace vitrail
