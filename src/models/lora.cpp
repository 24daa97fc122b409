#include "models/lora.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "formats/json.h"
#include "formats/safetensors.h"

namespace vitrail {
namespace {

constexpr std::string_view kWeight = ".weight";
constexpr const char* kPeftPrefix = "base_model.model.";
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
bool is_head(const std::string& path) {
  return path.starts_with("head.") || path.starts_with("head_dist.");
}
bool is_adapter(const std::string& path) {
  return path.ends_with(kA) || path.ends_with(kB);
}

// Every adapter on the model. visit_linears hands out slots to change, so it is not const.
std::map<std::string, const LoraLinear*> adapters_of(const VisionTransformer& model) {
  std::map<std::string, const LoraLinear*> adapters;
  const_cast<VisionTransformer&>(model).visit_linears([&](LinearSlot& slot) {
    if (const auto* adapter = dynamic_cast<const LoraLinear*>(slot.get()))
      adapters.emplace(adapter->weight().path(), adapter);
  });
  return adapters;
}

// Canonical tensors with an adapter's product added, and its heads in the place of the file's.
class AdaptedTensors : public TensorSource {
 public:
  AdaptedTensors(std::shared_ptr<TensorSource> base, std::shared_ptr<TensorSource> adapter,
                 double scale)
      : base_(std::move(base)), adapter_(std::move(adapter)), scale_(scale) {
    for (const std::string& name : base_->names())
      if (!is_head(name)) infos_.emplace(name, base_->info(name));
    for (const std::string& name : adapter_->names())
      if (const std::string path = name.substr(std::string(kPeftPrefix).size()); is_head(path))
        infos_.emplace(path, adapter_->info(name));
    for (const std::string& name : adapter_->names()) {
      if (!name.ends_with(kA)) continue;
      const std::string module = name.substr(0, name.size() - std::string(kA).size());
      const std::string path = module.substr(std::string(kPeftPrefix).size()) + ".weight";
      const auto found = infos_.find(path);
      const TensorInfo* b = adapter_->find(module + kB);
      const TensorInfo& a = adapter_->info(name);
      const bool fits = found != infos_.end() && b != nullptr && a.shape.rank() == 2 &&
                        b->shape.rank() == 2 && b->shape[1] == a.shape[0] &&
                        found->second.shape.rank() >= 1 && b->shape[0] == found->second.shape[0] &&
                        b->shape[0] * a.shape[1] == found->second.shape.numel() &&
                        a.dtype == DType::f32 && b->dtype == DType::f32;
      if (!fits)
        fail("adapter", "{}: '{}' does not fit the model {}", adapter_->place(), name,
             base_->place());
      found->second.dtype = DType::f32;
    }
  }

  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, info] : infos_) names.push_back(name);
    return names;
  }
  const TensorInfo* find(std::string_view name) const override {
    const auto found = infos_.find(name);
    return found == infos_.end() ? nullptr : &found->second;
  }
  Tensor tensor(std::string_view name) const override {
    const std::string path(name);
    if (is_head(path)) return adapter_->tensor(kPeftPrefix + path);
    Tensor weight = base_->tensor(name);
    const std::string module = adapted_module(path);
    if (module.empty()) return weight;
    Queue queue(1);  // weights are read from several threads already
    return add_low_rank(queue, weight.to(DType::f32), adapter_->tensor(module + kA),
                        adapter_->tensor(module + kB), scale_);
  }
  std::optional<QuantizedTensor> quantized(std::string_view name) const override {
    const std::string path(name);
    const bool changed = is_head(path) || !adapted_module(path).empty();
    return changed ? std::nullopt : base_->quantized(name);
  }
  const std::map<std::string, std::string>& metadata() const override { return base_->metadata(); }
  const std::string& place() const override { return base_->place(); }

 private:
  // The adapter's name for the module of this weight; "": it leaves the parameter alone.
  std::string adapted_module(const std::string& path) const {
    if (!path.ends_with(kWeight)) return "";
    const std::string module = kPeftPrefix + path.substr(0, path.size() - kWeight.size());
    return adapter_->contains(module + kA) ? module : "";
  }

  std::shared_ptr<TensorSource> base_, adapter_;
  double scale_;
  std::map<std::string, TensorInfo, std::less<>> infos_;
};

}  // namespace

int64_t add_lora(VisionTransformer& model, const LoraConfig& config, uint64_t seed) {
  for (const auto& parameter : model.parameters().all())
    if (!is_head(parameter->path())) parameter->set_trainable(false);
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
  check(model.config().depth > 0, "lora",
        "the model has no transformer blocks to adapt; train it whole (--method full) or its head "
        "alone (--method probe)");
  check(count > 0, "lora", "the model has none of the projections that were asked for");
  return count;
}

void merge_lora(Queue& queue, VisionTransformer& model) {
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

NamedTensors merged_weights(const VisionTransformer& model) {
  const auto adapters = adapters_of(model);
  NamedTensors tensors;
  Queue queue;
  for (const auto& parameter : model.parameters().all()) {
    const std::string& path = parameter->path();
    if (is_adapter(path)) continue;
    const auto found = adapters.find(path);
    tensors.emplace_back(
        path, found == adapters.end() ? parameter->value() : found->second->merged_weight(queue));
  }
  return tensors;
}

void write_adapter(const std::filesystem::path& folder, const VisionTransformer& model,
                   const AdapterFile& file) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  check(!error, "adapter", "{}: the folder cannot be made: {}", folder.string(), error.message());
  NamedTensors tensors;
  Json modules = Json::array();  // by their whole paths: "proj" alone is the patch embedding's, too
  for (const auto& [path, adapter] : adapters_of(model)) modules.push_back(module_of(*adapter));
  bool two_heads = false;
  for (const auto& parameter : model.parameters().all()) {
    const std::string& path = parameter->path();
    if (is_adapter(path) || is_head(path))
      tensors.emplace_back(kPeftPrefix + path, parameter->value());
    two_heads |= path.starts_with("head_dist.");
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
  if (two_heads) config["modules_to_save"].push_back("head_dist");
  write_json(folder / "adapter_config.json", config);
  if (!file.labels.empty()) write_json(folder / kLabels, file.labels);
  write_safetensors(folder / "adapter_model.safetensors", tensors, {{"format", "pt"}});
}

void apply_adapter(Checkpoint& checkpoint, const std::filesystem::path& folder) {
  const std::string place = (folder / "adapter_config.json").string();
  const Json config = read_json(folder / "adapter_config.json");
  if (!config.is_object() || config.value("peft_type", Json()) != "LORA")
    fail("adapter", "{}: is not the configuration of a LoRA adapter", place);
  const auto rank = get_in(config, "r", place, {1, 1 << 16});
  const auto alpha = get<double>(config, "lora_alpha", place);
  const auto adapter = SafetensorsFile::open(folder / "adapter_model.safetensors");
  for (const std::string& name : adapter->names())
    if (!name.starts_with(kPeftPrefix) || adapter->info(name).dtype != DType::f32)
      fail("adapter", "{}: '{}' is not an adapter's name, or not f32", adapter->place(), name);
  const TensorInfo& head = adapter->info(std::string(kPeftPrefix) + "head.weight");
  check(head.shape.rank() == 2, "adapter", "{}: the head is {}", adapter->place(),
        head.shape.str());
  CheckpointInfo& info = checkpoint.info;
  info.config.num_classes = head.shape[0];
  info.labels.clear();
  const std::filesystem::path labels = folder / kLabels;
  if (std::filesystem::exists(labels)) {
    const Json names = read_json(labels);
    const bool strings =
        names.is_array() && std::ranges::all_of(names, [](const Json& n) { return n.is_string(); });
    if (!strings || static_cast<int64_t>(names.size()) != info.config.num_classes)
      fail("adapter", "{}: must be an array of the names of the head's {} classes", labels.string(),
           info.config.num_classes);
    info.labels = names.get<std::vector<std::string>>();
  }
  info.wnids.clear();
  info.labels_file.clear();
  info.rejection.reset();  // it was the base's head that was calibrated
  std::erase_if(info.warnings,
                [](const std::string& text) { return text == "the classes have no names"; });
  checkpoint.tensors = std::make_shared<AdaptedTensors>(checkpoint.tensors, adapter,
                                                        alpha / static_cast<double>(rank));
  // Parameters and the adapter's tensors fit each other, or an Error says which do not.
  const VisionTransformer model(info.config);
  for (const auto& parameter : model.parameters().all()) {
    const TensorInfo& found = checkpoint.tensors->info(parameter->path());
    check(found.shape == parameter->shape(), "adapter", "{}: {} is {}, the model's is {}",
          adapter->place(), parameter->path(), found.shape.str(), parameter->shape().str());
  }
}

}  // namespace vitrail
