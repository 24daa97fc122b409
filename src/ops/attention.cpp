#include "ops/attention.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "autograd/timing.h"
#include "core/rng.h"
#include "kernels/dropout.h"
#include "ops/attention_description.h"
#include "ops/attention_probe.h"

namespace vitrail {
namespace {

using kernels::AttentionArgs;

// What the backward pass needs of the forward pass.
struct RecordedAttention {
  AttentionOperands in;
  AttentionOptions options;
  Variable dense;  // that options.bias points to
  AttentionDescription description;
  AttentionProbe* probe;  // that keeps the gradient of the output; null: none
  Tensor lse;
  SavedTensor output;
  std::vector<SavedTensor> operands;

  void backward(Queue& queue, const Tensor& gradient) const;
};

void RecordedAttention::backward(Queue& queue, const Tensor& gradient) const {
  for (const SavedTensor& operand : operands) (void)operand.get();
  const AttentionArgs& args = description.args;
  const int64_t dim = args.shape.head_dim, width = description.width;
  if (probe != nullptr) probe->add_output_gradient(options.path, gradient);
  Tensor dq = Tensor::empty(in.q.shape());
  Tensor dk = in.shares_all() ? dq : Tensor::empty(in.k.shape());
  Tensor dv = in.shares_memory() ? dk : Tensor::empty(in.v.shape());
  kernels::AttentionBackward grad{.o = heads_of(output.get(), dim, width, 0),
                                  .d_o = heads_of(gradient, dim, width, 0),
                                  .lse = lse.f32(),
                                  .dq = heads_of(dq, dim, width, in.q_part),
                                  .dk = heads_of(dk, dim, width, in.k_part),
                                  .dv = heads_of(dv, dim, width, in.v_part)};
  description.want_gradients(options, &grad);
  const Tensor workspace =
      Tensor::empty({kernels::attention_backward_workspace(queue, args.shape)}, DType::u8);
  kernels::attention_backward(queue, args, grad, workspace.raw());
  const auto give = [&](const Variable& input, Tensor& d) {
    if (input.needs_gradient()) input.slot()->accumulate(queue, std::move(d));
  };
  give(in.q, dq);
  if (!in.shares_all()) give(in.k, dk);
  if (!in.shares_memory()) give(in.v, dv);
}

Variable run(const Context& context, const AttentionOperands& in, const AttentionOptions& options) {
  AttentionDescription description(in, options);
  AttentionArgs& args = description.args;
  if (context.dropout && options.dropout > 0) {
    const kernels::MaskKey mask(context.random, options.path + ".dropout");
    args.dropout = {.probability = static_cast<float>(options.dropout),
                    .seed = mask.key,
                    .stream = mask.stream};
  }
  const bool recorded = context.tape != nullptr &&
                        std::ranges::any_of(description.variables, &Variable::needs_gradient);
  if (context.precision != nullptr)
    args.precision = context.precision->of(options.path + kProductsName);
  // 8 bits have no gradient, and no bias.
  if (args.precision == Precision::int8 && (recorded || !kernels::attends_in_int8(args)))
    args.precision = Precision::bf16;
  const kernels::AttentionShape& shape = args.shape;
  const int64_t width = description.width;
  const Timed timed(
      context, {"attention", options.path, 2 * shape.batch * shape.queries * shape.keys * width,
                args.precision});
  Tensor output = Tensor::empty({in.q.size(0), in.q.size(1), width});
  const bool probed = context.probe != nullptr && context.probe->wants(options.path);
  Tensor lse;
  if (probed || recorded) lse = Tensor::empty({shape.batch, shape.heads, shape.queries});
  {
    const Tensor workspace = Tensor::empty({kernels::attention_workspace(shape)}, DType::u8);
    kernels::attention(context.queue, args,
                       {.o = heads_of(output, shape.head_dim, width, 0), .lse = lse.f32()},
                       workspace.raw());
  }
  if (probed) {
    std::vector<Tensor> operands = description.tables;
    for (const Variable& variable : description.variables) operands.push_back(variable.value());
    context.probe->add(context.queue, options.path, args, std::move(operands), lse);
  }
  if (!recorded) return output;

  const std::vector<Variable> inputs = description.variables;
  std::vector<SavedTensor> operands;
  for (const Variable& input : inputs) operands.emplace_back(input.value());
  auto record = std::make_shared<RecordedAttention>(
      RecordedAttention{.in = in,
                        .options = options,
                        .dense = options.bias == nullptr ? Variable() : *options.bias,
                        .description = std::move(description),
                        .probe = probed && context.probe->keeps() ? context.probe : nullptr,
                        .lse = lse,
                        .output = output,
                        .operands = std::move(operands)});
  record->options.bias = &record->dense;
  // The description has what they said.
  record->options.windows = record->options.query_windows = nullptr;
  return context.tape->record(
      "attention", output, inputs,
      [record](Queue& queue, const Tensor& gradient) { record->backward(queue, gradient); });
}

}  // namespace

Variable self_attention(const Context& context, const Variable& qkv,
                        const AttentionOptions& options) {
  check(qkv.shape().rank() == 3 && qkv.size(2) % (3 * options.heads) == 0, "attention",
        "{}: q, k, v of {} do not split into {} heads", options.path, qkv.shape().str(),
        options.heads);
  return run(context,
             {.q = qkv, .k = qkv, .v = qkv, .width = qkv.size(2) / 3, .k_part = 1, .v_part = 2},
             options);
}

Variable cross_attention(const Context& context, const Variable& q, const Variable& kv,
                         const AttentionOptions& options) {
  check(q.shape().rank() == 3 && kv.shape().rank() == 3 && q.size(0) == kv.size(0) &&
            2 * q.size(2) == kv.size(2) && q.size(2) % options.heads == 0,
        "attention", "{}: q {} and k, v of {} do not fit {} heads", options.path, q.shape().str(),
        kv.shape().str(), options.heads);
  return run(context, {.q = q, .k = kv, .v = kv, .width = q.size(2), .v_part = 1}, options);
}

Variable attention(const Context& context, const Variable& q, const Variable& k, const Variable& v,
                   const AttentionOptions& options) {
  check(q.shape().rank() == 3 && k.shape() == v.shape() && k.shape().rank() == 3 &&
            q.size(0) == k.size(0) && q.size(2) == k.size(2) && q.size(2) % options.heads == 0,
        "attention", "{}: q {}, k {}, v {} do not fit {} heads", options.path, q.shape().str(),
        k.shape().str(), v.shape().str(), options.heads);
  return run(context, {.q = q, .k = k, .v = v, .width = q.size(2)}, options);
}

}  // namespace vitrail
