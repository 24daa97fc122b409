#include "models/families/checkpoint.h"

#include <algorithm>
#include <map>

#include "core/advice.h"
#include "core/error.h"
#include "core/printable.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "models/answer.h"
#include "models/families/canonical.h"
#include "models/families/imagenet_names.h"
#include "models/families/jax_tensors.h"
#include "models/families/labels.h"
#include "models/families/module_class.h"
#include "models/families/normed_head.h"
#include "models/families/open_clip.h"
#include "models/families/quantized_tensors.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"
#include "models/heads/classifier_head.h"
#include "models/network.h"
#include "models/peft/apply_adapter.h"

namespace vitrail {
namespace {

constexpr const char* kConfigName = "config.json";
constexpr const char* kModuleConfig = "the module's config";  // what messages call it

Json read_if_there(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return nullptr;
  return read_json(path);
}

std::shared_ptr<TensorSource> tensors_if_there(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return nullptr;
  return SafetensorsFile::open(path);
}

// The value of a setting that is about the files rather than the model; it is taken out.
std::string taken(Settings& settings, const std::string& name) {
  std::string value;
  std::erase_if(settings, [&](const auto& setting) {
    if (setting.first != name) return false;
    value = setting.second;
    return true;
  });
  return value;
}

// Error: the configuration belongs to a library whose names the file does not have.
void check_form(const ConfigForm* form, const Family& family, const std::string& place) {
  if (form == nullptr || form == &own_form() || form == &family.config_form()) return;
  fail("family", "{}: {} {}, but the tensors have the names of {}", place, kConfigName,
       form->whose(), family.name());
}

Spelling spelling_of(const TensorSource& tensors, const Json& config, const Settings& settings) {
  const ConfigForm* form = form_of(config);
  if (form != nullptr) form->check_model(config, settings);
  std::string architecture;
  for (const auto& [name, value] : settings)
    if (name == "architecture") architecture = value;
  Spelling spelling = recognise(tensors, config, architecture);
  check_form(form, *spelling.family, tensors.place());
  for (const auto& [name, value] : settings)
    if (name == "family" && family_from_name(value) != spelling.family)
      fail(said(Option::settings), "family={} does not have the names of this file, which are {}'s",
           printable(value), name_of(spelling.family));
  if (form == &own_form())
    if (const auto said = get_optional<std::string>(config, "family", kConfigName);
        said && family_from_name(*said) != spelling.family)
      fail("family", "{}: {} says family '{}', but the tensors have the names of {}",
           tensors.place(), kConfigName, *said, name_of(spelling.family));
  return spelling;
}

// Our own configuration says everything itself, whichever family's names the tensors have.
ReadModel read_model(const FileReading& file) {
  const bool own = form_of(file.files.config) == &own_form();
  return (own ? own_family() : file.spelling.family)->read(file);
}

Json config_of_module(const TensorSource& tensors) {
  for (const ConfigForm* form : config_forms())
    if (Json config = form->config_of_module(tensors); !config.is_null()) return config;
  return nullptr;
}

void name_imagenet_classes(CheckpointInfo& info, const std::string& tag) {
  for (const ImageNetClass& known : imagenet_classes()) {
    info.labels.emplace_back(known.name);
    info.wnids.emplace_back(known.wnid);
  }
  info.sources.push_back({"labels", std::to_string(info.labels.size()),
                          fmt::format("ImageNet-1k, which config.json's tag {} names", tag)});
}

void add_labels(CheckpointInfo& info, const CheckpointFiles& files) {
  const int64_t classes = info.config.class_answer().classes;
  if (classes == 0) return;
  ConfigLabels labels = labels_from_config(files.config, classes, files.config_name);
  if (labels.names.empty()) {
    info.labels_file = files.labels_file;
    if (!info.labels_file.empty()) return;
    const std::string tag = imagenet_tag(files.config, classes);
    if (tag.empty()) return info.warnings.push_back("the classes have no names");
    name_imagenet_classes(info, tag);
    return;
  }
  const auto unnamed = std::ranges::count(labels.names, "");
  info.sources.push_back({"labels",
                          std::to_string(labels.names.size() - static_cast<size_t>(unnamed)),
                          labels.source});
  if (unnamed > 0)
    info.warnings.push_back(fmt::format("{} leaves {} of {} classes without a name", labels.source,
                                        unnamed, labels.names.size()));
  info.labels = std::move(labels.names);
  info.wnids = std::move(labels.wnids);
}

void add_rejection(CheckpointInfo& info, const CheckpointFiles& files) {
  info.rejection =
      rejection_from_json(files.config["rejection"], "config.json", files.gaussians.get());
  const ClassAnswer answer = info.config.class_answer();
  check(
      answer.meaning != Answer::raw && !asks_each_class(answer), "model",
      "config.json: \"rejection\" belongs to a model of one class a picture; this one's answer is "
      "{}",
      described(answer));
  const auto& gaussians = info.rejection->gaussians;
  if (!gaussians) return;
  const int64_t classes = answer.classes, width = info.config.make()->head().pooled_dim();
  check(gaussians->classes() == classes && gaussians->width() == width, "model",
        "{} is of {} classes and {} features, the model has {} and {}", files.gaussians->place(),
        gaussians->classes(), gaussians->width(), classes, width);
}

// One line for each, but for the many of one part of a larger model: a tower of texts, a decoder.
void warn_of_left_out(CheckpointInfo& info) {
  constexpr size_t kMany = 8;
  std::map<std::string, std::vector<std::string>> parts;
  for (const std::string& name : info.left_out)
    parts[name.substr(0, name.find('.'))].push_back(name);
  for (const auto& [part, names] : parts) {
    if (names.size() > kMany) {
      info.warnings.push_back(fmt::format(
          "'{}' and {} more tensors of '{}' are not part of the answer and are left out",
          names.front(), names.size() - 1, part));
      continue;
    }
    for (const std::string& name : names)
      info.warnings.push_back("'" + name + "' is not part of the answer and is left out");
  }
}

}  // namespace

Checkpoint read_checkpoint(std::shared_ptr<TensorSource> tensors, const CheckpointFiles& beside,
                           const CheckpointOptions& options) {
  Checkpoint checkpoint;
  CheckpointFiles files = beside;
  tensors = with_plain_head(jax_as_torch(std::move(tensors)));
  if (auto tower = clip_tower(tensors, files.config, files.config_name)) {
    tensors = std::move(tower->tensors);
    files.config = std::move(tower->config);
    files.config_name = std::move(tower->config_name);
  }
  checkpoint.info.notes = tensors->notes();
  check_module_class(*tensors);
  if (Json own = config_of_module(*tensors); !own.is_null()) {
    if (!files.config.is_null())
      checkpoint.info.notes.push_back(
          "config.json is not read: the module has a config of its own");
    files.config = std::move(own);
    files.config_name = kModuleConfig;
  }
  checkpoint.file = dequantized(std::move(tensors));
  checkpoint.spelling = spelling_of(*checkpoint.file, files.config, options.settings);
  checkpoint.file = checkpoint.spelling.family->presented(checkpoint.file, checkpoint.spelling);
  ReadModel model = read_model({.tensors = *checkpoint.file,
                                .spelling = checkpoint.spelling,
                                .files = files,
                                .settings = options.settings,
                                .require_preprocess = options.require_preprocess});

  CheckpointInfo& info = checkpoint.info;
  info.family = checkpoint.spelling.family;
  info.config = std::move(model.config);
  info.sources = std::move(model.sources);
  if (files.config.is_object() && files.config.contains("precision"))
    info.precision = precision_plan_from_json(files.config["precision"], "config.json");
  if (files.config.is_object() && files.config.contains("rejection")) add_rejection(info, files);
  info.preprocess_kind = model.preprocess_kind;
  info.preprocess = std::move(model.preprocess);
  if (files.config.is_object())
    info.model_type =
        get_optional<std::string>(files.config, "model_type", "config.json").value_or("");
  // Without values the model costs nothing; it knows its parameters' names and shapes.
  const std::shared_ptr<Network> network = info.config.make();
  match_weights(*network, *checkpoint.file, checkpoint.spelling, info);
  if (options.read_labels) add_labels(info, files);
  warn_of_left_out(info);
  checkpoint.tensors = canonical_tensors(checkpoint.file, *network, info.weights);
  return checkpoint;
}

Checkpoint open_checkpoint(const std::filesystem::path& path, const CheckpointOptions& options) {
  std::error_code ignored;
  const bool folder = std::filesystem::is_directory(path, ignored);
  const std::filesystem::path beside = folder ? path : path.parent_path();
  CheckpointOptions rest = options;
  const std::string state_dict = taken(rest.settings, "state_dict");
  const std::string adapter = taken(rest.settings, "adapter");
  Settings of_head;  // which the adapter may bring
  if (!adapter.empty())
    for (const char* name : {"answer", "multi_label"})
      if (const std::string value = taken(rest.settings, name); !value.empty())
        of_head.emplace_back(name, value);
  std::shared_ptr<TensorSource> tensors = open_tensors(path, state_dict);
  // Beside OpenCLIP's own files there may be transformers' of the same model.
  const bool clip =
      has_clip_names(*tensors) && std::filesystem::exists(beside / kOpenClipConfig, ignored);
  const std::string config_name = clip ? kOpenClipConfig : kConfigName;
  const CheckpointFiles files{.config = read_if_there(beside / config_name),
                              .preprocessor = read_if_there(beside / "preprocessor_config.json"),
                              .labels_file = labels_file_in(beside),
                              .gaussians = tensors_if_there(beside / kRejectionFile),
                              .config_name = config_name};
  Checkpoint checkpoint = read_checkpoint(std::move(tensors), files, rest);
  if (!adapter.empty()) apply_adapter(checkpoint, adapter, of_head);
  return checkpoint;
}

}  // namespace vitrail
