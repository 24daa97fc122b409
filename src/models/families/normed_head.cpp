#include "models/families/normed_head.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "core/error.h"

namespace vitrail {
namespace {

constexpr std::string_view kMeanName = "head.0.running_mean";
constexpr double kMaeEpsilon = 1e-6;  // of its BatchNorm1d, where torch's default is 1e-5

class PlainHead : public TensorSource {
 public:
  PlainHead(std::shared_ptr<TensorSource> tensors, std::string prefix)
      : tensors_(std::move(tensors)), prefix_(std::move(prefix)), notes_(tensors_->notes()) {
    const Shape& shape = tensors_->info(of("head.1.weight")).shape;
    check(shape.rank() == 2, "model", "{}: '{}' is {}; a head is a matrix", place(),
          of("head.1.weight"), shape.str());
    for (const char* name :
         {"head.0.running_mean", "head.0.running_var", "head.0.weight", "head.0.bias"})
      if (const TensorInfo* info = tensors_->find(of(name)))
        check(info->shape == Shape{shape[1]}, "model", "{}: '{}' is {}, before a head of {}",
              place(), of(name), info->shape.str(), shape.str());
    weight_ = {DType::f32, shape};
    bias_ = {DType::f32, {shape[0]}};
    notes_.push_back(fmt::format(
        "the batch normalisation before the head is folded into it, with MAE's epsilon of {}",
        kMaeEpsilon));
  }

  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const std::string& name : tensors_->names())
      if (!name.starts_with(prefix_ + "head.")) names.push_back(name);
    names.push_back(of("head.weight"));
    names.push_back(of("head.bias"));
    std::ranges::sort(names);
    return names;
  }
  const TensorInfo* find(std::string_view name) const override {
    if (name == of("head.weight")) return &weight_;
    if (name == of("head.bias")) return &bias_;
    return name.starts_with(prefix_ + "head.") ? nullptr : tensors_->find(name);
  }
  Tensor tensor(std::string_view name) const override {
    if (name == of("head.weight")) return scaled_weight();
    if (name == of("head.bias")) return moved_bias();
    return tensors_->tensor(name);
  }
  std::optional<QuantizedTensor> quantized(std::string_view name) const override {
    return name.starts_with(prefix_ + "head.") ? std::nullopt : tensors_->quantized(name);
  }
  const std::map<std::string, std::string>& metadata() const override {
    return tensors_->metadata();
  }
  const std::string& place() const override { return tensors_->place(); }
  const std::vector<std::string>& notes() const override { return notes_; }
  const std::string& module_class() const override { return tensors_->module_class(); }
  const std::string& module_fields() const override { return tensors_->module_fields(); }

 private:
  std::string of(std::string_view name) const { return prefix_ + std::string(name); }
  // Nothing: the file has no such tensor.
  std::vector<float> values(std::string_view name) const {
    if (!tensors_->contains(of(name))) return {};
    const Tensor read = tensors_->tensor(of(name)).to(DType::f32);
    return {read.values().begin(), read.values().end()};
  }
  // What each feature is multiplied with.
  std::vector<double> factors() const {
    const std::vector<float> variance = values("head.0.running_var"),
                             gain = values("head.0.weight");
    std::vector<double> all(variance.size());
    for (size_t i = 0; i < all.size(); ++i)
      all[i] = (gain.empty() ? 1.0 : static_cast<double>(gain[i])) /
               std::sqrt(static_cast<double>(variance[i]) + kMaeEpsilon);
    return all;
  }
  Tensor scaled_weight() const {
    Tensor weight = tensors_->tensor(of("head.1.weight")).to(DType::f32).clone();
    const std::vector<double> factor = factors();
    for (int64_t i = 0; i < weight.numel(); ++i)
      weight.f32()[i] =
          static_cast<float>(weight.f32()[i] * factor[static_cast<size_t>(i % weight.size(1))]);
    return weight;
  }
  Tensor moved_bias() const {
    const Tensor weight = tensors_->tensor(of("head.1.weight")).to(DType::f32);
    const std::vector<double> factor = factors();
    const std::vector<float> mean = values(kMeanName), shift = values("head.0.bias"),
                             bias = values("head.1.bias");
    Tensor moved = Tensor::zeros({weight.size(0)});
    for (int64_t row = 0; row < weight.size(0); ++row) {
      double sum = bias.empty() ? 0.0 : static_cast<double>(bias[static_cast<size_t>(row)]);
      for (size_t i = 0; i < factor.size(); ++i) {
        const double before = shift.empty() ? 0.0 : static_cast<double>(shift[i]);
        sum += static_cast<double>(weight.f32()[row * weight.size(1) + static_cast<int64_t>(i)]) *
               (before - static_cast<double>(mean[i]) * factor[i]);
      }
      moved.f32()[row] = static_cast<float>(sum);
    }
    return moved;
  }

  std::shared_ptr<TensorSource> tensors_;
  std::string prefix_;
  TensorInfo weight_, bias_;
  std::vector<std::string> notes_;
};

}  // namespace

std::shared_ptr<TensorSource> with_plain_head(std::shared_ptr<TensorSource> tensors) {
  for (const std::string& name : tensors->names()) {
    if (!name.ends_with(kMeanName)) continue;
    const std::string prefix = name.substr(0, name.size() - kMeanName.size());
    if (!prefix.empty() && prefix.back() != '.') continue;
    if (!tensors->contains(prefix + "head.0.running_var") ||
        !tensors->contains(prefix + "head.1.weight"))
      continue;
    return std::make_shared<PlainHead>(std::move(tensors), prefix);
  }
  return tensors;
}

}  // namespace vitrail
