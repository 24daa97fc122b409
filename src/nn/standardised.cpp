#include "nn/standardised.h"

#include <memory>

#include "ops/layer_norm.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

constexpr double kFilterEpsilon = 1e-8;

Variable standardised(const Context& context, const Variable& filter) {
  const Shape shape = filter.shape();
  const Variable rows = reshape(context, filter, {shape[0], filter.value().numel() / shape[0]});
  return reshape(context, plain_layer_norm(context, rows, kFilterEpsilon), shape);
}

// The filter as a parameter of its own, which keeps what products read of it.
struct StandardisedFilter {
  std::shared_ptr<const Parameter> filter;
};

}  // namespace

Variable standardised_convolution(const Context& context, const Variable& x,
                                  const Parameter& weight, const WindowOptions& options) {
  if (context.tape != nullptr && weight.trainable()) {
    Parameter computed(weight.path(), weight.shape());
    computed.set_computed(standardised(context, weight.variable()));
    return convolution(context, x, computed, nullptr, options);
  }
  const auto form = weight.derived<StandardisedFilter>("standardised", [&](const Tensor& value) {
    const Context alone(context.queue);
    auto filter = std::make_shared<Parameter>(weight.path(), weight.shape());
    filter->set_value(standardised(alone, value).value());
    filter->set_trainable(false);
    return StandardisedFilter{std::move(filter)};
  });
  return convolution(context, x, *form->filter, nullptr, options);
}

}  // namespace vitrail
