#include "models/backbones/classifier_fields.h"

#include "models/field_words.h"

namespace vitrail {

void check_field(const char* name, int64_t value, int64_t low, int64_t high) {
  check(value >= low && value <= high, "model config", "{} is {}; it must lie between {} and {}",
        name, value, low, high);
}

void check_field(const char* name, double value, double low, double high) {
  check(value >= low && value <= high, "model config", "{} is {}; it must lie between {} and {}",
        name, value, low, high);
}

void ClassifierFields::validate_common() const {
  constexpr int64_t kMostPixels = 16384;
  check_field("image_height", image_height, 1, kMostPixels);
  check_field("image_width", image_width, 1, kMostPixels);
  check_field("in_channels", in_channels, 1, 1024);
  check_field("num_classes", num_classes, 0, int64_t{1} << 24);
  check(!multi_label || answer == Answer::sigmoid, "model config",
        "multi_label goes with answer sigmoid, not {}", word_of(answer));
  for (const auto& [name, rate] : {std::pair{"dropout", dropout}, {"drop_path", drop_path}})
    check(rate >= 0 && rate < 1, "model config", "{} is {}; it must lie in [0, 1)", name, rate);
}

}  // namespace vitrail
