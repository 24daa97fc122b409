// What the configurations of several networks have in common: a picture, classes, dropout. A
// configuration derives from it and adds its own fields.
#pragma once

#include <string>

#include "core/error.h"
#include "models/network_config.h"

namespace vitrail {

struct ClassifierFields {
  std::string architecture;  // a name people know: "tiny_vit_5m_224"; may be empty
  int64_t image_height = 224, image_width = 224, in_channels = 3;
  int64_t num_classes = 1000;  // 0: no head
  Answer answer = Answer::softmax;
  bool multi_label = false;
  double dropout = 0;    // of the branches' outputs
  double drop_path = 0;  // of the last block; earlier ones grow linearly from 0

  PictureInput pictures() const {
    return {.channels = in_channels, .height = image_height, .width = image_width};
  }
  ClassAnswer class_answer() const {
    return {.classes = num_classes, .meaning = answer, .multi_label = multi_label};
  }
  void set_pictures(const PictureInput& input) {
    in_channels = input.channels;
    image_height = input.height;
    image_width = input.width;
  }
  void set_class_answer(const ClassAnswer& to) {
    num_classes = to.classes;
    answer = to.meaning;
    multi_label = to.multi_label;
  }
  void set_drop_path(double rate) { drop_path = rate; }
  bool operator==(const ClassifierFields&) const = default;

  // Error naming the field that is out of range or contradicts another.
  void validate_common() const;
};

// The fields behind the configuration's own.
constexpr auto kClassifierFields = [](auto& c, auto visit) {
  visit("num_classes", c.num_classes);
  visit("answer", c.answer);
  visit("multi_label", c.multi_label);
  visit("dropout", c.dropout);
  visit("drop_path", c.drop_path);
};
// And before them.
constexpr auto kPictureFields = [](auto& c, auto visit) {
  visit("architecture", c.architecture);
  visit("image_height", c.image_height);
  visit("image_width", c.image_width);
  visit("in_channels", c.in_channels);
};

// Error: the field does not lie between low and high.
void check_field(const char* name, int64_t value, int64_t low, int64_t high);
void check_field(const char* name, double value, double low, double high);

// Sized for another picture, if that is valid.
template <typename Config>
void size_config(Config& config, int64_t height, int64_t width) {
  Config sized = config;
  sized.image_height = height;
  sized.image_width = width;
  sized.validate();
  config = sized;
}

}  // namespace vitrail
