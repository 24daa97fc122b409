#include "nn/lora.h"

#include <algorithm>
#include <string>

#include "core/error.h"
#include "kernels/gemm.h"
#include "ops/elementwise.h"

namespace vitrail {
namespace {

// It works where its weight does.
ParameterRole adapter_role(const Parameter& weight) {
  ParameterRole role = weight.role();
  role.kind = ParameterRole::Kind::adapter;
  return role;
}

}  // namespace

LoraLinear::LoraLinear(ParameterRegistry& registry, const std::string& module,
                       std::unique_ptr<Linear> base, const LoraOptions& options)
    : Linear(base->weight(), base->bias()),
      base_(std::move(base)),
      scale_(static_cast<float>(options.alpha / static_cast<double>(options.rank))),
      a_(registry.add(module + ".lora_A.weight",
                      {options.rank, weight().shape().numel() / weight().shape()[0]},
                      Initializer::torch_uniform(weight().shape().numel() / weight().shape()[0]),
                      adapter_role(weight()))),
      b_(registry.add(module + ".lora_B.weight", {weight().shape()[0], options.rank},
                      Initializer::zeros(), adapter_role(weight()))) {
  check(options.rank >= 1 && options.rank <= std::min(a_.shape()[1], b_.shape()[0]), "lora",
        "rank {} is outside 1 to {}, what {} of {} allows", options.rank,
        std::min(a_.shape()[1], b_.shape()[0]), weight().path(), weight().shape().str());
}

Variable LoraLinear::forward(const Context& context, const LinearInput& input,
                             const LinearEpilogue& epilogue) const {
  const Variable x = input.value(context);
  const Variable thin = scale(context, linear(context, x, a_, nullptr), scale_);
  const bool chained = epilogue.activation != kernels::Activation::none ||
                       epilogue.layer_scale != nullptr ||
                       (context.dropout && (epilogue.dropout > 0 || epilogue.drop_path > 0));
  // The thin product is the wide one's residual, and carries the epilogue's own along; both are
  // added while a tile is in registers.
  const Variable beside =
      linear(context, thin, b_, nullptr, {.residual = chained ? nullptr : epilogue.residual});
  const Variable y = base_->forward(
      context, x, {.residual = &beside, .destination = chained ? nullptr : epilogue.destination});
  return chained ? apply_epilogue(context, y, epilogue) : y;
}

Tensor LoraLinear::merged_weight(Queue& queue) const {
  return add_low_rank(queue, weight().value(), a_.value(), b_.value(), scale_);
}

Tensor add_low_rank(Queue& queue, const Tensor& weight, const Tensor& a, const Tensor& b,
                    double scale) {
  using kernels::Matrix;
  const int64_t outputs = weight.size(0), inputs = weight.numel() / outputs, rank = a.size(0);
  Tensor scaled = b.clone();
  for (float& value : scaled.values()) value *= static_cast<float>(scale);
  Tensor merged = weight.clone();
  const Matrix left = Matrix::row_major(scaled.f32(), outputs, rank);
  const Matrix right = Matrix::row_major(a.f32(), rank, inputs);
  const Tensor workspace = Tensor::empty({kernels::gemm_workspace(left, right)}, DType::u8);
  kernels::gemm(queue, left, right,
                {.data = merged.f32(), .row_stride = inputs, .accumulate = true, .epilogue = {}},
                workspace.raw());
  return merged;
}

}  // namespace vitrail
