#include "models/families/quantized_tensors.h"

#include "core/error.h"
#include "core/queue.h"
#include "kernels/gemm_int8.h"

namespace vitrail {
namespace {

class DequantizedTensors : public TensorSource {
 public:
  explicit DequantizedTensors(std::shared_ptr<TensorSource> stored) : stored_(std::move(stored)) {
    for (const std::string& name : stored_->names()) {
      TensorInfo info = stored_->info(name);
      if (info.dtype == DType::i8) {
        const TensorInfo* scale = stored_->find(scale_name(name));
        if (scale == nullptr) fail("model", "{}: '{}' has no scales", place(), name);
        if (scale->dtype != DType::f32 || info.shape.rank() < 1 ||
            scale->shape != Shape{info.shape[0]})
          fail("model", "{}: '{}' must be f32 with one value for each row of {}", place(),
               scale_name(name), info.shape.str());
        info.dtype = DType::f32;
      }
      entries_.emplace(name, info);
    }
    for (const std::string& name : stored_->names())
      if (stored_->info(name).dtype == DType::i8) entries_.erase(scale_name(name));
  }

  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, info] : entries_) names.push_back(name);
    return names;
  }
  const TensorInfo* find(std::string_view name) const override {
    const auto found = entries_.find(name);
    return found == entries_.end() ? nullptr : &found->second;
  }
  Tensor tensor(std::string_view name) const override {
    const std::optional<QuantizedTensor> weight = quantized(name);
    if (!weight) return stored_->tensor(name);
    Tensor floats = Tensor::empty(weight->values.shape());
    if (floats.numel() == 0) return floats;
    Queue queue(1);  // weights are read from several threads already
    kernels::dequantize_weight(
        queue, {weight->values.reshape({floats.size(0), -1}), weight->scales}, floats.f32());
    return floats;
  }
  std::optional<QuantizedTensor> quantized(std::string_view name) const override {
    const TensorInfo* info = stored_->find(name);
    if (info == nullptr || info->dtype != DType::i8) return std::nullopt;
    return QuantizedTensor{stored_->tensor(name), stored_->tensor(scale_name(std::string(name)))};
  }
  const std::map<std::string, std::string>& metadata() const override {
    return stored_->metadata();
  }
  const std::string& place() const override { return stored_->place(); }

 private:
  std::shared_ptr<TensorSource> stored_;
  std::map<std::string, TensorInfo, std::less<>> entries_;
};

}  // namespace

std::shared_ptr<TensorSource> dequantized(std::shared_ptr<TensorSource> tensors) {
  for (const std::string& name : tensors->names())
    if (tensors->info(name).dtype == DType::i8)
      return std::make_shared<DequantizedTensors>(std::move(tensors));
  return tensors;
}

std::string scale_name(const std::string& weight) {
  return weight + "_scale";
}

nlohmann::json to_json(const PrecisionPlan& plan) {
  nlohmann::json layers = nlohmann::json::object();
  for (const auto& [path, precision] : plan.layers) layers[path] = name_of(precision);
  return {{"base", name_of(plan.base)}, {"layers", layers}};
}

PrecisionPlan precision_plan_from_json(const nlohmann::json& json, const std::string& place) {
  const auto name = [&](const nlohmann::json& value) {
    if (!value.is_string()) fail("model", "{}: \"precision\" takes names such as \"int8\"", place);
    return precision_from_name(value.get<std::string>());
  };
  if (!json.is_object() || !json.contains("base"))
    fail("model", "{}: \"precision\" must be an object with a \"base\"", place);
  PrecisionPlan plan{.base = name(json.at("base"))};
  if (const auto layers = json.find("layers"); layers != json.end()) {
    if (!layers->is_object()) fail("model", "{}: \"precision.layers\" must be an object", place);
    for (const auto& [path, value] : layers->items()) plan.layers.emplace(path, name(value));
  }
  return plan;
}

}  // namespace vitrail
