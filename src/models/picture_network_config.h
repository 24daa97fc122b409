// What the configurations of networks that make classes of a picture have in common, and how a list
// of fields serves their JSON and --set.
#pragma once

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/nearest.h"
#include "core/printable.h"
#include "formats/option_fields.h"
#include "models/class_answer.h"
#include "models/field_words.h"
#include "models/network_config.h"

namespace vitrail {

using kernels::Activation;
using kernels::NormKind;

// A configuration derives from it, adds its own fields and what NetworkSettings asks beside these
// (models/network_config.h).
struct PictureNetworkConfig {
  std::string architecture;  // a name people know: "pvt_v2_b0"; may be empty
  int64_t image_height = 224, image_width = 224, in_channels = 3;
  int64_t num_classes = 1000;  // 0: no head, the pooled vector is the answer
  Answer answer = Answer::softmax;
  bool multi_label = false;  // only of answer sigmoid (models/class_answer.h)
  double drop_path = 0;      // of the last block; earlier ones grow linearly from 0

  PictureInput pictures() const {
    return {.channels = in_channels, .height = image_height, .width = image_width};
  }
  void set_pictures(const PictureInput& input);
  ClassAnswer class_answer() const {
    return {.classes = num_classes, .meaning = answer, .multi_label = multi_label};
  }
  void set_class_answer(const ClassAnswer& to);
  void set_drop_path(double rate) { drop_path = rate; }
  void fit_positions() {}

  bool operator==(const PictureNetworkConfig&) const = default;

 protected:
  // Error naming the field of these that is out of range.
  void check_common() const;
};

// Calls visit(name, field) for each of them; a configuration's own list begins with it.
inline constexpr auto kPictureNetworkFields = [](auto& c, auto visit) {
  visit("architecture", c.architecture);
  visit("image_height", c.image_height);
  visit("image_width", c.image_width);
  visit("in_channels", c.in_channels);
  visit("num_classes", c.num_classes);
  visit("answer", c.answer);
  visit("multi_label", c.multi_label);
  visit("drop_path", c.drop_path);
};

inline constexpr const char* kConfigPlace = "model config";  // what messages call it

// Error naming the field.
void check_field(const char* name, int64_t value, int64_t low, int64_t high);
void check_rate(const char* name, double value);     // in [0, 1)
void check_epsilon(const char* name, double value);  // in (0, 1)
void check_ratio(const char* name, double value);    // of a width to another

// A list for each stage. Error: it names another number of stages than `stages`, of the field
// `reference`; a value out of range.
struct StageList {
  const char* name;
  const std::vector<int64_t>& values;
  int64_t low = 1, high = 65536;
};
void check_stages(const char* reference, size_t stages, std::initializer_list<StageList> lists);

// How far each block of a network drops its path: linearly from 0 to `last`, over all stages.
double drop_path_of_block(double last, int64_t block, int64_t blocks);

// Takes pictures of this size from here on. Error: they do not fit, and nothing changes.
template <typename Config>
void resize_pictures(Config& config, int64_t height, int64_t width) {
  Config sized = config;
  sized.image_height = height;
  sized.image_width = width;
  sized.validate();
  config = std::move(sized);
}

// ---- What a list of fields serves ----

// Missing fields keep the default. Error: an unknown field, a wrong value, what validate() refuses.
template <typename Config, typename Fields>
Config config_from_fields(Fields fields, const nlohmann::json& in) {
  Config config;
  fields_from_json(config, fields, in, kConfigPlace);
  const std::vector<std::string> known = field_names<Config>(fields);
  for (const auto& item : in.items()) {
    check(std::ranges::find(known, item.key()) != known.end(), kConfigPlace,
          "there is no field '{}'", printable(item.key()));
    check(!item.value().is_null(), kConfigPlace, "{} is null; leave it out to have its default",
          item.key());
  }
  config.validate();
  return config;
}

// Error: an unknown name, a bad value.
template <typename Config, typename Fields>
void set_config_field(Config& config, Fields fields, const std::string& name,
                      const std::string& value) {
  if (field_from_text(config, fields, name, value, kConfigPlace)) return;
  fail(kConfigPlace, "there is no field '{}'{}", printable(name),
       did_you_mean_or_all(name, field_names<Config>(fields)));
}

}  // namespace vitrail
