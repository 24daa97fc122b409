#include "nn/position/relative_mlp.h"

#include <cmath>

#include "core/error.h"
#include "ops/activation.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"

namespace vitrail {
namespace {

constexpr double kSwinSpan = 8;
constexpr float kSwinGain = 16;
constexpr size_t kMostTables = 64;  // that are kept, of pictures of many sizes

double coordinate(RelativePosition kind, int64_t offset, int64_t size) {
  const auto x = static_cast<double>(offset);
  if (kind == RelativePosition::mlp) return std::copysign(std::log1p(std::abs(x)), x);
  const double share = kSwinSpan * x / static_cast<double>(size - 1);
  return std::copysign(std::log2(1 + std::abs(share)) / std::log2(kSwinSpan), share);
}

// [(2h - 1)(2w - 1), 2]: row and column of every offset.
Tensor offsets(RelativePosition kind, int64_t height, int64_t width) {
  const int64_t rows = 2 * height - 1, columns = 2 * width - 1;
  Tensor out = Tensor::empty({rows * columns, 2});
  for (int64_t i = 0; i < rows * columns; ++i) {
    out.f32()[2 * i] = static_cast<float>(coordinate(kind, i / columns - height + 1, height));
    out.f32()[2 * i + 1] = static_cast<float>(coordinate(kind, i % columns - width + 1, width));
  }
  return out;
}

}  // namespace

RelativeMlpPositions::RelativeMlpPositions(const Scope& scope, const RelativeMlpConfig& config)
    : config_(config),
      weight1_(scope.child("mlp").child("fc1").parameter("weight", {config.hidden_dim, 2},
                                                         Initializer::truncated_normal(0.02),
                                                         ParameterRole::Kind::matrix)),
      bias1_(scope.child("mlp").child("fc1").parameter(
          "bias", {config.hidden_dim}, Initializer::zeros(), ParameterRole::Kind::bias)),
      weight2_(scope.child("mlp").child("fc2").parameter(
          "weight", {config.num_heads, config.hidden_dim}, Initializer::truncated_normal(0.02),
          ParameterRole::Kind::matrix)),
      bias2_(config.kind == RelativePosition::mlp_swin
                 ? nullptr
                 : &scope.child("mlp").child("fc2").parameter("bias", {config.num_heads},
                                                              Initializer::zeros(),
                                                              ParameterRole::Kind::bias)) {}

Variable RelativeMlpPositions::entries(const Context& context, const TokenLayout& layout) const {
  const Variable places = offsets(config_.kind, layout.grid_height, layout.grid_width);
  Variable x = matmul(context, places, weight1_.variable(), {.transpose_b = true});
  x = activation(context, add(context, x, bias1_.variable()), kernels::Activation::relu);
  x = matmul(context, x, weight2_.variable(), {.transpose_b = true});
  if (bias2_ != nullptr) return add(context, x, bias2_->variable());
  return scale(context, activation(context, x, kernels::Activation::sigmoid), kSwinGain);
}

RelativeMlpPositions::Versions RelativeMlpPositions::versions() const {
  return {weight1_.version(), bias1_.version(), weight2_.version(),
          bias2_ == nullptr ? 0 : bias2_->version()};
}

Tensor RelativeMlpPositions::kept(const Context& context, const TokenLayout& layout) const {
  const std::lock_guard lock(mutex_);
  if (made_of_ != versions() || entries_.size() >= kMostTables) entries_.clear();
  made_of_ = versions();
  Tensor& table = entries_[{layout.grid_height, layout.grid_width}];
  if (!table.defined()) table = entries(context, layout).value();
  return table;
}

void RelativeMlpPositions::describe(const Context& context, const TokenLayout& layout,
                                    int64_t /*block*/, AttentionOptions* options) const {
  check(layout.prefix() == config_.prefix, "position",
        "relative positions with {} tokens before the patches do not fit {}", config_.prefix,
        layout.prefix());
  check(config_.kind == RelativePosition::mlp || (layout.grid_height > 1 && layout.grid_width > 1),
        "position", "a grid of {}x{} has no offsets in shares of it: it takes two rows and columns",
        layout.grid_height, layout.grid_width);
  RelativeBias& relative = options->relative;
  relative.index = *indices_.get(layout, [&] {
    return relative_grid(layout.grid_height, layout.grid_width, config_.prefix, false);
  });
  const Variable own =
      context.tape == nullptr ? Variable(kept(context, layout)) : entries(context, layout);
  relative.table = relative.table.defined() ? add(context, relative.table, own) : own;
}

}  // namespace vitrail
