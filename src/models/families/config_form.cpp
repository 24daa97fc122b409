#include "models/families/config_form.h"

#include "core/error.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

class ArgumentsForm : public ConfigForm {
 public:
  bool matches(const nlohmann::json&) const override { return true; }
  const char* whose() const override { return "names neither architecture nor model_type"; }
  // What its fields are is asked where they are read.
  void check_model(const nlohmann::json&, const Settings&) const override {}
};

}  // namespace

nlohmann::json ConfigForm::config_of_module(const TensorSource&) const {
  return nullptr;
}

const ConfigForm& arguments_form() {
  static const ArgumentsForm form;
  return form;
}

const ConfigForm* form_of(const nlohmann::json& config) {
  if (config.is_null()) return nullptr;
  if (!config.is_object()) fail("family", "config.json: is not an object");
  for (const ConfigForm* form : config_forms())
    if (form->matches(config)) return form;
  return &arguments_form();
}

}  // namespace vitrail
