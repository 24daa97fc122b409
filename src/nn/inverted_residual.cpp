#include "nn/inverted_residual.h"

#include "ops/activation.h"

namespace vitrail {

InvertedResidual::InvertedResidual(const Scope& scope, const InvertedResidualConfig& c)
    : config_(c),
      path_(scope.path()),
      expand_(scope.child(c.names[0]), {.inputs = c.inputs, .outputs = c.hidden}),
      depthwise_(scope.child(c.names[1]), {.inputs = c.hidden,
                                           .outputs = c.hidden,
                                           .kernel = c.kernel,
                                           .stride = c.stride,
                                           .depthwise = true}),
      reduce_(scope.child(c.names[2]),
              {.inputs = c.hidden, .outputs = c.outputs, .norm = {.first_weight = c.last_gamma}}) {
  check(!c.shortcut || (c.inputs == c.outputs && c.stride == 1), "inverted residual",
        "{}: {} channels at stride {} cannot be added to {} of them", path_, c.outputs, c.stride,
        c.inputs);
}

Variable InvertedResidual::forward(const Context& context, const Variable& x) const {
  const LinearEpilogue inner{.activation = config_.activation};
  const Variable hidden = depthwise_.forward(context, expand_.forward(context, x, inner), inner);
  const Variable y = reduce_.forward(context, hidden,
                                     {.drop_path = config_.shortcut ? config_.drop_path : 0,
                                      .residual = config_.shortcut ? &x : nullptr,
                                      .path = path_});
  return config_.activation_behind ? activation(context, y, config_.activation) : y;
}

LayerCost InvertedResidual::cost(int64_t height, int64_t width) const {
  const int64_t rows = cells(height), columns = cells(width);
  return {.path = path_,
          .output = {rows * columns, config_.outputs},
          .multiply_adds = expand_.multiply_adds(height, width) +
                           depthwise_.multiply_adds(height, width) +
                           reduce_.multiply_adds(rows, columns),
          .values = height * width * (config_.inputs + config_.hidden) +
                    rows * columns * (config_.hidden + config_.outputs)};
}

}  // namespace vitrail
