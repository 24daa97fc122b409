// Vitrail's own block: every field is written and every field is required, but for channel_order,
// which is there where it is not rgb.
#include <algorithm>
#include <utility>

#include "core/error.h"
#include "image/preprocess/config_fields.h"
#include "image/preprocess/preprocess.h"

namespace vitrail {
namespace {

template <typename Value>
struct Named {
  Value value;
  const char* name;
};

constexpr Named<ResizeMode> kResizeModes[] = {
    {ResizeMode::none, "none"},
    {ResizeMode::squash, "squash"},
    {ResizeMode::shortest_edge, "shortest_edge"},
    {ResizeMode::longest_edge, "longest_edge"},
    {ResizeMode::cover, "cover"},
    {ResizeMode::patches, "patches"},
    {ResizeMode::fit, "fit"},
};
constexpr Named<CropRule> kCropRules[] = {
    {CropRule::none, "none"},
    {CropRule::torchvision, "torchvision"},
    {CropRule::huggingface, "huggingface"},
    {CropRule::corner, "corner"},
};
constexpr Named<PassOrder> kPassOrders[] = {
    {PassOrder::horizontal_first, "horizontal_first"},
    {PassOrder::fewest_rows, "fewest_rows"},
};
constexpr Named<Arithmetic> kArithmetics[] = {
    {Arithmetic::torchvision, "torchvision"},
    {Arithmetic::huggingface, "huggingface"},
};
constexpr Named<ExifPolicy> kExifPolicies[] = {
    {ExifPolicy::ignore, "ignore"},
    {ExifPolicy::apply, "apply"},
};

template <typename Value, size_t kCount>
const char* name_in(const Named<Value> (&table)[kCount], Value value) {
  for (const auto& row : table)
    if (row.value == value) return row.name;
  fail("preprocess", "a value outside its table");
}

template <typename Value, size_t kCount>
Value read_in(const Named<Value> (&table)[kCount], const ConfigFields& fields, const char* key) {
  const std::string name = fields.text(key);
  std::string known;
  for (const auto& row : table) {
    if (name == row.name) return row.value;
    known += known.empty() ? row.name : std::string(", ") + row.name;
  }
  fail("preprocess", "{} is '{}', expected one of {}", fields.path(key), name, known);
}

PictureSize read_size(const ConfigFields& fields) {
  return {fields.integer("height", 1, kMaxPreprocessSide),
          fields.integer("width", 1, kMaxPreprocessSide)};
}

std::array<double, 3> read_channels(const ConfigFields& fields, const char* key, int channels) {
  const std::vector<double> values = fields.numbers(key);
  if (static_cast<int>(values.size()) != channels)
    fail("preprocess", "{} has {} numbers, expected {}, one a channel", fields.path(key),
         values.size(), channels);
  std::array<double, 3> read = Preprocess{}.mean;
  std::copy(values.begin(), values.end(), read.begin());
  return read;
}

template <typename Value>
nlohmann::ordered_json first_channels(const std::array<Value, 3>& values, int channels) {
  return std::vector<Value>(values.begin(), values.begin() + channels);
}

}  // namespace

nlohmann::ordered_json to_json(const Preprocess& p) {
  check_preprocess(p);
  nlohmann::ordered_json block;
  block["channels"] = p.channels;
  block["resize"] = {{"mode", name_in(kResizeModes, p.resize)},
                     {"height", p.resize_to.height},
                     {"width", p.resize_to.width},
                     {"filter", name_of(p.filter)},
                     {"passes", name_in(kPassOrders, p.passes)}};
  block["crop"] = {{"rule", name_in(kCropRules, p.crop)},
                   {"height", p.crop_to.height},
                   {"width", p.crop_to.width},
                   {"fill", first_channels(p.fill, p.channels)}};
  block["rescale"] = {
      {"apply", p.do_rescale}, {"factor", p.rescale_factor}, {"before_resize", p.rescale_first}};
  block["normalize"] = {{"apply", p.do_normalize},
                        {"mean", first_channels(p.mean, p.channels)},
                        {"std", first_channels(p.std, p.channels)}};
  if (p.bgr) block["channel_order"] = "bgr";  // files of before have none
  block["arithmetic"] = name_in(kArithmetics, p.arithmetic);
  block["exif"] = name_in(kExifPolicies, p.exif);
  block["source"] = p.source;
  return block;
}

Preprocess from_json(const nlohmann::json& block) {
  const ConfigFields fields(block, "preprocess");
  fields.refuse_others({"channels", "resize", "crop", "rescale", "normalize", "channel_order",
                        "arithmetic", "exif", "source"});
  Preprocess p;
  p.channels = fields.integer("channels", 1, 3);
  if (p.channels == 2) fail("preprocess", "preprocess.channels is 2, expected 1 or 3");

  const ConfigFields resize = fields.object("resize");
  resize.refuse_others({"mode", "height", "width", "filter", "passes"});
  p.resize = read_in(kResizeModes, resize, "mode");
  p.resize_to = read_size(resize);
  p.filter = filter_of(resize.text("filter"));
  p.passes = read_in(kPassOrders, resize, "passes");

  const ConfigFields crop = fields.object("crop");
  crop.refuse_others({"rule", "height", "width", "fill"});
  p.crop = read_in(kCropRules, crop, "rule");
  p.crop_to = read_size(crop);
  const std::vector<int> fill = crop.integers("fill", 0, 255);
  if (static_cast<int>(fill.size()) != p.channels)
    fail("preprocess", "{} has {} numbers, expected {}, one a channel", crop.path("fill"),
         fill.size(), p.channels);
  for (size_t i = 0; i < fill.size(); ++i) p.fill[i] = static_cast<uint8_t>(fill[i]);

  const ConfigFields rescale = fields.object("rescale");
  rescale.refuse_others({"apply", "factor", "before_resize"});
  p.do_rescale = rescale.boolean("apply");
  p.rescale_factor = rescale.number("factor");
  p.rescale_first = rescale.boolean("before_resize");

  const ConfigFields normalize = fields.object("normalize");
  normalize.refuse_others({"apply", "mean", "std"});
  p.do_normalize = normalize.boolean("apply");
  p.mean = read_channels(normalize, "mean", p.channels);
  p.std = read_channels(normalize, "std", p.channels);

  const std::string order = fields.text("channel_order", "rgb");
  if (order != "rgb" && order != "bgr")
    fail("preprocess", "{} is '{}', expected rgb or bgr", fields.path("channel_order"), order);
  p.bgr = order == "bgr";

  p.arithmetic = read_in(kArithmetics, fields, "arithmetic");
  p.exif = read_in(kExifPolicies, fields, "exif");
  p.source = fields.text("source");
  check_preprocess(p);
  return p;
}

}  // namespace vitrail
