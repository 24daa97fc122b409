#include "nn/dino_head.h"

#include "ops/l2_normalize.h"

namespace vitrail {

DinoHead::DinoHead(const Scope& scope, const DinoHeadConfig& config)
    : mlp_{LinearSlot(scope.child("mlp").child(0), config.inputs, config.hidden),
           LinearSlot(scope.child("mlp").child(2), config.hidden, config.hidden),
           LinearSlot(scope.child("mlp").child(4), config.hidden, config.bottleneck)},
      gain_(scope.child("last_layer")
                .parameter("weight_g", {config.outputs, 1}, Initializer::constant(1),
                           ParameterRole::Kind::scale)),
      direction_(scope.child("last_layer")
                     .parameter("weight_v", {config.outputs, config.bottleneck},
                                Initializer::torch_uniform(config.bottleneck),
                                ParameterRole::Kind::matrix)),
      weight_path_(scope.child("last_layer").path() + ".weight") {
  gain_.set_trainable(false);
}

Variable DinoHead::forward(const Context& context, const Variable& x,
                           bool last_layer_frozen) const {
  const LinearEpilogue gelu{.activation = kernels::Activation::gelu};
  const Variable hidden = mlp_[1]->forward(context, mlp_[0]->forward(context, x, gelu), gelu);
  const Variable bottleneck = l2_normalize(context, mlp_[2]->forward(context, hidden));
  const Variable direction =
      last_layer_frozen ? Variable(direction_.value()) : direction_.variable();
  Parameter weight(weight_path_, direction_.shape());
  weight.set_computed(weight_norm(context, direction, gain_.variable()));
  return linear(context, bottleneck, weight, nullptr);
}

}  // namespace vitrail
