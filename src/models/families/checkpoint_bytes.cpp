// A checkpoint whose files lie in memory.
#include <algorithm>

#include "core/advice.h"
#include "core/error.h"
#include "formats/file_kind.h"
#include "formats/json.h"
#include "formats/npz.h"
#include "formats/pth.h"
#include "formats/safetensors.h"
#include "formats/wrapper_names.h"
#include "models/families/checkpoint.h"

namespace vitrail {
namespace {

using Bytes = std::span<const std::byte>;

// Tensors of their own: those of the files that are read share the caller's memory.
class OwnedTensors : public TensorSource {
 public:
  explicit OwnedTensors(std::shared_ptr<TensorSource> tensors) : tensors_(std::move(tensors)) {}

  std::vector<std::string> names() const override { return tensors_->names(); }
  const TensorInfo* find(std::string_view name) const override { return tensors_->find(name); }
  Tensor tensor(std::string_view name) const override { return tensors_->tensor(name).clone(); }
  std::optional<QuantizedTensor> quantized(std::string_view name) const override {
    auto stored = tensors_->quantized(name);
    if (stored) *stored = {stored->values.clone(), stored->scales.clone()};
    return stored;
  }
  const std::map<std::string, std::string>& metadata() const override {
    return tensors_->metadata();
  }
  const std::string& place() const override { return tensors_->place(); }
  const std::vector<std::string>& notes() const override { return tensors_->notes(); }
  const std::string& module_class() const override { return tensors_->module_class(); }

 private:
  std::shared_ptr<TensorSource> tensors_;
};

std::shared_ptr<TensorSource> parse_safetensors(Bytes bytes, const std::string& place) {
  return std::make_shared<OwnedTensors>(SafetensorsFile::parse(bytes, nullptr, place));
}

std::shared_ptr<TensorSource> parse_weights(Bytes bytes, const std::string& place,
                                            const std::string& state_dict) {
  if (is_npz(bytes) && state_dict.empty()) return NpzFile::parse(bytes, nullptr, place);
  if (is_pth(bytes))
    return std::make_shared<OwnedTensors>(
        PthFile::parse(bytes, nullptr, place, {.state_dict = state_dict}));
  check(state_dict.empty(), "model",
        "{}: is not a file of torch.save, so state_dict={} chooses nothing in it", place,
        state_dict);
  if (const std::string kind = foreign_kind(bytes.first(std::min(bytes.size(), kForeignBytes)));
      !kind.empty())
    fail(ErrorCode::unsupported, "model", "{}: is {}", place, kind);
  return unwrapped(parse_safetensors(bytes, place));
}

Json parse_if_there(std::string_view text, const char* name) {
  if (text.empty()) return nullptr;
  return parse_json(text, name);
}

}  // namespace

Checkpoint read_checkpoint(Bytes weights, const CheckpointTexts& texts,
                           const CheckpointOptions& options) {
  CheckpointOptions rest = options;
  std::string state_dict;
  std::erase_if(rest.settings, [&](const auto& setting) {
    check(setting.first != "adapter", said(Option::settings).c_str(),
          "adapter: names a folder, and this model lies in memory");
    if (setting.first != "state_dict") return false;
    state_dict = setting.second;
    return true;
  });
  const CheckpointFiles files{
      .config = parse_if_there(texts.config, "config.json"),
      .preprocessor = parse_if_there(texts.preprocessor, "preprocessor_config.json"),
      .labels_file = {},
      .gaussians =
          texts.rejection.empty() ? nullptr : parse_safetensors(texts.rejection, kRejectionFile)};
  return read_checkpoint(parse_weights(weights, texts.place, state_dict), files, rest);
}

}  // namespace vitrail
