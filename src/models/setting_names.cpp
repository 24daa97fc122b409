#include "models/setting_names.h"

#include "models/network_types.h"

namespace vitrail {

std::vector<std::string> fields_of_setting(const std::string& name) {
  if (name == "heads") return {"num_heads"};
  if (name == "eps") return {"layer_norm_epsilon"};
  if (name == "channels") return {"in_channels"};
  if (name == "image_size") return {"image_height", "image_width"};
  if (name == "patch_size") return {"patch_height", "patch_width"};
  return {name};
}

const std::vector<std::string>& model_setting_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all{"image_size", "patch_size", "heads", "eps", "channels"};
    for (std::string& field : network_field_names()) all.push_back(std::move(field));
    return all;
  }();
  return names;
}

const std::vector<std::string>& checkpoint_setting_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all = model_setting_names();
    for (const char* name : {"mean", "std", "interpolation", "crop_pct", "crop_mode", "family",
                             "state_dict", "adapter"})
      all.emplace_back(name);
    return all;
  }();
  return names;
}

}  // namespace vitrail
