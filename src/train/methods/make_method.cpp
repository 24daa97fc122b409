#include "train/methods/make_method.h"

#include "core/error.h"
#include "train/methods/supervised.h"

namespace vitrail {

std::unique_ptr<Method> make_method(const MethodSetup& setup) {
  if (setup.config.method == "supervised")
    return std::make_unique<SupervisedMethod>(setup.model, loss_options(setup.config));
  fail("training config", "method is '{}'; there is supervised", setup.config.method);
}

}  // namespace vitrail
