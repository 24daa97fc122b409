#include "models/peft/adapted_tensors.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/printable.h"
#include "core/queue.h"
#include "models/families/canonical.h"
#include "nn/lora.h"

namespace vitrail {
namespace {

// m_n / |W_n| times each row n of W (Liu et al. 2024, equation 5).
void set_row_lengths(Tensor& weight, const Tensor& lengths) {
  const int64_t rows = weight.size(0), columns = weight.numel() / rows;
  for (int64_t n = 0; n < rows; ++n) {
    const std::span<float> row(weight.f32() + n * columns, static_cast<size_t>(columns));
    double squares = 0;
    for (const float value : row) squares += static_cast<double>(value) * value;
    const auto factor = static_cast<float>(lengths.f32()[n] / std::sqrt(squares));
    for (float& value : row) value *= factor;
  }
}

class AdaptedTensors : public TensorSource {
 public:
  AdaptedTensors(std::shared_ptr<TensorSource> base, std::shared_ptr<TensorSource> adapter,
                 ParameterEdits edits)
      : base_(std::move(base)), adapter_(std::move(adapter)), edits_(std::move(edits)) {
    for (const std::string& name : base_->names()) infos_.emplace(name, base_->info(name));
    for (const auto& [name, pieces] : edits_) {
      infos_[name] = {DType::f32, shape_of(name, pieces)};
      check_pieces(name, pieces);
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
    const auto edit = edits_.find(name);
    if (edit == edits_.end()) return base_->tensor(name);
    const Shape& shape = infos_.find(name)->second.shape;
    Tensor whole = is_replaced(edit->second) ? Tensor::empty(shape)
                                             : base_->tensor(name).to(DType::f32).clone();
    const int64_t rows = shape[0] / static_cast<int64_t>(edit->second.size());
    for (size_t i = 0; i < edit->second.size(); ++i) {
      const auto first = static_cast<int64_t>(i) * rows;
      apply(edit->second[i], whole.rows(first, first + rows));
    }
    for (const float value : whole.values())
      if (!std::isfinite(value))
        fail("adapter", "{}: makes values of {} that are not finite", adapter_->place(), name);
    return whole;
  }
  std::optional<QuantizedTensor> quantized(std::string_view name) const override {
    return edits_.contains(name) ? std::nullopt : base_->quantized(name);
  }
  const std::map<std::string, std::string>& metadata() const override { return base_->metadata(); }
  const std::string& place() const override { return base_->place(); }
  const std::vector<std::string>& notes() const override { return base_->notes(); }

 private:
  static bool is_replaced(const std::vector<PieceEdit>& pieces) {
    return std::ranges::none_of(pieces, [](const auto& p) { return p.replacement.empty(); });
  }

  // The base's, or what replaces it: a head may have other classes than the base's.
  Shape shape_of(const std::string& name, const std::vector<PieceEdit>& pieces) const {
    if (is_replaced(pieces) && pieces.size() == 1)
      return adapter_->info(pieces[0].replacement).shape;
    const TensorInfo* base = base_->find(name);
    if (base == nullptr)
      fail("adapter", "{}: is about {}, which {} does not have", adapter_->place(), name,
           base_->place());
    return base->shape;
  }

  [[noreturn]] void refuse(const std::string& tensor, const std::string& name) const {
    fail("adapter", "{}: '{}', {}, does not fit the model's {} {}", adapter_->place(),
         printable(tensor), adapter_->info(tensor).shape.str(), name,
         infos_.find(name)->second.shape.str());
  }

  void check_pieces(const std::string& name, const std::vector<PieceEdit>& pieces) const {
    const Shape& whole = infos_.find(name)->second.shape;
    const auto count = static_cast<int64_t>(pieces.size());
    for (const PieceEdit& piece : pieces) {
      for (const std::string* tensor : {&piece.replacement, &piece.bias})
        if (!tensor->empty()) check_size(*tensor, whole.numel() / count, name);
      if (!piece.product) continue;
      const LowRankProduct& p = *piece.product;
      const Shape& a = adapter_->info(p.a).shape;
      const Shape& b = adapter_->info(p.b).shape;
      const int64_t rank = a.rank() > 1 ? a[0] : 0;
      const int64_t rows = whole.rank() > 0 ? whole[0] / count : 0;
      if (rank == 0 || rows == 0 || a.rank() > 4 || b.rank() < 2) refuse(p.a, name);
      check_size(p.a, rank * (whole.numel() / count / rows), name);
      check_size(p.b, rows * rank, name);
      if (b[0] != rows || b[1] != rank) refuse(p.b, name);
      if (!p.magnitude.empty()) check_size(p.magnitude, rows, name);
    }
  }
  void check_size(const std::string& tensor, int64_t numel, const std::string& name) const {
    const TensorInfo& info = adapter_->info(tensor);
    if (!is_float(info.dtype))
      fail("adapter", "{}: '{}' holds {}, not floats", adapter_->place(), printable(tensor),
           name_of(info.dtype));
    if (info.shape.numel() != numel) refuse(tensor, name);
  }

  Tensor floats(const std::string& tensor) const { return adapter_->tensor(tensor).to(DType::f32); }

  void apply(const PieceEdit& edit, Tensor rows) const {
    if (!edit.replacement.empty()) rows.copy_from(floats(edit.replacement).reshape(rows.shape()));
    if (edit.product) {
      const Tensor a = floats(edit.product->a), b = floats(edit.product->b);
      Queue queue(1);  // weights are read from several threads already
      rows.copy_from(add_low_rank(queue, rows, a.reshape({a.size(0), -1}),
                                  b.reshape({b.size(0), -1}), edit.product->scale));
      if (!edit.product->magnitude.empty()) set_row_lengths(rows, floats(edit.product->magnitude));
    }
    if (!edit.bias.empty()) {
      const Tensor bias = floats(edit.bias);
      for (int64_t i = 0; i < rows.numel(); ++i)
        rows.f32()[i] += static_cast<float>(edit.bias_scale) * bias.f32()[i];
    }
  }

  std::shared_ptr<TensorSource> base_, adapter_;
  ParameterEdits edits_;
  std::map<std::string, TensorInfo, std::less<>> infos_;
};

}  // namespace

std::shared_ptr<TensorSource> adapted_tensors(std::shared_ptr<TensorSource> base,
                                              std::shared_ptr<TensorSource> adapter,
                                              ParameterEdits edits) {
  return std::make_shared<AdaptedTensors>(std::move(base), std::move(adapter), std::move(edits));
}

}  // namespace vitrail
