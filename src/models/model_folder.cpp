#include "models/model_folder.h"

#include "formats/json.h"
#include "formats/safetensors.h"
#include "kernels/gemm_int8.h"
#include "models/families/quantized_tensors.h"
#include "models/lora.h"

namespace vitrail {
namespace {

NamedTensors stored_weights(const ModelFolder& model) {
  NamedTensors tensors;
  Queue queue;
  for (const auto& [path, value] : merged_weights(model.network)) {
    const Parameter& parameter = model.network.parameters().at(path);
    const Precision precision = parameter.read_packed() ? model.precision.of(path) : Precision::f32;
    if (precision == Precision::f32) {
      tensors.emplace_back(path, value);
    } else if (precision == Precision::bf16) {
      tensors.emplace_back(path, value.to(DType::bf16));
    } else {
      const int64_t outputs = value.size(0);
      kernels::QuantizedWeight weight =
          kernels::quantize_weight(queue, value.f32(), outputs, value.numel() / outputs);
      tensors.emplace_back(path, weight.values.reshape(value.shape()));
      tensors.emplace_back(scale_name(path), weight.scales);
    }
  }
  return tensors;
}

}  // namespace

NamedTensors weights_of(const Network& model, const std::string& prefix) {
  NamedTensors tensors;
  for (const auto& parameter : model.parameters().all())
    tensors.emplace_back(prefix + parameter->path(), parameter->value());
  return tensors;
}

void store_rejection(const Rejection& rejection, const std::filesystem::path& folder,
                     nlohmann::json& config) {
  const std::filesystem::path file = folder / kRejectionFile;
  if (rejection.gaussians)
    write_safetensors(file, rejection.gaussians->tensors(), {{"format", "pt"}});
  else if (std::error_code error; !std::filesystem::remove(file, error) && error)
    fail("model", "{}: cannot be removed: {}", file.string(), error.message());
  config["rejection"] = to_json(rejection);
}

void write_model_folder(const std::filesystem::path& folder, const ModelFolder& model) {
  Json config{{"model_type", "vitrail"},
              {"model", to_json(model.network.config())},
              {"preprocess", model.preprocess}};
  if (!model.labels.empty()) config["labels"] = model.labels;
  if (!model.wnids.empty()) config["wnids"] = model.wnids;
  if (model.precision != PrecisionPlan{}) config["precision"] = to_json(model.precision);
  if (model.rejection) store_rejection(*model.rejection, folder, config);
  write_json(folder / "config.json", config);
  std::map<std::string, std::string> metadata{{"format", "pt"}};
  metadata.insert(model.metadata.begin(), model.metadata.end());
  write_safetensors(folder / "model.safetensors", stored_weights(model), metadata);
}

}  // namespace vitrail
