#include "models/rejection.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace vitrail {

std::string none_of(int64_t classes) {
  constexpr std::array kWords{"zero",  "one",   "two",  "three", "four",   "five",  "six",
                              "seven", "eight", "nine", "ten",   "eleven", "twelve"};
  const bool has_word = classes >= 0 && classes < static_cast<int64_t>(kWords.size());
  return fmt::format("none of my {} classes",
                     has_word ? kWords[static_cast<size_t>(classes)] : std::to_string(classes));
}

nlohmann::json to_json(const Rejection& rejection) {
  return {{"certainty", rejection.certainty_name()},
          {"threshold", rejection.threshold},
          {"accepted", rejection.accepted}};
}

Rejection rejection_from_json(const nlohmann::json& json, const std::string& place,
                              const TensorSource* gaussians) {
  const auto share = [&](const char* name) {
    const auto found = json.find(name);
    // A comparison that NaN fails, too.
    if (found == json.end() || !found->is_number() ||
        !(found->get<double>() >= 0 && found->get<double>() <= 1))
      fail("model", "{}: \"rejection.{}\" must be a number from 0 to 1", place, name);
    return found->get<double>();
  };
  if (!json.is_object())
    fail("model", "{}: \"rejection\" must be an object with \"threshold\" and \"accepted\"", place);
  Rejection rejection{.threshold = share("threshold"), .accepted = share("accepted")};
  const nlohmann::json certainty = json.value("certainty", nlohmann::json("probability"));
  if (certainty == "typicality") {
    if (gaussians == nullptr)
      fail("model", "{}: the classes' typical features are missing: {}", place, kRejectionFile);
    rejection.gaussians =
        std::make_shared<ClassGaussians>(ClassGaussians::from_tensors(*gaussians));
  } else if (certainty != "probability") {
    fail("model", "{}: \"rejection.certainty\" must be probability or typicality", place);
  }
  return rejection;
}

}  // namespace vitrail
