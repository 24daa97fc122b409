#include "formats/json_tree.h"

#include <algorithm>

#include "core/error.h"

namespace vitrail {

bool JsonEvents::binary(binary_t&) {
  fail("json", "{}: holds binary data", place_);  // no text has any
}

bool JsonEvents::parse_error(size_t position, const std::string&,
                             const nlohmann::detail::exception& error) {
  constexpr int kOutOfRange = 406;
  if (error.id == kOutOfRange)
    fail("json", "{}: holds a number beyond what a double can hold", place_);
  const size_t byte = std::min(position == 0 ? 0 : position - 1, text_.size());
  const std::string_view before = text_.substr(0, byte);
  const size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  fail("json", "{}: is not JSON: line {}, column {}{}", place_,
       std::ranges::count(before, '\n') + 1, byte - line_start + 1,
       position > text_.size() ? ", where it ends" : "");
}

void parse_json_events(std::string_view text, JsonEvents& events) {
  events.text_ = text;
  Json::sax_parse(text, &events);
}

Json& JsonTree::put(Json value) {
  if (++values_ > limits_.values)
    fail("json", "{}: holds more than {} values", place_, limits_.values);
  if (open_.empty()) return root_ = std::move(value);
  if (open_.back()->is_array()) return open_.back()->emplace_back(std::move(value));
  return *slot_ = std::move(value);
}

bool JsonTree::open(Json container) {
  if (open_.size() >= static_cast<size_t>(limits_.depth))
    fail("json", "{}: is nested deeper than {} levels", place_, limits_.depth);
  open_.push_back(&put(std::move(container)));
  return true;
}

bool JsonTree::key(string_t& name) {
  slot_ = &(*open_.back())[std::move(name)];
  return true;
}

Json JsonTree::take() {
  values_ = 0;
  return std::exchange(root_, nullptr);
}

}  // namespace vitrail
