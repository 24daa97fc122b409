#include "ops/channel_attention.h"

#include <memory>

#include "autograd/timing.h"
#include "kernels/channel_attention.h"
#include "kernels/dropout.h"

namespace vitrail {
namespace {

using kernels::ChannelShape;
using kernels::HeadView;

HeadView channel_heads(const Tensor& x, const ChannelShape& s, int64_t part) {
  const int64_t width = s.heads * s.head_dim, row = x.size(2);
  return {.data = x.f32() + part * width, .stride = {s.tokens * row, s.head_dim, row}};
}

// What the forward pass leaves; the backward pass reads it.
struct ChannelPass {
  ChannelShape shape;
  double epsilon = 0, dropout = 0;
  kernels::MaskKey mask;
  Tensor q_length, k_length, cosines, weights;
  Tensor dropped;  // the weights with dropout, or the same tensor

  kernels::ChannelWeightsArgs args(const Tensor& qkv, const Tensor& temperature) const {
    return {.shape = shape,
            .q = channel_heads(qkv, shape, 0),
            .k = channel_heads(qkv, shape, 1),
            .temperature = temperature.f32(),
            .epsilon = static_cast<float>(epsilon),
            .q_length = q_length.f32(),
            .k_length = k_length.f32(),
            .cosines = cosines.f32(),
            .weights = weights.f32()};
  }
  // Its own backward: it draws the same mask again.
  Tensor drop(Queue& queue, const Tensor& x) const {
    if (dropout == 0) return x;
    Tensor y = Tensor::empty(x.shape());
    kernels::dropout(queue, {.count = x.numel(),
                             .probability = static_cast<float>(dropout),
                             .mask = mask,
                             .x = x.f32(),
                             .y = y.f32()});
    return y;
  }
};

Tensor channel_gradients(Queue& queue, const ChannelPass& pass, const Tensor& qkv,
                         const Tensor& temperature, const Tensor& d_o, float* d_temperature) {
  const ChannelShape& s = pass.shape;
  const HeadView from = channel_heads(d_o, s, 0);
  Tensor d_qkv = Tensor::empty(qkv.shape());
  kernels::channel_mix(queue, s, pass.dropped.f32(), true, from, channel_heads(d_qkv, s, 2));
  const Tensor products = Tensor::empty(pass.weights.shape());
  kernels::channel_products(queue, s, from, channel_heads(qkv, s, 2), products.f32());
  const Tensor d_weights = pass.drop(queue, products);
  kernels::channel_weights_backward(queue, pass.args(qkv, temperature),
                                    {.d_weights = d_weights.f32(),
                                     .d_scores = d_weights.f32(),
                                     .d_temperature = d_temperature,
                                     .dq = channel_heads(d_qkv, s, 0),
                                     .dk = channel_heads(d_qkv, s, 1)});
  return d_qkv;
}

}  // namespace

Variable channel_attention(const Context& context, const Variable& qkv, const Variable& temperature,
                           const ChannelAttentionOptions& options) {
  const int64_t heads = options.heads;
  check(qkv.shape().rank() == 3 && qkv.size(2) % (3 * heads) == 0, "channel attention",
        "{}: q, k, v of {} do not split into {} heads", options.path, qkv.shape().str(), heads);
  check(temperature.shape() == Shape{heads}, "channel attention",
        "{}: temperatures of {} are not those of {} heads", options.path, temperature.shape().str(),
        heads);
  const ChannelShape s{.batch = qkv.size(0),
                       .heads = heads,
                       .tokens = qkv.size(1),
                       .head_dim = qkv.size(2) / (3 * heads)};
  const Timed timed(context, {"channel_attention", options.path,
                              2 * s.rows() * s.head_dim * s.tokens, Precision::f32});
  const Shape by_channel{s.batch, heads, s.head_dim};
  const Shape squares{s.batch, heads, s.head_dim, s.head_dim};
  auto pass = std::make_shared<ChannelPass>(
      ChannelPass{.shape = s,
                  .epsilon = options.epsilon,
                  .dropout = context.dropout ? options.dropout : 0,
                  .mask = kernels::MaskKey(context.random, options.path + ".channel_dropout"),
                  .q_length = Tensor::empty(by_channel),
                  .k_length = Tensor::empty(by_channel),
                  .cosines = Tensor::empty(squares),
                  .weights = Tensor::empty(squares),
                  .dropped = {}});
  kernels::channel_weights(context.queue, pass->args(qkv.value(), temperature.value()));
  pass->dropped = pass->drop(context.queue, pass->weights);
  Tensor output = Tensor::empty({s.batch, s.tokens, heads * s.head_dim});
  kernels::channel_mix(context.queue, s, pass->dropped.f32(), false,
                       channel_heads(qkv.value(), s, 2), channel_heads(output, s, 0));
  if (!records(context, {&qkv, &temperature})) return output;
  return context.tape->record(
      "channel_attention", std::move(output), {qkv, temperature},
      [pass, qkv_saved = SavedTensor(qkv.value()),
       temperature_saved = SavedTensor(temperature.value()), qkv_slot = qkv.slot(),
       temperature_slot = temperature.slot()](Queue& queue, const Tensor& d_o) {
        float* d_temperature =
            temperature_slot ? temperature_slot->accumulator(temperature_saved.get().shape()).f32()
                             : nullptr;
        Tensor d_qkv = channel_gradients(queue, *pass, qkv_saved.get(), temperature_saved.get(),
                                         d_o, d_temperature);
        if (qkv_slot) qkv_slot->accumulate(queue, std::move(d_qkv));
      });
}

}  // namespace vitrail
