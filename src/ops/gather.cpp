#include "ops/gather.h"

#include "autograd/timing.h"
#include "kernels/gather.h"

namespace vitrail {

Variable gather_tokens(const Context& context, const Variable& x, const Tensor& index) {
  check(x.shape().rank() == 3, "gather_tokens", "{} must be [B, N, D]", x.shape().str());
  check(index.dtype() == DType::i64 && index.rank() == 2 && index.size(0) == x.size(0),
        "gather_tokens", "indices {} {} must be i64 [{}, K]", name_of(index.dtype()),
        index.shape().str(), x.size(0));
  const int64_t batch = x.size(0), tokens = x.size(1), dim = x.size(2), picked = index.size(1);
  for (int64_t i = 0; i < index.numel(); ++i)
    check(index.data<int64_t>()[i] >= 0 && index.data<int64_t>()[i] < tokens, "gather_tokens",
          "index {} must be in [0, {})", index.data<int64_t>()[i], tokens);
  const Timed timed(context, {"gather_tokens"});
  Tensor y = Tensor::empty({batch, picked, dim});
  kernels::gather(context.queue, {.outer = batch,
                                  .rows = tokens,
                                  .picked = picked,
                                  .dim = dim,
                                  .x = x.value().f32(),
                                  .index = index.data<int64_t>(),
                                  .y = y.f32()});
  if (!records(context, {&x})) return y;
  return context.tape->record("gather_tokens", std::move(y), {x},
                              [batch, tokens, picked, dim, slot = x.slot(),
                               saved = SavedTensor(index)](Queue& queue, const Tensor& dy) {
                                const Tensor dx = slot->accumulator({batch, tokens, dim});
                                kernels::gather_backward(queue,
                                                         {.outer = batch,
                                                          .rows = tokens,
                                                          .picked = picked,
                                                          .dim = dim,
                                                          .index = saved.get().data<int64_t>(),
                                                          .dy = dy.f32(),
                                                          .dx = dx.f32()});
                              });
}

}  // namespace vitrail
