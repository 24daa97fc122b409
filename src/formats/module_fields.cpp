#include "formats/module_fields.h"

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>

#include "core/printable.h"

namespace vitrail {
namespace {

using Json = nlohmann::json;
using Kind = PickleValue::Kind;

// Parts may be shared, and a module shares few: no more than twice what the pickle holds.
constexpr size_t kMaxShared = 2;
constexpr size_t kFewValues = 1000, kFewBytes = size_t{64} << 10;
constexpr int kMaxDepth = 24;

class FieldsOfModule {
 public:
  explicit FieldsOfModule(const Pickle& pickle) : pickle_(pickle) {}
  bool failed() const { return failed_; }

  Json object(const PickleValue& value, int depth) {
    Json json = {{"class", dotted_name(value.text)}};
    if (!spend(value.text.size(), depth) || value.items.empty()) return json;
    const PickleValue& state = pickle_.at(value.items[0]);
    if (state.kind != Kind::dict) return json;
    json["fields"] = dictionary(state, true, depth + 1);
    for (size_t i = 0; i + 1 < state.items.size(); i += 2) {
      const PickleValue& inner = pickle_.at(state.items[i + 1]);
      if (pickle_.at(state.items[i]).text == "_modules" && inner.kind == Kind::dict)
        json["modules"] = dictionary(inner, false, depth + 1);
    }
    return json;
  }

 private:
  bool spend(size_t bytes, int depth) {
    bytes_ += bytes;
    failed_ = failed_ || ++values_ > kFewValues + kMaxShared * pickle_.values.size() ||
              bytes_ > kFewBytes + kMaxShared * pickle_.bytes || depth > kMaxDepth;
    return !failed_;
  }

  // Keys are texts, or numbers as JSON writes them. Of an object only what it shows.
  Json dictionary(const PickleValue& value, bool of_object, int depth) {
    Json json = Json::object();
    for (size_t i = 0; i + 1 < value.items.size() && !failed_; i += 2) {
      const PickleValue& key = pickle_.at(value.items[i]);
      const PickleValue& item = pickle_.at(value.items[i + 1]);
      if (key.kind != Kind::text && key.kind != Kind::integer) continue;
      if (of_object && key.text.starts_with('_')) continue;
      if (item.kind == Kind::tensor) continue;
      bytes_ += key.text.size();
      std::string name =
          key.kind == Kind::text ? std::string(key.text) : std::to_string(key.integer);
      json[std::move(name)] = plain(item, depth);
    }
    return json;
  }

  Json plain(const PickleValue& value, int depth) {
    if (!spend(value.text.size(), depth)) return nullptr;
    switch (value.kind) {
      case Kind::boolean:
        return value.integer != 0;
      case Kind::integer:
        return value.integer;
      case Kind::real:
        return std::bit_cast<double>(value.integer);
      case Kind::text:
        return std::string(value.text);
      case Kind::tuple:
      case Kind::list: {
        Json list = Json::array();
        for (const uint32_t item : value.items) {
          if (failed_) break;
          list.push_back(plain(pickle_.at(item), depth + 1));
        }
        return list;
      }
      case Kind::dict:
        return dictionary(value, false, depth + 1);
      case Kind::global:
        return {{"class", dotted_name(value.text)}};
      case Kind::opaque:
        return object(value, depth + 1);
      default:
        return nullptr;
    }
  }

  const Pickle& pickle_;
  size_t values_ = 0, bytes_ = 0;
  bool failed_ = false;
};

}  // namespace

std::string dotted_name(std::string_view global) {
  std::string name = printable(global);
  std::ranges::replace(name, ' ', '.');
  return name;
}

std::string module_fields(const Pickle& pickle, const PickleValue& module) {
  FieldsOfModule fields(pickle);
  const Json json = fields.object(module, 0);
  if (fields.failed()) return "";
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace vitrail
