#include "infer/model.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/advice.h"
#include "core/error.h"
#include "core/printable.h"
#include "core/stop.h"
#include "infer/fastest_precision.h"
#include "models/architectures.h"
#include "models/families/canonical.h"
#include "models/families/checkpoint.h"

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
    check(found.has_value(), ErrorCode::not_found, "model",
          "the bundled model '{}' is not installed; name one with {}, or the folder of bundled "
          "models with VITRAIL_MODELS",
          kDefaultModel, said(Option::model));
    return {*found, true};
  }
  if (fs::exists(path_or_name, ignored)) return {path_or_name, false};
  if (is_plain_name(path_or_name))
    if (const auto found = find_bundled(path_or_name)) return {*found, true};
  fail(ErrorCode::not_found, "model", "{}: no such file or folder, nor a bundled model ({})",
       printable(path_or_name, 4096), joined(bundled_models()));
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

ClassLabels labels_from(const std::vector<std::string>& names, int64_t classes) {
  check(static_cast<int64_t>(names.size()) == classes, "labels",
        "{} names are given, and the model has {} classes", names.size(), classes);
  ClassLabels labels = unknown_labels(classes);
  std::ranges::copy(names, labels.names.begin());
  return labels;
}

// Names that config.json gives count before a file of labels in the folder.
ClassLabels labels_of(const CheckpointInfo& info, const LoadOptions& options) {
  const int64_t classes = info.config.class_answer().classes;
  if (!options.label_names.empty()) return labels_from(options.label_names, classes);
  if (!options.labels.empty()) return read_labels(options.labels, classes);
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
void fill(Model& model, const LoadOptions& options, const std::function<void(Parameter&)>& value) {
  const auto& parameters = model.network->parameters().all();
  std::mutex telling;
  int64_t filled = 0;
  const auto fill_one = [&](Parameter& parameter) {
    check_stop(options.stop);
    value(parameter);
    if (!options.progress) return;
    const std::lock_guard turn(telling);
    options.progress(++filled, static_cast<int64_t>(parameters.size()));
  };
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
  queue.pool().parallel_for(static_cast<int64_t>(parameters.size()),
                            [&](int64_t i, int) { fill_one(*parameters[static_cast<size_t>(i)]); });
}

CheckpointOptions checkpoint_options(const LoadOptions& options) {
  return {.settings = options.settings,
          .read_labels = options.labels.empty() && options.label_names.empty()};
}

std::shared_ptr<Model> model_of(Checkpoint checkpoint, const std::string& name,
                                const LoadOptions& options) {
  auto model = std::make_shared<Model>();
  model->name = name;
  model->info = std::move(checkpoint.info);
  if (options.size) model->info.config.set_image_size(options.size->height, options.size->width);
  model->preprocess = preprocess_of(model->info, options.size);
  model->precision = model->info.precision;
  model->labels = labels_of(model->info, options);
  model->rejection = model->info.rejection;
  model->network = model->info.config.make();
  fill(*model, options, [&](Parameter& parameter) { load_weight(parameter, *checkpoint.tensors); });
  return model;
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
  const fs::path& path = place.path;
  std::error_code ignored;
  const std::string name = !fs::is_directory(path, ignored) ? path.stem()
                           : path.filename().empty()        ? path.parent_path().filename()
                                                            : path.filename();
  auto model = model_of(open_checkpoint(path, checkpoint_options(options)), name, options);
  model->path = path;
  model->bundled = place.bundled;
  return model;
}

std::shared_ptr<Model> load_model(const ModelBytes& bytes, const LoadOptions& options) {
  return model_of(read_checkpoint(bytes.weights,
                                  {.place = bytes.name,
                                   .config = bytes.config,
                                   .preprocessor = bytes.preprocessor,
                                   .rejection = bytes.rejection},
                                  checkpoint_options(options)),
                  bytes.name, options);
}

std::shared_ptr<Model> random_model(const std::string& architecture, uint64_t seed,
                                    const LoadOptions& options) {
  auto model = std::make_shared<Model>();
  model->name = architecture;
  PublishedModel known = vitrail::architecture(architecture);
  model->info.config = std::move(known.config);
  if (!known.preprocess.is_null()) {
    model->info.preprocess_kind = PreprocessKind::timm;
    model->info.preprocess = std::move(known.preprocess);
  } else {
    const PictureInput input = model->info.config.pictures();
    model->info.preprocess_kind = PreprocessKind::vitrail;
    model->info.preprocess = to_json(
        Preprocess{.channels = static_cast<int>(input.channels),
                   .resize_to = {static_cast<int>(input.height), static_cast<int>(input.width)}});
  }
  if (options.size) model->info.config.set_image_size(options.size->height, options.size->width);
  model->preprocess = preprocess_of(model->info, options.size);
  model->network = model->info.config.make();
  model->labels = unknown_labels(model->info.config.class_answer().classes);
  fill(*model, options,
       [&](Parameter& parameter) { model->network->parameters().initialise(seed, parameter); });
  return model;
}

}  // namespace vitrail
