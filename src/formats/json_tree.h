// Trees of JSON out of a parser's events, within limits that hold while they grow. Internal to the
// readers of JSON.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "formats/json.h"

namespace vitrail {

// What the parser meets, one after another. The parser itself holds one string at a time and one
// bit for each open bracket.
class JsonEvents : public nlohmann::json_sax<Json> {
 public:
  explicit JsonEvents(const std::string& place) : place_(place) {}

  // A value that is no container.
  virtual void scalar(Json value) = 0;

  bool null() final { return take(nullptr); }
  bool boolean(bool value) final { return take(value); }
  bool number_integer(number_integer_t value) final { return take(value); }
  bool number_unsigned(number_unsigned_t value) final { return take(value); }
  bool number_float(number_float_t value, const string_t&) final { return take(value); }
  bool string(string_t& value) final { return take(std::move(value)); }
  bool binary(binary_t&) final;
  bool parse_error(size_t position, const std::string& token,
                   const nlohmann::detail::exception& error) final;

 protected:
  std::string_view text_;
  const std::string& place_;

 private:
  friend void parse_json_events(std::string_view text, JsonEvents& events);
  bool take(Json value) {
    scalar(std::move(value));
    return true;
  }
};

// Error: not JSON, or what the events throw.
void parse_json_events(std::string_view text, JsonEvents& events);

class JsonTree : public JsonEvents {
 public:
  JsonTree(const std::string& place, const JsonLimits& limits)
      : JsonEvents(place), limits_(limits) {}

  void scalar(Json value) override { put(std::move(value)); }
  bool start_object(size_t) override { return open(Json::object()); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool key(string_t& name) override;
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  // Whether the value has come to its end.
  bool complete() const { return open_.empty() && values_ > 0; }
  // The value; the tree may then grow another.
  Json take();

 private:
  Json& put(Json value);
  bool open(Json container);
  bool close() {
    open_.pop_back();
    return true;
  }

  const JsonLimits limits_;
  Json root_;
  std::vector<Json*> open_;  // the root first
  Json* slot_ = nullptr;     // where the innermost object's next value belongs
  size_t values_ = 0;
};

}  // namespace vitrail
