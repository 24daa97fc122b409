#include "models/families/timm/timm_form.h"

#include <algorithm>
#include <array>

#include "core/advice.h"
#include "core/error.h"
#include "core/printable.h"
#include "models/families/published.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

constexpr const char* kConfigFile = "config.json";

bool is_text(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string();
}

// Parts of timm's names, and what the definitions that have them compute beside a plain ViT: the
// first that is found. Some of their files have a plain ViT's tensors to the last name.
constexpr std::pair<std::string_view, const char*> kMissing[] = {
    {"naflexvit", "patches of any grid"},
    {"sapiens2", "rotary positions and grouped queries"},
    {"samvit", "relative positions and windows"},
    {"vit_base_mci", "a convolutional stem"},
    {"vitamin", "a convolutional stem"},
    {"swin", "shifted windows"},
    {"cait", "talking heads and class attention"},
    {"xcit", "cross-covariance attention"},
    {"volo", "outlook attention"},
    {"pit_", "pooling between stages"},
    {"twins", "a pyramid of stages"},
    {"crossvit", "two branches of patches"},
    {"coat_", "a pyramid of stages"},
    {"convit", "gated positions"},
    {"tnt_", "transformers within transformers"},
    {"nest_", "a hierarchy of blocks"},
    {"levit", "attention with biases"},
    {"visformer", "convolutional stages"},
    {"hiera", "mask units and pooling"},
    {"mvit", "pooling attention"},
    {"efficientvit", "convolutional stages"},
    {"efficientformerv2", "attention over strided maps"},
    {"repvit", "convolutional stages"},
    {"fastvit", "convolutional stages"},
    {"mobilenetv4_hybrid", "convolutional stages"},
    {"gemma", "another transformer's blocks"},
    {"qwen", "another transformer's blocks"},
    {"deepseek", "another transformer's blocks"},
    {"mixer", "mixing of tokens by MLPs"},
    {"gmlp", "gated mixing of tokens"},
    {"resmlp", "mixing of tokens by MLPs"},
    {"sequencer", "recurrent mixing of tokens"},
};

bool is_known(std::string_view architecture) {
  const Family* family = family_of_model(architecture);
  return find_published(architecture) != nullptr ||
         (family != nullptr && &family->config_form() == &timm_form());
}

class TimmForm : public ConfigForm {
 public:
  bool matches(const nlohmann::json& config) const override {
    const auto type = config.find("model_type");
    return (type != config.end() && *type == "timm_wrapper") || config.contains("architecture") ||
           config.contains("pretrained_cfg");
  }
  const char* whose() const override { return "is timm's"; }

  void check_model(const nlohmann::json& config, const Settings& settings) const override {
    const std::string name = timm_architecture_of(config);
    if (name.empty())
      fail("family", "{}: names no architecture, which timm's always does", kConfigFile);
    if (is_known(name)) return;
    if (const char* missing = missing_of_timm(name))
      fail(ErrorCode::unsupported, "family",
           "{}: says architecture '{}', a model with {}, which Vitrail does not implement",
           kConfigFile, printable(name), missing);
    const bool said =
        std::ranges::any_of(settings, [](const auto& s) { return s.first == "architecture"; });
    if (!said)
      fail("family",
           "{}: says architecture '{}', which Vitrail does not know; if it is a definition of timm "
           "under a name of your own, give timm's name with {}",
           kConfigFile, printable(name), said_setting("architecture", "..."));
  }
};

}  // namespace

const ConfigForm& timm_form() {
  static const TimmForm form;
  return form;
}

const char* missing_of_timm(std::string_view architecture) {
  if (is_known(architecture)) return nullptr;
  for (const auto& [part, missing] : kMissing)
    if (architecture.find(part) != std::string_view::npos) return missing;
  return nullptr;
}

std::string timm_architecture_of(const nlohmann::json& config) {
  const nlohmann::json* holder = &config;
  if (!is_text(config, "architecture")) {
    const auto nested = config.find("pretrained_cfg");
    if (nested == config.end() || !nested->is_object() || !is_text(*nested, "architecture"))
      return "";
    holder = &*nested;
  }
  const auto& name = (*holder)["architecture"].get_ref<const std::string&>();
  return name.substr(0, name.find('.'));
}

}  // namespace vitrail
