#include "ops/dropout.h"

#include <string>

#include "kernels/dropout.h"

namespace vitrail {
namespace {

// `apply(queue, x)` is its own backward: it draws the same mask again.
template <typename Apply>
Variable record_mask(const Context& context, const char* operation, const Variable& x,
                     Apply apply) {
  Tensor y = apply(context.queue, x.value());
  if (!records(context, {&x})) return y;
  return context.tape->record(operation, std::move(y), {x},
                              [apply, slot = x.slot()](Queue& queue, const Tensor& dy) {
                                slot->accumulate(queue, apply(queue, dy));
                              });
}

void check_probability(const char* operation, double probability) {
  check(probability >= 0 && probability < 1, operation, "probability {} must be in [0, 1)",
        probability);
}

}  // namespace

Variable dropout(const Context& context, const Variable& x, double probability,
                 std::string_view path) {
  check_probability("dropout", probability);
  if (!context.dropout || probability == 0) return x;
  const kernels::MaskKey mask(context.random, std::string(path) + ".element_dropout");
  return record_mask(context, "dropout", x, [mask, probability](Queue& queue, const Tensor& from) {
    Tensor y = Tensor::empty(from.shape());
    kernels::dropout(queue, {.count = from.numel(),
                             .probability = static_cast<float>(probability),
                             .mask = mask,
                             .x = from.f32(),
                             .y = y.f32()});
    return y;
  });
}

Variable drop_path(const Context& context, const Variable& x, double probability,
                   std::string_view path) {
  check_probability("drop_path", probability);
  check(x.shape().rank() >= 1, "drop_path", "an input without axes has no samples to drop");
  if (!context.dropout || probability == 0) return x;
  const kernels::MaskKey mask(context.random, std::string(path) + ".drop_path");
  return record_mask(
      context, "drop_path", x, [mask, probability](Queue& queue, const Tensor& from) {
        Tensor y = Tensor::empty(from.shape());
        const int64_t samples = from.size(0);
        kernels::drop_path(queue, {.samples = samples,
                                   .elements = samples == 0 ? 0 : from.numel() / samples,
                                   .probability = static_cast<float>(probability),
                                   .mask = mask,
                                   .x = from.f32(),
                                   .y = y.f32()});
        return y;
      });
}

}  // namespace vitrail
