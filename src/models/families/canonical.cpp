#include "models/families/canonical.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "core/error.h"

namespace vitrail {

bool is_float(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::f64;
}

namespace {

// Shapes that differ in axes of one alone hold the same tensor: [1, 1, D], [1, D] and [D].
bool same_but_for_ones(const Shape& left, const Shape& right) {
  const auto squeezed = [](const Shape& shape) {
    std::vector<int64_t> dims;
    for (const int64_t dim : shape)
      if (dim != 1) dims.push_back(dim);
    return dims;
  };
  return squeezed(left) == squeezed(right);
}

// All of the tensor's parts must be as long as the wanted one says.
void check_tensor_part(const TensorSource& tensors, const WeightRule& rule, const Shape& wanted) {
  const std::string& name = rule.parts.front();
  const Shape& shape = tensors.info(name).shape;
  const auto [begin, end, of] = *rule.part;
  const bool fits = shape.rank() == wanted.rank() && shape.rank() > 0 &&
                    shape[0] * (end - begin) == wanted[0] * of &&
                    std::equal(shape.begin() + 1, shape.end(), wanted.begin() + 1);
  if (!fits)
    fail("model", "{}: '{}' is {}, and {} of its {} parts are no {} of {}", tensors.place(), name,
         shape.str(), end - begin, of, rule.canonical, wanted.str());
}

void check_shapes(const TensorSource& tensors, const WeightRule& rule, const Shape& wanted) {
  int64_t rows = 0;
  for (const std::string& part : rule.parts) {
    const TensorInfo& info = tensors.info(part);
    if (!is_float(info.dtype))
      fail("model", "{}: '{}' holds {}, not floats", tensors.place(), part, name_of(info.dtype));
    if (rule.part) {
      check_tensor_part(tensors, rule, wanted);
      return;
    }
    if (rule.parts.size() == 1) {
      if (!same_but_for_ones(info.shape, wanted))
        fail("model", "{}: '{}' is {}, but the model's {} is {}", tensors.place(), part,
             info.shape.str(), rule.canonical, wanted.str());
      return;
    }
    if (info.shape.rank() != wanted.rank() ||
        !std::equal(info.shape.begin() + 1, info.shape.end(), wanted.begin() + 1))
      fail("model", "{}: '{}' is {}, which is no part of the model's {} {}", tensors.place(), part,
           info.shape.str(), rule.canonical, wanted.str());
    rows += info.shape[0];
  }
  if (rows != wanted[0])
    fail("model", "{}: '{}' and its companions have {} rows, but the model's {} is {}",
         tensors.place(), rule.parts.front(), rows, rule.canonical, wanted.str());
}

template <typename Bits, Bits exponent>
bool all_finite(const Tensor& tensor) {
  // The exponent's bits are all set in infinities and NaN alone. Counting keeps the loop simple
  // enough to run as fast as memory.
  const auto* bits = static_cast<const Bits*>(tensor.raw());
  int64_t bad = 0;
  for (int64_t i = 0; i < tensor.numel(); ++i) bad += (bits[i] & exponent) == exponent;
  return bad == 0;
}

bool is_finite(const Tensor& tensor) {
  switch (tensor.dtype()) {
    case DType::f32:
      return all_finite<uint32_t, 0x7f800000u>(tensor);
    case DType::f64:
      return all_finite<uint64_t, 0x7ff0000000000000u>(tensor);
    case DType::f16:
      return all_finite<uint16_t, 0x7c00u>(tensor);
    case DType::bf16:
      return all_finite<uint16_t, 0x7f80u>(tensor);
    default:
      return true;
  }
}

constexpr float kLargestInt8 = 128;  // times its scale it must be a number, too

// The rows of several tensors, one's below the other's.
Tensor stacked(const std::vector<Tensor>& parts, const Shape& shape, DType dtype) {
  if (parts.size() == 1) return parts.front().reshape(shape);
  Tensor all = Tensor::empty(shape, dtype);
  auto* target = static_cast<std::byte*>(all.raw());
  for (const Tensor& part : parts) {
    const Tensor tensor = part.to(dtype);
    std::memcpy(target, tensor.raw(), tensor.bytes());
    target += tensor.bytes();
  }
  return all;
}

class CanonicalTensors : public TensorSource {
 public:
  CanonicalTensors(std::shared_ptr<TensorSource> tensors, const Network& model,
                   const std::vector<WeightRule>& rules)
      : tensors_(std::move(tensors)) {
    for (const WeightRule& rule : rules) {
      const TensorInfo info{tensors_->info(rule.parts.front()).dtype,
                            model.parameters().at(rule.canonical).shape()};
      entries_.emplace(rule.canonical, Entry{info, rule.parts, rule.part});
    }
  }

  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, entry] : entries_) names.push_back(name);
    return names;
  }
  const TensorInfo* find(std::string_view name) const override {
    const auto found = entries_.find(name);
    return found == entries_.end() ? nullptr : &found->second.info;
  }
  Tensor tensor(std::string_view name) const override {
    const auto found = entries_.find(name);
    if (found == entries_.end()) fail("model", "{}: has no parameter '{}'", place(), name);
    const auto& [info, parts, of_tensor] = found->second;
    std::vector<Tensor> tensors;
    for (const std::string& part : parts) tensors.push_back(finite(tensors_->tensor(part), part));
    if (of_tensor) {
      const int64_t rows = tensors.front().size(0) / of_tensor->of;
      tensors.front() = tensors.front().rows(of_tensor->begin * rows, of_tensor->end * rows);
    }
    return stacked(tensors, info.shape, info.dtype);
  }
  std::optional<QuantizedTensor> quantized(std::string_view name) const override {
    const auto found = entries_.find(name);
    if (found == entries_.end()) return std::nullopt;
    const auto& [info, parts, of_tensor] = found->second;
    if (of_tensor) return std::nullopt;
    std::vector<Tensor> values, scales;
    int64_t rows = 0;
    for (const std::string& part : parts) {
      std::optional<QuantizedTensor> stored = tensors_->quantized(part);
      if (!stored) return std::nullopt;
      rows += stored->values.size(0);
      values.push_back(std::move(stored->values));
      for (const float scale : stored->scales.values())
        if (!std::isfinite(scale * kLargestInt8))
          fail("model", "{}: '{}' holds a NaN or an infinity", tensors_->place(), part);
      scales.push_back(std::move(stored->scales));
    }
    // [1, N, K] in the place of [N, K] has its scales elsewhere.
    if (info.shape.rank() == 0 || rows != info.shape[0] || info.shape.numel() == 0)
      return std::nullopt;
    return QuantizedTensor{stacked(values, info.shape, DType::i8),
                           stacked(scales, {rows}, DType::f32)};
  }
  const std::map<std::string, std::string>& metadata() const override {
    return tensors_->metadata();
  }
  const std::string& place() const override { return tensors_->place(); }

 private:
  struct Entry {
    TensorInfo info;
    std::vector<std::string> parts;
    std::optional<TensorPart> of_tensor;
  };
  Tensor finite(Tensor tensor, const std::string& name) const {
    if (!is_finite(tensor))
      fail("model", "{}: '{}' holds a NaN or an infinity", tensors_->place(), name);
    return tensor;
  }

  std::shared_ptr<TensorSource> tensors_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace

void match_weights(const Network& model, const TensorSource& tensors, const Spelling& spelling,
                   CheckpointInfo& info) {
  std::set<std::string> used;
  for (const auto& parameter : model.parameters().all()) {
    WeightRule rule = rule_for(spelling, parameter->path());
    if (rule.parts.empty())
      fail("model", "{}: {} models have no {}", tensors.place(), name_of(spelling.family),
           rule.canonical);
    for (const std::string& part : rule.parts) {
      if (!tensors.contains(part))
        fail("model", "{}: lacks the tensor '{}'", tensors.place(), part);
      used.insert(part);
    }
    check_shapes(tensors, rule, parameter->shape());
    info.weights.push_back(std::move(rule));
  }
  for (const std::string& name : tensors.names()) {
    if (used.contains(name)) continue;
    if (is_left_out(spelling, name)) {
      info.left_out.push_back(name);
    } else if (tensors.info(name).shape.numel() != 0) {
      fail("model", "{}: holds '{}', which a {} model of this configuration has no place for",
           tensors.place(), name, name_of(spelling.family));
    }
  }
}

std::shared_ptr<TensorSource> canonical_tensors(std::shared_ptr<TensorSource> tensors,
                                                const Network& model,
                                                const std::vector<WeightRule>& rules) {
  return std::make_shared<CanonicalTensors>(std::move(tensors), model, rules);
}

void load_weights(Network& model, const TensorSource& canonical) {
  for (const auto& parameter : model.parameters().all()) load_weight(*parameter, canonical);
}

void load_weight(Parameter& parameter, const TensorSource& canonical) {
  if (const auto stored = canonical.quantized(parameter.path()))
    return parameter.set_quantized(stored->values, stored->scales);
  parameter.set_value(canonical.tensor(parameter.path()).to(DType::f32));
}

}  // namespace vitrail
