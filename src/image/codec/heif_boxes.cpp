#include "image/codec/heif_boxes.h"

#include "core/printable.h"

namespace vitrail {
namespace {

constexpr size_t kMaxBoxes = 8192;  // in one

}  // namespace

std::string_view HeifNumbers::take(size_t bytes) {
  if (bytes > bytes_.size()) picture_.refuse("not a readable HEIF: its '{}' is cut", kind_);
  const std::string_view taken = bytes_.substr(0, bytes);
  bytes_.remove_prefix(bytes);
  return taken;
}

uint64_t HeifNumbers::number(size_t bytes) {
  uint64_t value = 0;
  for (const char c : take(bytes)) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

int64_t HeifNumbers::signed_number(size_t bytes) {
  const uint64_t value = number(bytes), sign = uint64_t{1} << (8 * bytes - 1);
  return static_cast<int64_t>(value & (sign - 1)) - static_cast<int64_t>(value & sign);
}

// The boxes that fill `bytes`. At the top of a file one that is cut ends them, since what counts
// may stand before it.
std::vector<HeifBox> heif_boxes(const PictureSource& picture, std::string_view bytes,
                                std::string_view outer) {
  const bool top = outer.empty();
  std::vector<HeifBox> boxes;
  while (!bytes.empty()) {
    if (bytes.size() < 8) {
      if (top) break;
      picture.refuse("not a readable HEIF: its box '{}' is cut", outer);
    }
    HeifNumbers numbers(picture, bytes, outer);
    uint64_t size = numbers.number(4);
    const std::string_view kind = numbers.take(4);
    size_t header = 8;
    if (size == 1 && numbers.left() >= 8) {
      size = numbers.number(8);
      header = 16;
    }
    if (size == 0) size = bytes.size();
    if (size < header || size > bytes.size()) {
      if (top) break;
      picture.refuse("not a readable HEIF: the box '{}' in '{}' says {} bytes, and {} are there",
                     printable(kind), outer, size, bytes.size());
    }
    if (boxes.size() >= kMaxBoxes) picture.refuse("a HEIF of more than {} boxes in one", kMaxBoxes);
    boxes.push_back({kind, bytes.substr(header, size - header)});
    bytes.remove_prefix(size);
  }
  return boxes;
}

std::string_view only_box(const PictureSource& picture, const std::vector<HeifBox>& boxes,
                          std::string_view kind, bool needed) {
  const HeifBox* found = nullptr;
  for (const HeifBox& box : boxes) {
    if (box.kind != kind) continue;
    if (found != nullptr) picture.refuse("a HEIF with two boxes '{}', of which one is meant", kind);
    found = &box;
  }
  if (found == nullptr && needed) picture.refuse("not a readable HEIF: it has no box '{}'", kind);
  return found == nullptr ? std::string_view() : found->body;
}

}  // namespace vitrail
