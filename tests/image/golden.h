// What the tests of the image layer share: goldens, checksums, and the drawn pictures of
// make_geometry.py.
#pragma once

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/file.h"
#include "image/image.h"

namespace vitrail {

inline std::filesystem::path golden_folder() {
  return std::filesystem::path(VITRAIL_SOURCE_DIR) / "tests/golden/image";
}

inline nlohmann::json golden_json(const std::string& name) {
  std::ifstream file(golden_folder() / name);
  return nlohmann::json::parse(file);
}

inline std::vector<std::byte> golden_bytes(const std::string& name) {
  return read_file(golden_folder() / name, uint64_t{1} << 24);
}

inline uint32_t checksum(const void* data, size_t bytes) {
  return static_cast<uint32_t>(crc32(0, static_cast<const Bytef*>(data), static_cast<uInt>(bytes)));
}
inline uint32_t checksum(const Image& image) {
  return checksum(image.pixels.data(), image.pixels.size());
}

// Half a gradient, half noise, as make_geometry.py's drawn().
inline Image drawn(int width, int height, int channels) {
  Image image(width, height, channels);
  uint32_t state = static_cast<uint32_t>(12345 + 31 * width + 17 * height + channels);
  size_t i = 0;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < channels; ++c) {
        state = state * 1664525u + 1013904223u;
        const uint32_t gradient = static_cast<uint32_t>(5 * x + 3 * y + 40 * c) & 255u;
        image.pixels[i++] = static_cast<uint8_t>(((state >> 24) + gradient) / 2);
      }
  return image;
}

// What the Error of a call says; "" when it throws none.
template <typename Call>
std::string error_if_any(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// One line, from the place that is expected.
inline void expect_clear(const std::string& message, const std::string& place,
                         const std::string& part) {
  EXPECT_EQ(message.rfind("[" + place + "] ", 0), 0u) << message;
  EXPECT_NE(message.find(part), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

}  // namespace vitrail
