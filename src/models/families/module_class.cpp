#include "models/families/module_class.h"

#include <algorithm>

#include "core/error.h"
#include "core/printable.h"
#include "models/families/registry.h"

namespace vitrail {
bool is_known_module_class(std::string_view name) {
  return std::ranges::any_of(families(), [&](const Family* family) {
    return std::ranges::find(family->module_classes(), name) != family->module_classes().end();
  });
}

void check_module_class(const TensorSource& tensors) {
  const std::string& name = tensors.module_class();
  if (name.empty() || is_known_module_class(name)) return;
  fail(
      "family",
      "{}: is a module of the class {}, which is not known; where it is one of these under another "
      "name, save its state_dict(): {}",
      tensors.place(), printable(name), known_models());
}

}  // namespace vitrail
