// Whose config.json stands beside a file, and whether it names a model that Vitrail implements:
// what a file says of itself comes before what its tensors' names look like.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "formats/tensor_source.h"

namespace vitrail {

// --set key=value, in the order in which they were given.
using Settings = std::vector<std::pair<std::string, std::string>>;

// A library's way of writing config.json; several families may share one.
class ConfigForm {
 public:
  virtual ~ConfigForm() = default;

  // Whether this object is written in this way. The first form of the registry that says so has it.
  virtual bool matches(const nlohmann::json& config) const = 0;
  // What messages say of such a file: "is timm's".
  virtual const char* whose() const = 0;
  // Error naming the `architecture` or `model_type` when Vitrail has no such model. A name of one's
  // own is let through where --set architecture says which definition it is.
  virtual void check_model(const nlohmann::json& config, const Settings& settings) const = 0;
  // The configuration in a module of the library that was saved whole (torch.save(model)), as its
  // config.json would be; null: the tensors are no module of it, or it holds none.
  virtual nlohmann::json config_of_module(const TensorSource& tensors) const;
};

// Null: there is no config.json. Error: it is not an object.
const ConfigForm* form_of(const nlohmann::json& config);

// Anything that no library's form matches: a constructor's arguments, as hub mixins write them.
const ConfigForm& arguments_form();

}  // namespace vitrail
