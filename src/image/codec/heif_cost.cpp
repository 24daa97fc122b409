#include "image/codec/heif_cost.h"

#include <algorithm>

#include "core/printable.h"
#include "image/codec/heif_derived.h"
#include "image/codec/hevc_size.h"

namespace vitrail {
namespace {

// A grid on a canvas of a few pixels more than one tile decodes four times as many.
constexpr uint64_t kMaxDecodedPerPixel = 16;
constexpr uint64_t kSmallPicture = 1 << 16;  // pixels
// A turned picture of tiles of cropped pictures is two deep, or three.
constexpr int kMaxDepth = 8;
constexpr uint64_t kColors = 3;  // bytes of a pixel that is done

bool is_turned(const HeifItem& item) {
  for (const char* kind : {"irot", "imir", "clap"})
    if (item.property(kind) != nullptr) return true;
  return false;
}

}  // namespace

HeifCost::HeifCost(const PictureSource& picture, const HeifItems& items)
    : picture_(picture), items_(items), cost_(of(items.primary(), 0)) {
  const uint64_t limit = kMaxDecodedPerPixel * std::max(cost_.canvas, kSmallPicture);
  if (cost_.decoded > limit)
    picture.refuse("a HEIF that decodes {} pixels for a picture of {}", cost_.decoded,
                   cost_.canvas);
}

HeifCost::Cost HeifCost::of(uint32_t number, int depth) {
  if (const auto found = known_.find(number); found != known_.end()) return found->second;
  const HeifItem& item = items_.item(number);
  if (depth > kMaxDepth)
    picture_.refuse("a HEIF whose pictures are made of each other, or more than {} deep",
                    kMaxDepth);
  if (!item.is_picture())
    picture_.refuse("a HEIF whose picture is of the kind '{}', which is not read",
                    printable(item.kind));
  Cost cost = item.is_coded() ? of_coded(item) : of_derived(item, depth);
  if (item.premultiplied && item.alpha != 0) {
    if (!item.is_coded() || !items_.item(item.alpha).is_coded())
      picture_.refuse("a HEIF whose picture is made of others and multiplied by its transparency");
    const Cost alpha = of(item.alpha, depth + 1);
    cost.bytes += alpha.bytes;
    cost.decoded += alpha.decoded;
  }
  return known_[number] = cost;
}

HeifCost::Cost HeifCost::of_coded(const HeifItem& item) {
  const HeifBox* configuration = item.property("hvcC");
  const auto configurations = std::count_if(item.properties.begin(), item.properties.end(),
                                            [](const HeifBox& box) { return box.kind == "hvcC"; });
  if (configurations != 1)
    picture_.refuse("not a readable HEIF: a picture of it has {} configurations", configurations);
  const std::string data = item.data();
  data_bytes_ += data.size();
  if (data_bytes_ > 2 * picture_.bytes.size())
    picture_.refuse("not a readable HEIF: its items name more bytes than it has");
  const HevcPicture coded = hevc_picture(configuration->body, data);
  if (coded.parameter_sets == 0)
    picture_.refuse("not a readable HEIF: a picture of it does not say its size");
  if (coded.pictures > 1)
    picture_.refuse("a HEIF with {} pictures where one is meant", coded.pictures);
  Cost cost;
  cost.canvas = coded.pixels;
  for (const HeifBox& box : item.properties) {
    if (box.kind != "ispe") continue;
    HeifNumbers numbers(picture_, box.body, "ispe");
    numbers.number(4);
    const uint64_t width = numbers.number(4), height = numbers.number(4);
    picture_.check_size(width, height);
    cost.canvas = std::max(cost.canvas, width * height);
  }
  if (cost.canvas > picture_.max_pixels)
    picture_.refuse("holds {} pixels, above the limit of {}", cost.canvas, picture_.max_pixels);
  cost.decoded = cost.canvas;
  // Planes in the decoder and in the library, and colours twice where they are the library's.
  const uint64_t sample_bytes = coded.bits > 8 ? 2 : 1;
  const uint64_t pixel_bytes = coded.only_420() && sample_bytes == 1 ? 9 : 6 * sample_bytes + 7;
  cost.bytes = cost.canvas * pixel_bytes + 2 * data.size();
  return cost;
}

HeifCost::Cost HeifCost::of_derived(const HeifItem& item, int depth) {
  Cost cost, largest;
  if (item.kind == "grid") {
    const HeifGrid grid(picture_, item);
    cost.canvas = uint64_t{grid.width} * grid.height;
  } else if (item.kind == "iovl") {
    const HeifOverlay overlay(picture_, item);
    cost.canvas = uint64_t{overlay.width} * overlay.height;
  } else if (item.made_of.size() != 1) {
    picture_.refuse("not a readable HEIF: a picture that is another's twin is made of {}",
                    item.made_of.size());
  }
  cost.decoded = cost.canvas;
  for (const uint32_t part : item.made_of) {
    Cost one = of(part, depth + 1);
    if (const uint32_t alpha = items_.item(part).alpha; item.kind == "iovl" && alpha != 0) {
      if (!items_.item(alpha).is_coded())
        picture_.refuse("a HEIF whose transparency is a picture made of others");
      const Cost opacity = of(alpha, depth + 1);
      one.bytes += opacity.bytes;
      one.decoded += opacity.decoded;
    }
    largest.bytes = std::max(largest.bytes, one.bytes);
    largest.canvas = std::max(largest.canvas, one.canvas);
    cost.decoded += one.decoded;
  }
  if (item.kind == "iden") cost.canvas = largest.canvas;
  const uint64_t copies = is_turned(item) ? 2 : 1;
  cost.bytes = copies * kColors * cost.canvas + largest.bytes + kColors * largest.canvas;
  return cost;
}

}  // namespace vitrail
