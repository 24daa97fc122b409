#include "models/families/writing/activation_name.h"

#include "core/error.h"

namespace vitrail {

const char* activation_name(std::span<const std::pair<const char*, kernels::Activation>> names,
                            kernels::Activation activation, const char* family) {
  for (const auto& [text, value] : names)
    if (value == activation) return text;
  // tanh is the layer's before the head; nobody's MLP has it.
  fail("convert", "{} models cannot express an MLP {}", family,
       activation == kernels::Activation::none ? "without activation" : "whose activation is tanh");
}

}  // namespace vitrail
