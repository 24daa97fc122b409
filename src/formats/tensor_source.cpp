#include "formats/tensor_source.h"

#include "core/error.h"
#include "core/printable.h"

namespace vitrail {

const TensorInfo& TensorSource::info(std::string_view name) const {
  const TensorInfo* found = find(name);
  if (found == nullptr) fail("tensors", "{}: has no tensor '{}'", place(), printable(name));
  return *found;
}

std::optional<QuantizedTensor> TensorSource::quantized(std::string_view) const {
  return std::nullopt;
}

const std::vector<std::string>& TensorSource::notes() const {
  static const std::vector<std::string> none;
  return none;
}

const std::string& TensorSource::module_class() const {
  static const std::string none;
  return none;
}
const std::string& TensorSource::module_fields() const {
  static const std::string none;
  return none;
}

MemoryTensors::MemoryTensors(const NamedTensors& tensors,
                             std::map<std::string, std::string> metadata, std::string place)
    : metadata_(std::move(metadata)), place_(std::move(place)) {
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.defined()) fail("tensors", "{}: tensor '{}' holds nothing", place_, name);
    const bool fresh =
        entries_.emplace(name, Entry{{tensor.dtype(), tensor.shape()}, tensor}).second;
    if (!fresh) fail("tensors", "{}: two tensors are called '{}'", place_, name);
  }
}

std::vector<std::string> MemoryTensors::names() const {
  std::vector<std::string> names;
  names.reserve(entries_.size());
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

const TensorInfo* MemoryTensors::find(std::string_view name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second.info;
}

Tensor MemoryTensors::tensor(std::string_view name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) fail("tensors", "{}: has no tensor '{}'", place_, printable(name));
  return found->second.tensor;
}

}  // namespace vitrail
