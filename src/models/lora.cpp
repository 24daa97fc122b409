#include "models/lora.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "models/families/answer_rules.h"
#include "models/heads/classifier_head.h"
#include "models/peft/adapter_names.h"
#include "models/transfer.h"

namespace vitrail {
namespace {

constexpr std::string_view kWeight = ".weight";
constexpr const char* kA = ".lora_A.weight";
constexpr const char* kB = ".lora_B.weight";
constexpr const char* kLabels = "labels.json";

std::string module_of(const Linear& linear) {
  const std::string& path = linear.weight().path();
  return path.substr(0, path.size() - kWeight.size());
}
std::string last_part(const std::string& path) {
  return path.substr(path.rfind('.') + 1);
}
bool is_adapter(const Parameter& parameter) {
  return parameter.role().kind == ParameterRole::Kind::adapter;
}

// Every adapter on the model.
std::map<std::string, const LoraLinear*> adapters_of(const Network& model) {
  std::map<std::string, const LoraLinear*> adapters;
  model.visit_linears([&](const LinearSlot& slot) {
    if (const auto* adapter = dynamic_cast<const LoraLinear*>(slot.get()))
      adapters.emplace(adapter->weight().path(), adapter);
  });
  return adapters;
}

}  // namespace

int64_t add_lora(Network& model, const LoraConfig& config, uint64_t seed) {
  for (const auto& parameter : model.parameters().all())
    if (!is_head(*parameter)) parameter->set_trainable(false);
  int64_t count = 0;
  model.visit_linears([&](LinearSlot& slot) {
    const std::string module = module_of(*slot.get());
    if (std::ranges::find(config.targets, last_part(module)) == config.targets.end()) return;
    auto adapter =
        std::make_unique<LoraLinear>(model.parameters(), module, slot.replace(nullptr),
                                     LoraOptions{.rank = config.rank, .alpha = config.alpha});
    model.parameters().initialise(seed, adapter->a());
    model.parameters().initialise(seed, adapter->b());
    slot.replace(std::move(adapter));
    ++count;
  });
  check(!model.backbone().blocks().empty(), "lora",
        "the model has no transformer blocks to adapt; train it whole (--method full) or its head "
        "alone (--method probe)");
  check(count > 0, "lora", "the model has none of the projections that were asked for");
  return count;
}

void merge_lora(Queue& queue, Network& model) {
  model.visit_linears([&](LinearSlot& slot) {
    auto* adapter = dynamic_cast<LoraLinear*>(slot.get());
    if (adapter == nullptr) return;
    adapter->weight().set_value(adapter->merged_weight(queue));
    const std::string module = module_of(*adapter);
    slot.replace(adapter->take_base());  // destroys the adapter
    model.parameters().remove(module + kA);
    model.parameters().remove(module + kB);
  });
}

NamedTensors merged_weights(const Network& model) {
  const auto adapters = adapters_of(model);
  NamedTensors tensors;
  Queue queue;
  for (const auto& parameter : model.parameters().all()) {
    const std::string& path = parameter->path();
    if (is_adapter(*parameter)) continue;
    const auto found = adapters.find(path);
    tensors.emplace_back(
        path, found == adapters.end() ? parameter->value() : found->second->merged_weight(queue));
  }
  return tensors;
}

void write_adapter(const std::filesystem::path& folder, const Network& model,
                   const AdapterFile& file) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  check(!error, "adapter", "{}: the folder cannot be made: {}", folder.string(), error.message());
  NamedTensors tensors;
  Json modules = Json::array();  // by their whole paths: "proj" alone is the patch embedding's, too
  for (const auto& [path, adapter] : adapters_of(model)) modules.push_back(module_of(*adapter));
  for (const auto& parameter : model.parameters().all()) {
    const std::string& path = parameter->path();
    if (is_adapter(*parameter) || is_head(*parameter))
      tensors.emplace_back(std::string(kPeftPrefix) + path, parameter->value());
  }
  Json config{{"peft_type", "LORA"},
              {"task_type", nullptr},
              {"base_model_name_or_path", file.base_model},
              {"r", file.config.rank},
              {"lora_alpha", file.config.alpha},
              {"lora_dropout", 0.0},
              {"bias", "none"},
              {"fan_in_fan_out", false},
              {"inference_mode", true},
              {"target_modules", modules},
              {"modules_to_save", {"head"}}};
  if (model.head().distillation_linear() != nullptr) config["modules_to_save"].push_back("head_dist");
  write_json(folder / "adapter_config.json", config);
  if (!file.labels.empty()) write_json(folder / kLabels, file.labels);
  write_json(folder / kAdapterAnswer, answer_json(model.class_answer()));
  write_safetensors(folder / "adapter_model.safetensors", tensors, {{"format", "pt"}});
}

}  // namespace vitrail
