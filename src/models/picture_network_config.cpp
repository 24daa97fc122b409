#include "models/picture_network_config.h"

namespace vitrail {

void PictureNetworkConfig::set_pictures(const PictureInput& input) {
  in_channels = input.channels;
  image_height = input.height;
  image_width = input.width;
}

void PictureNetworkConfig::set_class_answer(const ClassAnswer& to) {
  num_classes = to.classes;
  answer = to.meaning;
  multi_label = to.multi_label;
}

void PictureNetworkConfig::check_common() const {
  // Generous limits: beyond them a number is a mistake or an attack, not a model.
  constexpr int64_t kMostPixels = 16384, kMostChannels = 1024, kMostClasses = int64_t{1} << 24;
  check_field("image_height", image_height, 1, kMostPixels);
  check_field("image_width", image_width, 1, kMostPixels);
  check_field("in_channels", in_channels, 1, kMostChannels);
  check_field("num_classes", num_classes, 0, kMostClasses);
  check(!multi_label || answer == Answer::sigmoid, kConfigPlace,
        "multi_label goes with answer sigmoid, not {}", word_of(answer));
  check_rate("drop_path", drop_path);
}

void check_field(const char* name, int64_t value, int64_t low, int64_t high) {
  check(value >= low && value <= high, kConfigPlace, "{} is {}; it must lie between {} and {}",
        name, value, low, high);
}

void check_rate(const char* name, double value) {
  check(value >= 0 && value < 1, kConfigPlace, "{} is {}; it must lie in [0, 1)", name, value);
}

void check_epsilon(const char* name, double value) {
  check(value > 0 && value < 1, kConfigPlace, "{} is {}; it must lie between 0 and 1", name, value);
}

void check_ratio(const char* name, double value) {
  constexpr double kLeast = 0.01, kMost = 64;
  check(value >= kLeast && value <= kMost, kConfigPlace, "{} is {}; it must lie between {} and {}",
        name, value, kLeast, kMost);
}

void check_stages(const char* reference, size_t stages, std::initializer_list<StageList> lists) {
  constexpr int64_t kMostStages = 8;
  check_field(fmt::format("the number of {}", reference).c_str(), static_cast<int64_t>(stages), 1,
              kMostStages);
  for (const StageList& list : lists) {
    check(list.values.size() == stages, kConfigPlace,
          "{} names {} stages and {} {}; both must name as many", list.name, list.values.size(),
          reference, stages);
    for (const int64_t value : list.values) check_field(list.name, value, list.low, list.high);
  }
}

double drop_path_of_block(double last, int64_t block, int64_t blocks) {
  return blocks < 2 ? 0 : last * static_cast<double>(block) / static_cast<double>(blocks - 1);
}

}  // namespace vitrail
