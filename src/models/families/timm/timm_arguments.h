// timm's model_args, read one by one.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <tuple>

#include "formats/json.h"
#include "models/families/reading/sides.h"

namespace vitrail {

// Null stands for an argument that is absent, as timm's factory has it. `place` names the object in
// messages; both must outlive the reader. Errors: a value of another type.
class TimmArguments {
 public:
  TimmArguments(const nlohmann::json& object, const std::string& place)
      : object_(object), place_(place) {}
  bool has(const char* key) const {
    const auto found = object_.find(key);
    return found != object_.end() && !found->is_null();
  }
  template <typename T>
  void read(const char* key, T& field) const {
    if (const auto value = get_optional<T>(object_, key, place_)) field = *value;
  }
  void read_sides(const char* key, int64_t& height, int64_t& width) const {
    if (has(key)) std::tie(height, width) = sides_from_json(object_, key, place_, "timm");
  }
  std::string text(const char* key) const { return get<std::string>(object_, key, place_); }
  const nlohmann::json& value(const char* key) const { return object_.at(key); }
  const std::string& place() const { return place_; }

 private:
  const nlohmann::json& object_;
  const std::string& place_;
};

// The mlp_ratio of which timm makes an MLP so wide: it computes int(dim * ratio), and the quotient
// may fall a bit short.
double timm_ratio(int64_t hidden, int64_t dim);

}  // namespace vitrail
