// Small files and folders for the tests of data sets.
#pragma once

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "image/codec/codec.h"
#include "support/errors.h"
#include "support/temporary_folder.h"

namespace vitrail::test {

using testing::error_of;

// A data set in the making.
class DataFolder : public testing::TemporaryFolder {
 public:
  std::string spec(const std::string& kind) const { return kind + ":" + path().string(); }
};

using Bytes = std::vector<uint8_t>;

inline void append_u32(Bytes& bytes, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8)
    bytes.push_back(static_cast<uint8_t>(value >> shift));
}

inline void write_plain(const std::filesystem::path& path, const Bytes& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

inline void write_gz(const std::filesystem::path& path, const Bytes& bytes) {
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
}

// An idx file of pictures whose pixels count upwards from `first`.
inline Bytes idx_images(uint32_t count, uint32_t rows, uint32_t columns, uint8_t first = 0) {
  Bytes bytes;
  for (const uint32_t word : {0x00000803u, count, rows, columns}) append_u32(bytes, word);
  for (uint32_t i = 0; i < count * rows * columns; ++i)
    bytes.push_back(static_cast<uint8_t>(first + i));
  return bytes;
}

inline Bytes idx_labels(const Bytes& labels) {
  Bytes bytes;
  append_u32(bytes, 0x00000801u);
  append_u32(bytes, static_cast<uint32_t>(labels.size()));
  bytes.insert(bytes.end(), labels.begin(), labels.end());
  return bytes;
}

// A PNG whose pixels are all `value`.
inline void write_flat_picture(const std::filesystem::path& path, uint8_t value, int width = 6,
                               int height = 5) {
  std::filesystem::create_directories(path.parent_path());
  Image image(width, height, 3);
  std::fill(image.pixels.begin(), image.pixels.end(), value);
  write_png(path, image);
}

inline void expect_mentions(const std::string& message, const std::string& part) {
  EXPECT_NE(message.find(part), std::string::npos) << "'" << message << "' lacks '" << part << "'";
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

// The shared data folder, or empty when it is absent.
inline std::filesystem::path shared_data(const std::string& name) {
  const char* set = std::getenv("VITRAIL_SHARED_DATA");
  const std::filesystem::path root =
      set != nullptr ? set : std::string(VITRAIL_SOURCE_DIR) + "/../shared/data";
  return std::filesystem::exists(root / name) ? root / name : std::filesystem::path();
}

}  // namespace vitrail::test
