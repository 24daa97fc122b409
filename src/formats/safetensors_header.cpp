#include "formats/safetensors_header.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "core/printable.h"
#include "formats/json.h"
#include "formats/safetensors.h"

namespace vitrail {
namespace {

struct DTypeName {
  DType dtype;
  const char* name;
};
// Ascending in upstream's order.
constexpr std::array<DTypeName, 10> kDTypeNames = {{{DType::boolean, "BOOL"},
                                                    {DType::u8, "U8"},
                                                    {DType::i8, "I8"},
                                                    {DType::i16, "I16"},
                                                    {DType::f16, "F16"},
                                                    {DType::bf16, "BF16"},
                                                    {DType::i32, "I32"},
                                                    {DType::f32, "F32"},
                                                    {DType::f64, "F64"},
                                                    {DType::i64, "I64"}}};

// Collects the header as the parser meets it, so a hostile one never becomes a tree in memory:
// an object of objects of {dtype: text, shape: [counts], data_offsets: [two counts]}.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(const std::string& place) : place_(place) {}

  SafetensorsHeader header;

  bool null() override { return refuse("null"); }
  bool boolean(bool) override { return refuse("a boolean"); }
  bool number_float(number_float_t, const string_t& text) override {
    return refuse(text.size() <= 40 ? "the number " + text : "a huge number");
  }
  bool number_integer(number_integer_t value) override {
    return refuse("the number " + std::to_string(value));
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (depth_ != 3) return refuse("the number " + std::to_string(value));
    if (field_ == "shape") {
      if (dims_.size() >= Shape::kMaxRank)
        fail("safetensors", "{}: tensor '{}' has more than {} axes", place_, printable(name_),
             Shape::kMaxRank);
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
        fail("safetensors", "{}: tensor '{}' has an axis of {}", place_, printable(name_), value);
      dims_.push_back(static_cast<int64_t>(value));
    } else {
      if (offsets_.size() >= 2)
        fail("safetensors", "{}: tensor '{}': data_offsets takes two numbers", place_,
             printable(name_));
      offsets_.push_back(value);
    }
    return true;
  }
  bool string(string_t& value) override {
    if (depth_ == 2 && in_metadata()) {
      if (!header.metadata.emplace(field_, std::move(value)).second)
        fail("safetensors", "{}: __metadata__ names '{}' twice", place_, printable(field_));
      if (header.metadata.size() > kMaxSafetensorsMetadata)
        fail("safetensors", "{}: __metadata__ has more than {} entries", place_,
             kMaxSafetensorsMetadata);
      return true;
    }
    if (depth_ != 2 || field_ != "dtype") return refuse("text");
    const auto* found = std::ranges::find_if(
        kDTypeNames, [&](const DTypeName& candidate) { return value == candidate.name; });
    if (found == kDTypeNames.end())
      fail("safetensors",
           "{}: tensor '{}' has dtype '{}'; known are BOOL U8 I8 I16 F16 BF16 I32 "
           "F32 F64 I64",
           place_, printable(name_), printable(value, 40));
    dtype_ = found->dtype;
    return true;
  }
  bool binary(binary_t&) override { return refuse("binary data"); }

  bool start_object(size_t) override {
    if (depth_ > 1) return refuse("an object");
    ++depth_;
    seen_.clear();
    return true;
  }
  bool key(string_t& text) override {
    if (depth_ == 1) {
      name_ = std::move(text);
      if (name_.size() > kMaxTensorNameBytes)
        fail("safetensors", "{}: a tensor's name has {} bytes, above the limit of {}", place_,
             name_.size(), kMaxTensorNameBytes);
      if (in_metadata() && std::exchange(has_metadata_, true))
        fail("safetensors", "{}: the name '__metadata__' stands twice in the header", place_);
      if (header.entries.size() >= kMaxSafetensorsTensors)
        fail("safetensors", "{}: has more than {} tensors", place_, kMaxSafetensorsTensors);
      dims_.clear();
      offsets_.clear();
      return true;
    }
    field_ = std::move(text);
    if (in_metadata()) return true;
    if (field_ != "dtype" && field_ != "shape" && field_ != "data_offsets")
      fail("safetensors", "{}: tensor '{}' has a field '{}'; known are dtype, shape, data_offsets",
           place_, printable(name_), printable(field_, 40));
    if (!seen_.insert(field_).second)
      fail("safetensors", "{}: tensor '{}' has {} twice", place_, printable(name_), field_);
    return true;
  }
  bool end_object() override {
    if (depth_ == 2 && !in_metadata()) finish_tensor();
    --depth_;
    return true;
  }
  bool start_array(size_t) override {
    if (depth_ != 2 || in_metadata() || field_ == "dtype") return refuse("a list");
    ++depth_;
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    fail("safetensors", "{}: the header is not JSON from its byte {} on", place_, position);
  }

 private:
  bool in_metadata() const { return name_ == "__metadata__"; }

  [[noreturn]] bool refuse(const std::string& what) const {
    if (depth_ == 0) fail("safetensors", "{}: the header is {}, not an object", place_, what);
    if (depth_ == 1)
      fail("safetensors", "{}: '{}' is {}, not an object", place_, printable(name_), what);
    fail("safetensors", "{}: '{}' has {} in its {}", place_, printable(name_), what,
         printable(field_, 40));
  }

  void finish_tensor() {
    for (const char* field : {"dtype", "shape", "data_offsets"})
      if (!seen_.contains(field))
        fail("safetensors", "{}: tensor '{}' has no {}", place_, printable(name_), field);
    if (offsets_.size() != 2)
      fail("safetensors", "{}: tensor '{}': data_offsets takes two numbers", place_,
           printable(name_));
    header.entries.push_back(
        {name_, {dtype_, Shape(std::span<const int64_t>(dims_))}, offsets_[0], offsets_[1]});
  }

  const std::string& place_;
  int depth_ = 0;  // 1 in the header, 2 in a tensor or the metadata, 3 in a list
  std::string name_, field_;
  std::set<std::string> seen_;  // fields of the tensor at hand
  bool has_metadata_ = false;
  DType dtype_ = DType::f32;
  std::vector<int64_t> dims_;
  std::vector<uint64_t> offsets_;
};

uint64_t bytes_of(const SafetensorsEntry& entry, const std::string& place) {
  uint64_t bytes = size_of(entry.info.dtype);
  for (const int64_t dim : entry.info.shape)
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(dim), &bytes))
      fail("safetensors", "{}: tensor '{}': the size of its shape {} overflows", place,
           printable(entry.name), entry.info.shape.str());
  return bytes;
}

void check_names(const SafetensorsHeader& header, const std::string& place) {
  std::vector<std::string_view> names;
  for (const SafetensorsEntry& entry : header.entries) names.push_back(entry.name);
  std::ranges::sort(names);
  const auto twice = std::ranges::adjacent_find(names);
  if (twice != names.end())
    fail("safetensors", "{}: the name '{}' stands twice in the header", place, printable(*twice));
}

std::string quoted(const std::string& text, const std::string& place) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    fail("safetensors", "{}: a name or a metadata value is not UTF-8", place);
  }
}

const char* safetensors_name(DType dtype) {
  return kDTypeNames[safetensors_rank(dtype)].name;
}

}  // namespace

int safetensors_rank(DType dtype) {
  const auto* found = std::ranges::find(kDTypeNames, dtype, &DTypeName::dtype);
  return static_cast<int>(found - kDTypeNames.begin());
}

SafetensorsHeader parse_safetensors_header(std::string_view text, uint64_t data_bytes,
                                           const std::string& place) {
  if (!text.starts_with('{')) fail("safetensors", "{}: the header does not begin with '{{'", place);
  // The parser takes a NUL for the end of its text; upstream refuses what stands behind it.
  if (text.find('\0') != std::string_view::npos)
    fail("safetensors", "{}: the header has a NUL byte at {}", place, text.find('\0'));
  HeaderReader reader(place);
  nlohmann::json::sax_parse(text, &reader);
  SafetensorsHeader header = std::move(reader.header);
  check_names(header, place);

  std::ranges::sort(header.entries, [](const auto& left, const auto& right) {
    return std::tie(left.begin, left.end, left.name) < std::tie(right.begin, right.end, right.name);
  });
  uint64_t next = 0;
  for (const SafetensorsEntry& entry : header.entries) {
    if (entry.begin != next || entry.end < entry.begin)
      fail("safetensors", "{}: tensor '{}' lies at bytes {} to {}; {} from byte {} on", place,
           printable(entry.name), entry.begin, entry.end,
           entry.begin < next ? "it overlaps another, which leaves room"
                              : "tensors follow each other without gaps, so it belongs",
           next);
    if (entry.end > data_bytes)
      fail("safetensors", "{}: tensor '{}' ends at byte {} of {}: the file is truncated", place,
           printable(entry.name), entry.end, data_bytes);
    const uint64_t bytes = bytes_of(entry, place);
    if (entry.end - entry.begin != bytes)
      fail("safetensors", "{}: tensor '{}' takes {} bytes, but {} {} needs {}", place,
           printable(entry.name), entry.end - entry.begin, safetensors_name(entry.info.dtype),
           entry.info.shape.str(), bytes);
    next = entry.end;
  }
  if (next != data_bytes)
    fail("safetensors", "{}: {} bytes follow the last tensor", place, data_bytes - next);
  return header;
}

std::string format_safetensors_header(const std::vector<SafetensorsEntry>& entries,
                                      const std::map<std::string, std::string>& metadata,
                                      const std::string& place) {
  std::string text = "{";
  const auto separate = [&] {
    if (text.size() > 1) text += ',';
  };
  if (!metadata.empty()) {
    text += "\"__metadata__\":{";
    for (bool first = true; const auto& [key, value] : metadata) {
      if (!first) text += ',';
      first = false;
      text += quoted(key, place) + ':' + quoted(value, place);
    }
    text += '}';
  }
  for (const SafetensorsEntry& entry : entries) {
    separate();
    text += fmt::format("{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                        quoted(entry.name, place), safetensors_name(entry.info.dtype),
                        fmt::join(entry.info.shape, ","), entry.begin, entry.end);
  }
  text += '}';
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

}  // namespace vitrail
