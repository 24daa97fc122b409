#include "ops/attention.h"

#include <cmath>

#include "autograd/timing.h"
#include "core/rng.h"
#include "kernels/dropout.h"
#include "ops/attention_probe.h"

namespace vitrail {
namespace {

using kernels::AttentionArgs;
using kernels::HeadView;

// Heads of [B, N, parts*H*d], starting at part `part`.
HeadView heads_of(const Tensor& tensor, int64_t dim, int64_t width, int64_t part) {
  const int64_t row = tensor.size(2);
  return {.data = tensor.f32() + part * width, .stride = {tensor.size(1) * row, dim, row}};
}

// Where q, k and v live: three parts of one tensor, or three tensors.
struct Operands {
  Variable q, k, v;
  int64_t q_part = 0, k_part = 0, v_part = 0;
  bool fused() const { return v_part == 2; }
};

AttentionArgs arguments(const Operands& in, const AttentionOptions& options, int64_t width) {
  const int64_t dim = width / options.heads;
  AttentionArgs args;
  args.shape = {.batch = in.q.size(0),
                .heads = options.heads,
                .queries = in.q.size(1),
                .keys = in.k.size(1),
                .head_dim = dim};
  args.q = heads_of(in.q.value(), dim, width, in.q_part);
  args.k = heads_of(in.k.value(), dim, width, in.k_part);
  args.v = heads_of(in.v.value(), dim, width, in.v_part);
  args.scale = static_cast<float>(options.scale != 0 ? options.scale
                                                     : 1.0 / std::sqrt(static_cast<double>(dim)));
  args.bias.causal = options.causal;
  args.bias.key_lengths = options.key_lengths;
  return args;
}

// Strides of a bias over [B, H, Nq, Nk], 0 along the axes it broadcasts.
std::array<int64_t, 4> broadcast_strides(const Shape& bias, const kernels::AttentionShape& shape) {
  const int64_t sizes[4] = {shape.batch, shape.heads, shape.queries, shape.keys};
  check(bias.rank() == 4, "attention", "a bias of {} must have the axes [B, H, Nq, Nk]",
        bias.str());
  std::array<int64_t, 4> strides{};
  int64_t stride = 1;
  for (int axis = 3; axis >= 0; --axis) {
    check(bias[axis] == 1 || bias[axis] == sizes[axis], "attention",
          "a bias of {} does not broadcast to [{}, {}, {}, {}]", bias.str(), sizes[0], sizes[1],
          sizes[2], sizes[3]);
    strides[axis] = bias[axis] == 1 ? 0 : stride;
    stride *= bias[axis];
  }
  return strides;
}

Variable run(const Context& context, const Operands& in, const AttentionOptions& options,
             int64_t width) {
  AttentionArgs args = arguments(in, options, width);
  const Variable bias = options.bias == nullptr ? Variable() : *options.bias;
  if (bias.defined()) {
    args.bias.dense = bias.value().f32();
    args.bias.stride = broadcast_strides(bias.shape(), args.shape);
  }
  if (context.dropout && options.dropout > 0) {
    const kernels::MaskKey mask(context.random, options.path + ".dropout");
    args.dropout = {.probability = static_cast<float>(options.dropout),
                    .seed = mask.key,
                    .stream = mask.stream};
  }
  const bool recorded = records(context, {&in.q, &in.k, &in.v, &bias});
  if (context.precision != nullptr)
    args.precision = context.precision->of(options.path + kProductsName);
  // 8 bits have no gradient, and not every bias.
  if (args.precision == Precision::int8 && (recorded || !kernels::attends_in_int8(args)))
    args.precision = Precision::bf16;
  const kernels::AttentionShape& shape = args.shape;
  const Timed timed(
      context, {"attention", options.path, 2 * shape.batch * shape.queries * shape.keys * width,
                args.precision});
  Tensor output = Tensor::empty({shape.batch, shape.queries, width});
  const bool probed = context.probe != nullptr && context.probe->wants(options.path);
  Tensor lse;
  if (probed || recorded) lse = Tensor::empty({shape.batch, shape.heads, shape.queries});
  {
    const Tensor workspace = Tensor::empty({kernels::attention_workspace(shape)}, DType::u8);
    kernels::attention(context.queue, args,
                       {.o = heads_of(output, shape.head_dim, width, 0), .lse = lse.f32()},
                       workspace.raw());
  }
  if (probed)
    context.probe->add(context.queue, options.path, args,
                       {in.q.value(), in.k.value(), in.v.value(), bias.value()}, lse);
  if (!recorded) return output;

  AttentionProbe* probe = probed && context.probe->keeps() ? context.probe : nullptr;
  return context.tape->record(
      "attention", output, {in.q, in.k, in.v, bias},
      [in, args, bias, width, probe, path = options.path, lse, saved_output = SavedTensor(output),
       saved_q = SavedTensor(in.q.value()), saved_k = SavedTensor(in.k.value()),
       saved_v = SavedTensor(in.v.value())](Queue& queue, const Tensor& gradient) {
        (void)saved_q.get(), (void)saved_k.get(), (void)saved_v.get();
        const kernels::AttentionShape& s = args.shape;
        if (probe != nullptr) probe->add_output_gradient(path, gradient);
        Tensor dq = Tensor::empty(in.q.shape());
        Tensor dk = in.fused() ? dq : Tensor::empty(in.k.shape());
        Tensor dv = in.fused() ? dq : Tensor::empty(in.v.shape());
        kernels::AttentionBackward grad{.o = heads_of(saved_output.get(), s.head_dim, width, 0),
                                        .d_o = heads_of(gradient, s.head_dim, width, 0),
                                        .lse = lse.f32(),
                                        .dq = heads_of(dq, s.head_dim, width, in.q_part),
                                        .dk = heads_of(dk, s.head_dim, width, in.k_part),
                                        .dv = heads_of(dv, s.head_dim, width, in.v_part)};
        if (bias.needs_gradient()) {
          grad.dbias = bias.slot()->accumulator(bias.shape()).f32();
          grad.dbias_stride = args.bias.stride;
        }
        const Tensor workspace =
            Tensor::empty({kernels::attention_backward_workspace(queue, s)}, DType::u8);
        kernels::attention_backward(queue, args, grad, workspace.raw());
        const auto give = [&](const Variable& input, Tensor& d) {
          if (input.needs_gradient()) input.slot()->accumulate(queue, std::move(d));
        };
        give(in.q, dq);
        if (in.fused()) return;
        give(in.k, dk);
        give(in.v, dv);
      });
}

}  // namespace

Variable self_attention(const Context& context, const Variable& qkv,
                        const AttentionOptions& options) {
  check(qkv.shape().rank() == 3 && qkv.size(2) % (3 * options.heads) == 0, "attention",
        "{}: q, k, v of {} do not split into {} heads", options.path, qkv.shape().str(),
        options.heads);
  return run(context, {.q = qkv, .k = qkv, .v = qkv, .q_part = 0, .k_part = 1, .v_part = 2},
             options, qkv.size(2) / 3);
}

Variable attention(const Context& context, const Variable& q, const Variable& k, const Variable& v,
                   const AttentionOptions& options) {
  check(q.shape().rank() == 3 && k.shape() == v.shape() && k.shape().rank() == 3 &&
            q.size(0) == k.size(0) && q.size(2) == k.size(2) && q.size(2) % options.heads == 0,
        "attention", "{}: q {}, k {}, v {} do not fit {} heads", options.path, q.shape().str(),
        k.shape().str(), v.shape().str(), options.heads);
  return run(context, {.q = q, .k = k, .v = v}, options, q.size(2));
}

}  // namespace vitrail
