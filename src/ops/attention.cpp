#include "ops/attention.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "autograd/timing.h"
#include "core/rng.h"
#include "kernels/dropout.h"
#include "ops/attention_description.h"
#include "ops/attention_mixing.h"
#include "ops/attention_probe.h"

namespace vitrail {
namespace {

using kernels::AttentionArgs;

// What the backward pass needs of the forward pass.
struct RecordedAttention {
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
  const AttentionOperands& in = description.in;
  if (probe != nullptr) probe->add_output_gradient(options.path, gradient);
  Tensor dq = Tensor::empty(in.q.shape());
  Tensor dk = in.shares_all ? dq : Tensor::empty(in.k.shape());
  Tensor dv = in.shares_memory ? dk : Tensor::empty(in.v.shape());
  kernels::AttentionBackward grad{.o = heads_of(output.get(), description.output_place()),
                                  .d_o = heads_of(gradient, description.output_place()),
                                  .lse = lse.f32(),
                                  .dq = heads_of(dq, in.q_place),
                                  .dk = heads_of(dk, in.k_place),
                                  .dv = heads_of(dv, in.v_place)};
  description.want_gradients(options, &grad);
  const Tensor workspace =
      Tensor::empty({kernels::attention_backward_workspace(queue, args.shape)}, DType::u8);
  kernels::attention_backward(queue, args, grad, workspace.raw());
  const auto give = [&](const Variable& input, Tensor& d) {
    if (input.needs_gradient()) input.slot()->accumulate(queue, std::move(d));
  };
  give(in.q, dq);
  if (!in.shares_all) give(in.k, dk);
  if (!in.shares_memory) give(in.v, dv);
}

// What a probe keeps of attention that ran.
void tell_probe(const Context& context, const AttentionOptions& options,
                const AttentionDescription& description, const Tensor& lse) {
  std::vector<Tensor> operands = description.tables;
  for (const Variable& variable : description.variables) operands.push_back(variable.value());
  context.probe->add(context.queue, options.path, description.args, std::move(operands), lse);
}

// Heads that are mixed: the kernel, or where somebody wants a gradient or dropout the same
// arithmetic as a chain.
Variable run_mixed(const Context& context, const AttentionOperands& in,
                   const AttentionOptions& options, const AttentionDescription& description) {
  const kernels::AttentionShape& shape = description.args.shape;
  const bool probed = context.probe != nullptr && context.probe->wants(options.path);
  const bool recorded = context.tape != nullptr &&
                        std::ranges::any_of(description.variables, &Variable::needs_gradient);
  check(in.value_dim == in.head_dim, "attention",
        "{}: heads that are mixed have values as wide as keys, not {} and {}", options.path,
        in.value_dim, in.head_dim);
  if (probed) tell_probe(context, options, description, {});
  if (!recorded && !(context.dropout && options.dropout > 0)) {
    const Timed timed(context, {"attention", options.path,
                                2 * shape.batch * shape.queries * shape.keys *
                                    (description.output_width() + shape.heads * shape.heads),
                                Precision::f32});
    Tensor output = Tensor::empty({in.q.size(0), in.q.size(1), description.output_width()});
    kernels::attention(context.queue, description.args,
                       {.o = heads_of(output, description.output_place())}, nullptr);
    return output;
  }
  Variable output = chained_mixed_attention(context, in, options, description.args.scale);
  if (!recorded || !probed || !context.probe->keeps()) return output;
  const Tensor value = output.value();
  return context.tape->record("attention", value, {output},
                              [probe = context.probe, path = options.path, slot = output.slot()](
                                  Queue& queue, const Tensor& gradient) {
                                probe->add_output_gradient(path, gradient);
                                slot->accumulate(queue, gradient.clone());
                              });
}

Variable run(const Context& context, const AttentionOperands& in, const AttentionOptions& options) {
  AttentionDescription description(in, options);
  if (options.mixing.present()) return run_mixed(context, in, options, description);
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
  const int64_t scores = shape.batch * shape.heads * shape.queries * shape.keys;
  const Timed timed(context, {"attention", options.path,
                              scores * (shape.head_dim + shape.value_dim()), args.precision});
  Tensor output = Tensor::empty({in.q.size(0), in.q.size(1), description.output_width()});
  const bool probed = context.probe != nullptr && context.probe->wants(options.path);
  Tensor lse;
  if (probed || recorded) lse = Tensor::empty({shape.batch, shape.heads, shape.queries});
  {
    const Tensor workspace = Tensor::empty({kernels::attention_workspace(shape)}, DType::u8);
    kernels::attention(context.queue, args,
                       {.o = heads_of(output, description.output_place()), .lse = lse.f32()},
                       workspace.raw());
  }
  if (probed) tell_probe(context, options, description, lse);
  if (!recorded) return output;

  const std::vector<Variable> inputs = description.variables;
  std::vector<SavedTensor> operands;
  for (const Variable& input : inputs) operands.emplace_back(input.value());
  auto record = std::make_shared<RecordedAttention>(
      RecordedAttention{.options = options,
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
  const int64_t width = qkv.size(2) / 3, dim = width / options.heads;
  return run(context,
             {.q = qkv,
              .k = qkv,
              .v = qkv,
              .head_dim = dim,
              .value_dim = dim,
              .q_place = {.first = 0, .step = dim},
              .k_place = {.first = width, .step = dim},
              .v_place = {.first = 2 * width, .step = dim},
              .shares_all = true,
              .shares_memory = true},
             options);
}

Variable cross_attention(const Context& context, const Variable& q, const Variable& kv,
                         const AttentionOptions& options) {
  check(q.shape().rank() == 3 && kv.shape().rank() == 3 && q.size(0) == kv.size(0) &&
            2 * q.size(2) == kv.size(2) && q.size(2) % options.heads == 0,
        "attention", "{}: q {} and k, v of {} do not fit {} heads", options.path, q.shape().str(),
        kv.shape().str(), options.heads);
  const int64_t width = q.size(2), dim = width / options.heads;
  return run(context,
             {.q = q,
              .k = kv,
              .v = kv,
              .head_dim = dim,
              .value_dim = dim,
              .q_place = {.step = dim},
              .k_place = {.step = dim},
              .v_place = {.first = width, .step = dim},
              .shares_memory = true},
             options);
}

Variable attention(const Context& context, const Variable& q, const Variable& k, const Variable& v,
                   const AttentionOptions& options) {
  check(q.shape().rank() == 3 && k.shape().rank() == 3 && v.shape().rank() == 3 &&
            q.size(0) == k.size(0) && q.size(0) == v.size(0) && k.size(1) == v.size(1) &&
            q.size(2) == k.size(2) && q.size(2) % options.heads == 0 &&
            v.size(2) % options.heads == 0,
        "attention", "{}: q {}, k {}, v {} do not fit {} heads", options.path, q.shape().str(),
        k.shape().str(), v.shape().str(), options.heads);
  const int64_t dim = q.size(2) / options.heads, value_dim = v.size(2) / options.heads;
  return run(context,
             {.q = q,
              .k = k,
              .v = v,
              .head_dim = dim,
              .value_dim = value_dim,
              .q_place = {.step = dim},
              .k_place = {.step = dim},
              .v_place = {.step = value_dim}},
             options);
}

Variable self_attention_by_head(const Context& context, const Variable& qkv, const HeadSizes& sizes,
                                const AttentionOptions& options) {
  const int64_t key = sizes.key, value = sizes.value, step = 2 * key + value;
  check(key > 0 && value > 0 && qkv.shape().rank() == 3 && qkv.size(2) == options.heads * step,
        "attention", "{}: q, k and v of {} are not {} heads of {}, {} and {}", options.path,
        qkv.shape().str(), options.heads, key, key, value);
  return run(context,
             {.q = qkv,
              .k = qkv,
              .v = qkv,
              .head_dim = key,
              .value_dim = value,
              .q_place = {.first = 0, .step = step},
              .k_place = {.first = key, .step = step},
              .v_place = {.first = 2 * key, .step = step},
              .shares_all = true,
              .shares_memory = true},
             options);
}

Variable cross_attention_by_head(const Context& context, const Variable& q, const Variable& kv,
                                 const HeadSizes& sizes, const AttentionOptions& options) {
  const int64_t key = sizes.key, value = sizes.value, step = key + value;
  check(key > 0 && value > 0 && q.shape().rank() == 3 && kv.shape().rank() == 3 &&
            q.size(0) == kv.size(0) && q.size(2) == options.heads * key &&
            kv.size(2) == options.heads * step,
        "attention", "{}: q {} and k, v of {} are not {} heads of {}, {} and {}", options.path,
        q.shape().str(), kv.shape().str(), options.heads, key, key, value);
  return run(context,
             {.q = q,
              .k = kv,
              .v = kv,
              .head_dim = key,
              .value_dim = value,
              .q_place = {.step = key},
              .k_place = {.first = 0, .step = step},
              .v_place = {.first = key, .step = step},
              .shares_memory = true},
             options);
}

}  // namespace vitrail
