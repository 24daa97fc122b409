// HEIFs that are made of several pictures: what they will take is known before it is taken. That
// they are read equal to pillow-heif is in formats_test.cpp.
#include <cstring>
#include <functional>

#include "image/codec/codec.h"
#include "image/codec/picture_memory.h"
#include "image/golden.h"

namespace vitrail {
namespace {

using Bytes = std::vector<std::byte>;

Bytes seed_bytes(const std::string& name) {
  const auto folder = std::filesystem::path(VITRAIL_SOURCE_DIR) / "tests/fuzz/corpus/heif";
  return read_file(folder / (name + ".heic"), uint64_t{1} << 20);
}

std::string heif_refusal(const Bytes& bytes, uint64_t max_pixels = kMaxPicturePixels) {
  const std::string message =
      error_if_any([&] { decode_picture(bytes, {.max_pixels = max_pixels}, "p"); });
  EXPECT_EQ(picture_memory_in_use(), 0u);
  return message;
}

size_t find_box(const Bytes& bytes, std::string_view text) {
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const size_t at = all.find(text);
  EXPECT_NE(at, std::string_view::npos) << text;
  return at;
}

void put(Bytes& bytes, size_t at, std::string_view text) {
  std::memcpy(&bytes.at(at), text.data(), text.size());
}

TEST(Heif, WhatIsMadeOfOthersIsRead) {
  for (const char* name :
       {"grid", "grid_turned", "grid_in_pieces", "overlay", "identity_of_grid", "premultiplied"})
    EXPECT_EQ(heif_refusal(seed_bytes(name)), "") << name;
}

// By what the fuzzer found, and its brothers.
TEST(Heif, WhatTakesMoreThanItShowsIsRefusedByName) {
  const std::pair<const char*, const char*> cases[] = {
      {"hostile_overlay_canvas", "declares 20000x20000 pixels, above the limit"},
      {"hostile_grid_canvas", "declares 20000x20000 pixels, above the limit"},
      {"hostile_one_tile_often", "decodes 8398608 pixels for a picture of 10000"},
      {"hostile_circle", "made of each other, or more than 8 deep"},
      {"hostile_depth", "made of each other, or more than 8 deep"},
      {"hostile_set_inside", "MB to decode, above the limit"},
      {"hostile_pictures_inside", "with 20 pictures where one is meant"},
      {"hostile_two_metas", "two boxes 'meta'"}};
  for (const auto& [name, part] : cases)
    expect_clear(heif_refusal(seed_bytes(name)), "picture", part);
}

TEST(Heif, AnItemWhoseKindChangesSaysItsOwnCanvas) {
  // What were tiles' rows and columns are now an overlay's background, and what follows its size.
  Bytes bytes = golden_bytes("heif_grid.heic");
  put(bytes, find_box(bytes, "grid"), "iovl");
  expect_clear(heif_refusal(bytes), "picture", "its 'iovl' is cut");
  bytes = golden_bytes("heif_overlay_wide.heic");
  put(bytes, find_box(bytes, "iovl"), "grid");
  expect_clear(heif_refusal(bytes), "picture", "p: ");
  bytes = golden_bytes("heif_grid.heic");
  put(bytes, find_box(bytes, "grid"), "iden");
  expect_clear(heif_refusal(bytes), "picture", "is made of 4");
  put(bytes, find_box(bytes, "iden"), "av01");
  expect_clear(heif_refusal(bytes), "picture", "of the kind 'av01', which is not read");
}

TEST(Heif, LimitsHoldForCanvasesAndForTheirParts) {
  for (const char* name : {"grid", "overlay", "identity_of_grid"})
    expect_clear(heif_refusal(seed_bytes(name), 1500), "picture", "above the limit of 1500");
  // A canvas of 100 pixels over tiles of 4096.
  Bytes bytes = golden_bytes("heif_grid_once.heic");
  put(bytes, find_box(bytes, "idat") + 8, std::string_view("\0\x0a\0\x0a", 4));
  EXPECT_EQ(heif_refusal(bytes), "");
  expect_clear(heif_refusal(bytes, 1000), "picture", "above the limit of 1000");
}

TEST(Heif, PlacesOfItemsAreWithinTheFile) {
  const Bytes sound = golden_bytes("heif_grid.heic");
  const size_t iloc = find_box(sound, "iloc");
  Bytes bytes = sound;
  bytes.at(iloc + 8) = std::byte{0x66};  // numbers of six bytes
  expect_clear(heif_refusal(bytes), "picture", "numbers of 6 bytes");
  bytes = sound;
  bytes.at(iloc + 4) = std::byte{3};
  expect_clear(heif_refusal(bytes), "picture", "iloc is of version 3");
  // The first item of version 1: its number, method, file, base, how many, offset, length.
  const size_t item = iloc + 12;
  bytes = sound;
  put(bytes, item + 6, "\x7f\xff\xff\xff");
  expect_clear(heif_refusal(bytes), "picture", "lies beyond the end");
  bytes = sound;
  put(bytes, item + 16, "\xff\xff\xff\xff");
  expect_clear(heif_refusal(bytes), "picture", "lies beyond the end");
  bytes = sound;
  put(bytes, item + 16, std::string_view("\0\0\0\0", 4));
  expect_clear(heif_refusal(bytes), "picture", "has no length");
  bytes = sound;
  bytes.at(item + 3) = std::byte{2};
  expect_clear(heif_refusal(bytes), "picture", "construction method 2");
}

// Whatever byte is another: an answer or one line, within the memory of a small picture.
TEST(Heif, EveryByteMayBeAnother) {
  const Bytes sound = seed_bytes("grid_turned");
  const size_t media = find_box(sound, "mdat");
  for (size_t at = 0; at < media; ++at)
    for (const int value : {0, 255}) {
      Bytes bytes = sound;
      bytes[at] = static_cast<std::byte>(value);
      const std::string message = heif_refusal(bytes, 1 << 14);
      if (!message.empty()) expect_clear(message, "picture", "p");
    }
}

}  // namespace
}  // namespace vitrail
