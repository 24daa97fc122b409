// Vitrail's own files: canonical names, and a config.json that says everything itself.
#include <array>

#include "core/error.h"
#include "models/families/answer_rules.h"
#include "models/families/own_config.h"
#include "models/families/reading/fields.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

constexpr const char* kOwnType = "vitrail";  // the model_type of our files

constexpr FieldRule kOwnFields[] = {
    {"family"}, {"model_type"}, {"model"},     {"preprocess"},   {"labels"},
    {"wnids"},  {"precision"},  {"rejection"}, {"problem_type"},
};

class OwnForm : public ConfigForm {
 public:
  bool matches(const nlohmann::json& config) const override {
    const auto type = config.find("model_type");
    const auto model = config.find("model");
    return (type != config.end() && *type == kOwnType) || config.contains("norm_placement") ||
           (model != config.end() && model->is_object());
  }
  const char* whose() const override { return "is Vitrail's"; }
  // The network is built from its fields, which name whatever there is.
  void check_model(const nlohmann::json&, const Settings&) const override {}
};

// A converted file of a family without a configuration carries ours, and keeps its own names.
bool says_another_family(const nlohmann::json& config) {
  return config.value("model_type", nlohmann::json()) != kOwnType &&
         !config.contains("norm_placement") && config.contains("family");
}

class OwnFamily : public Family {
 public:
  const char* name() const override { return "vitrail"; }
  const char* models() const override { return "Vitrail's own"; }
  const ConfigForm& config_form() const override { return own_form(); }

  std::optional<Claim> recognise(const FileEvidence& file) const override {
    if (!file.has_form(own_form()) || says_another_family(file.config())) return std::nullopt;
    return Claim{"", "Vitrail's config.json", true};
  }
  NameTables tables(const Spelling&) const override { return {{}, 0, true}; }
  // Kept for the family it came from.
  bool is_left_out(std::string_view name) const override { return name == "mask_token"; }

  ReadModel read(const FileReading& file) const override { return read_own_config(file); }

  Adapted express(const NetworkConfig& config, const TensorSource& canonical) const override {
    Adapted same{.config = config, .tensors = {}, .folds = {}};
    for (const std::string& name : canonical.names()) same.tensors[name] = canonical.tensor(name);
    return same;
  }
  nlohmann::json config_for(const NetworkConfig& config, const ConversionOptions& options,
                            std::vector<std::string>&) const override {
    nlohmann::json own = own_config(config, options);
    own["model_type"] = kOwnType;
    return own;
  }
  // As timm's, which other programs load.
  std::vector<const Family*> classifier_forms() const override { return {timm_family()}; }
};

// The bare form is the model itself, whose fields are checked when it is read.
void check_own_fields(const nlohmann::json& config, const std::string& place) {
  if (!config.contains("model")) return;
  const std::array<std::span<const FieldRule>, 1> rules = {kOwnFields};
  check_fields(config, {place, "Vitrail's configuration", rules});
}

}  // namespace

const Family* own_family() {
  static const OwnFamily family;
  return &family;
}

const ConfigForm& own_form() {
  static const OwnForm form;
  return form;
}

nlohmann::json own_config(const NetworkConfig& config, const ConversionOptions& options) {
  nlohmann::json own = {{"family", name_of(options.target)}, {"model", to_json(config)}};
  if (!options.preprocess.is_null()) own["preprocess"] = options.preprocess;
  if (!options.labels.empty()) own["labels"] = options.labels;
  if (!options.wnids.empty()) own["wnids"] = options.wnids;
  return own;
}

ReadModel read_own_config(const FileReading& file) {
  const nlohmann::json& config = file.files.config;
  const std::string& place = file.files.config_name;
  check_own_fields(config, place);
  const auto model = config.find("model");
  const nlohmann::json& fields = model == config.end() ? config : *model;
  NetworkDraft network(network_config_from_json(fields));
  const auto settle_with = [&](ReadingDraft& draft) {
    draft.sources.push_back({"model", "", place});
    if (const auto block = config.find("preprocess"); block != config.end() && !block->is_null())
      draft.add_preprocess(PreprocessKind::vitrail, *block, place);
    // Nothing is guessed of what a single number means.
    const ClassAnswer answer = network.class_answer();
    const bool says = fields.contains("answer") || answer.meaning != Answer::softmax;
    if (answer.classes == 1 && !says) draft.open.insert("answer");
  };
  if (const auto* vit = network.config.get_if<VitConfig>()) {
    ConfigDraft draft;
    draft.config = *vit;
    settle_with(draft);
    apply_settings(draft, file.settings);
    apply_size_settings(draft, file.settings);
    finish_answer(draft);
    return finished(draft, draft.config, file);
  }
  settle_with(network);
  apply_settings(network, file.settings);
  finish_answer(network);
  return finished(network, network.config, file);
}

}  // namespace vitrail
