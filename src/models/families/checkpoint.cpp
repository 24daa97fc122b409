#include "models/families/checkpoint.h"

#include <algorithm>

#include "core/error.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "models/families/canonical.h"
#include "models/families/labels.h"
#include "models/families/module_class.h"
#include "models/families/quantized_tensors.h"
#include "models/peft/apply_adapter.h"
#include "models/vit.h"

namespace vitrail {
namespace {

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

Spelling spelling_of(const TensorSource& tensors, const Json& config, const Settings& settings) {
  Spelling spelling = recognise(tensors, config);
  for (const auto& [name, value] : settings)
    if (name == "family" && family_from_name(value) != spelling.family)
      fail("--set", "family={} does not have the names of this file, which are {}'s", value,
           name_of(spelling.family));
  return spelling;
}

// Our own files say everything themselves.
ConfigDraft draft_from_vitrail(const Json& config, const std::string& place) {
  ConfigDraft draft;
  const auto model = config.find("model");
  draft.config = vit_config_from_json(model == config.end() ? config : *model);
  draft.sources.push_back({"model", "", place});
  if (const auto block = config.find("preprocess"); block != config.end() && !block->is_null())
    draft.add_preprocess(PreprocessKind::vitrail, *block, place);
  return draft;
}

void settle_head_size(ConfigDraft& draft, const std::string& place) {
  VisionTransformerConfig& c = draft.config;
  if (draft.attention_width == 0 || draft.is_open("num_heads")) return;
  if (c.num_heads < 1 || draft.attention_width % c.num_heads != 0)
    fail("model", "{}: num_heads {} does not divide the {} rows of q", place, c.num_heads,
         draft.attention_width);
  c.head_dim = draft.attention_width == c.embed_dim ? 0 : draft.attention_width / c.num_heads;
}

ConfigDraft draft_of(const TensorSource& tensors, const Spelling& spelling,
                     const CheckpointFiles& files, const Settings& settings) {
  constexpr const char* kConfig = "config.json";
  // A converted file of a family without a configuration carries ours.
  const bool ours = files.config.is_object() && files.config.contains("model");
  if (spelling.family == Family::vitrail || ours) {
    ConfigDraft draft = draft_from_vitrail(files.config, kConfig);
    apply_settings(draft, settings);
    return draft;
  }
  ConfigDraft draft = draft_from_shapes(tensors, spelling);
  apply_settings(draft, settings);
  const bool configured = files.config.is_object();
  switch (spelling.family) {
    case Family::hf_vit:
    case Family::hf_deit:
    case Family::hf_dinov2:
      settle_family_constants(draft, spelling);
      if (configured) settle_from_hf(draft, spelling, files.config, kConfig);
      if (!files.preprocessor.is_null())
        draft.add_preprocess(PreprocessKind::hf, files.preprocessor, "preprocessor_config.json");
      break;
    case Family::timm:
      if (configured) settle_from_timm(draft, files.config, kConfig);
      settle_from_matching(draft, spelling.family);
      settle_family_constants(draft, spelling);
      break;
    case Family::dinov2:
      settle_from_matching(draft, spelling.family);
      settle_family_constants(draft, spelling);
      break;
    case Family::vit_pytorch:
      settle_family_constants(draft, spelling);
      break;
    case Family::vitrail:
      break;
  }
  settle_head_size(draft, tensors.place());
  settle_positions(draft, spelling.family, tensors.place());
  return draft;
}

void add_labels(CheckpointInfo& info, const CheckpointFiles& files, const std::string& place) {
  if (info.config.num_classes == 0) return;
  ConfigLabels labels = labels_from_config(files.config, "config.json");
  if (labels.names.empty()) {
    info.labels_file = files.labels_file;
    if (info.labels_file.empty()) info.warnings.push_back("the classes have no names");
    return;
  }
  const auto classes = static_cast<int64_t>(labels.names.size());
  if (classes != info.config.num_classes)
    fail("labels", "{}: {} names {} classes, but the model answers {}", place, labels.source,
         classes, info.config.num_classes);
  info.sources.push_back({"labels", std::to_string(classes), labels.source});
  info.labels = std::move(labels.names);
  info.wnids = std::move(labels.wnids);
}

void add_rejection(CheckpointInfo& info, const CheckpointFiles& files) {
  info.rejection =
      rejection_from_json(files.config["rejection"], "config.json", files.gaussians.get());
  const auto& gaussians = info.rejection->gaussians;
  if (!gaussians) return;
  const int64_t classes = info.config.num_classes, width = info.config.pooled_dim();
  check(gaussians->classes() == classes && gaussians->width() == width, "model",
        "{} is of {} classes and {} features, the model has {} and {}", files.gaussians->place(),
        gaussians->classes(), gaussians->width(), classes, width);
}

}  // namespace

Checkpoint read_checkpoint(std::shared_ptr<TensorSource> tensors, const CheckpointFiles& files,
                           const CheckpointOptions& options) {
  Checkpoint checkpoint;
  checkpoint.info.notes = tensors->notes();
  check_module_class(*tensors);
  checkpoint.file = dequantized(std::move(tensors));
  const std::string& place = checkpoint.file->place();
  checkpoint.spelling = spelling_of(*checkpoint.file, files.config, options.settings);
  ConfigDraft draft = draft_of(*checkpoint.file, checkpoint.spelling, files, options.settings);
  apply_preprocess_settings(draft, options.settings);
  refuse_open_fields(draft, place, options.require_preprocess);

  CheckpointInfo& info = checkpoint.info;
  info.family = checkpoint.spelling.family;
  info.config = std::move(draft.config);
  info.sources = std::move(draft.sources);
  if (files.config.is_object() && files.config.contains("precision"))
    info.precision = precision_plan_from_json(files.config["precision"], "config.json");
  if (files.config.is_object() && files.config.contains("rejection")) add_rejection(info, files);
  info.preprocess_kind = draft.preprocess_kind;
  info.preprocess = std::move(draft.preprocess);
  if (files.config.is_object())
    info.model_type =
        get_optional<std::string>(files.config, "model_type", "config.json").value_or("");
  // Without values the model costs nothing; it knows its parameters' names and shapes.
  const VisionTransformer model(info.config);
  match_weights(model, *checkpoint.file, checkpoint.spelling, info);
  add_labels(info, files, place);
  for (const std::string& name : info.left_out)
    info.warnings.push_back("'" + name + "' is not part of the answer and is left out");
  checkpoint.tensors = canonical_tensors(checkpoint.file, model, info.weights);
  return checkpoint;
}

Checkpoint open_checkpoint(const std::filesystem::path& path, const CheckpointOptions& options) {
  std::error_code ignored;
  const bool folder = std::filesystem::is_directory(path, ignored);
  const std::filesystem::path beside = folder ? path : path.parent_path();
  CheckpointOptions rest = options;
  const std::string state_dict = taken(rest.settings, "state_dict");
  const std::string adapter = taken(rest.settings, "adapter");
  std::shared_ptr<TensorSource> tensors = open_tensors(path, state_dict);
  const CheckpointFiles files{read_if_there(beside / "config.json"),
                              read_if_there(beside / "preprocessor_config.json"),
                              labels_file_in(beside), tensors_if_there(beside / kRejectionFile)};
  Checkpoint checkpoint = read_checkpoint(std::move(tensors), files, rest);
  if (!adapter.empty()) apply_adapter(checkpoint, adapter);
  return checkpoint;
}

}  // namespace vitrail
