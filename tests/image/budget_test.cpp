// What decoding may take: for one picture by the size of its file, for all pictures together.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "image/codec/codec.h"
#include "image/codec/picture_memory.h"
#include "image/codec/picture_reader.h"
#include "image/golden.h"

namespace vitrail {
namespace {

using Bytes = std::vector<std::byte>;

void put(Bytes& bytes, size_t at, uint64_t value, int count, bool big) {
  for (int i = 0; i < count; ++i)
    bytes.at(at + static_cast<size_t>(i)) =
        static_cast<std::byte>(value >> (8 * (big ? count - 1 - i : i)) & 255);
}

size_t find(const Bytes& bytes, std::string_view text) {
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const size_t at = all.find(text);
  EXPECT_NE(at, std::string_view::npos) << text;
  return at;
}

// The picture's size, for 34 bytes as for 34 megabytes, is in its header alone.
Bytes webp_claiming(uint64_t width, uint64_t height) {
  Bytes bytes = golden_bytes("webp_lossless.webp");
  put(bytes, find(bytes, "VP8L") + 9, (width - 1) | (height - 1) << 14, 4, false);
  return bytes;
}

// 16 bits, four channels, interlaced; the data is noise, and so many bytes that it might be real.
Bytes png_claiming(uint64_t width, uint64_t height) {
  constexpr size_t kBytes = 1'400'000;
  Bytes bytes = golden_bytes("png_type6_depth16_interlaced.png");
  put(bytes, 16, width, 4, true);
  put(bytes, 20, height, 4, true);
  put(bytes, 29, checksum(bytes.data() + 12, 17), 4, true);
  put(bytes, 33, kBytes, 4, true);
  bytes.resize(33 + 12 + kBytes);
  return bytes;
}

Bytes jpeg_claiming(const char* file, uint64_t width, uint64_t height) {
  Bytes bytes = golden_bytes(file);
  for (size_t at = 0; at + 9 < bytes.size(); ++at)
    if (bytes[at] == std::byte{0xFF} &&
        (bytes[at + 1] == std::byte{0xC0} || bytes[at + 1] == std::byte{0xC2})) {
      put(bytes, at + 5, height, 2, true);
      put(bytes, at + 7, width, 2, true);
    }
  return bytes;
}

// The last scan once more and once more: legal, and as slow as one likes.
Bytes jpeg_of_scans(int scans, uint64_t width, uint64_t height) {
  const Bytes whole = jpeg_claiming("jpeg_444_progressive.jpg", width, height);
  size_t scan = 0;
  for (size_t at = 0; at + 1 < whole.size(); ++at)
    if (whole[at] == std::byte{0xFF} && whole[at + 1] == std::byte{0xDA}) scan = at;
  Bytes bytes(whole.begin(), whole.end() - 2);
  for (int i = 0; i < scans; ++i)
    bytes.insert(bytes.end(), whole.begin() + static_cast<ptrdiff_t>(scan), whole.end() - 2);
  bytes.insert(bytes.end(), whole.end() - 2, whole.end());
  return bytes;
}

Bytes gif_claiming(uint64_t width, uint64_t height) {
  Bytes bytes = golden_bytes("gif_no_palette.gif");
  const size_t frame = find(bytes, ",");
  put(bytes, frame + 5, width, 2, false);
  put(bytes, frame + 7, height, 2, false);
  return bytes;
}

Bytes bmp_claiming(const char* file, uint64_t width, uint64_t height) {
  Bytes bytes = golden_bytes(file);
  put(bytes, 18, width, 4, false);
  put(bytes, 22, height, 4, false);
  return bytes;
}

// A tile of the whole picture.
Bytes tiff_claiming(uint64_t width, uint64_t height) {
  Bytes bytes = golden_bytes("tiff_tiled_deflate.tif");
  const auto entry = [&](uint16_t tag, uint64_t value) {
    const char text[] = {
        static_cast<char>(tag & 255), static_cast<char>(tag >> 8), 4, 0, 1, 0, 0, 0};
    put(bytes, find(bytes, {text, sizeof(text)}) + 8, value, 4, false);
  };
  entry(256, width), entry(257, height), entry(322, width), entry(323, height);
  return bytes;
}

// ispe: the size that a container says, twice where an alpha has its own.
Bytes container_claiming(const char* file, uint64_t width, uint64_t height) {
  Bytes bytes = golden_bytes(file);
  const size_t at = find(bytes, "ispe");
  put(bytes, at + 8, width, 4, true);
  put(bytes, at + 12, height, 4, true);
  return bytes;
}

struct Hostile {
  const char* name;
  Bytes bytes;
};

std::vector<Hostile> hostile_pictures() {
  return {{"webp", webp_claiming(16383, 10900)},
          {"png", png_claiming(13000, 13000)},
          {"turned", jpeg_claiming("exif_6.jpg", 13000, 13000)},
          {"progressive", jpeg_claiming("jpeg_444_progressive.jpg", 13000, 13000)},
          {"scans", jpeg_of_scans(180, 4000, 4000)},
          {"gif", gif_claiming(13000, 13000)},
          {"bmp in runs", bmp_claiming("bmp_rle8.bmp", 13000, 13000)},
          {"bmp", bmp_claiming("bmp_24.bmp", 13000, 13000)},
          {"tiff", tiff_claiming(13000, 13000)},
          {"avif", container_claiming("avif_420_full.avif", 13000, 13000)},
          {"heif", container_claiming("heif_64.heic", 13000, 13000)}};
}

std::string refusal(const Bytes& bytes) {
  return error_if_any([&] { decode_picture(bytes, {.exif = ExifPolicy::apply}, "p"); });
}

TEST(Budget, WhatAFileCannotHoldIsRefusedByName) {
  for (const Hostile& picture : hostile_pictures()) {
    SCOPED_TRACE(picture.name);
    expect_clear(refusal(picture.bytes), "picture", "p: ");
  }
  expect_clear(refusal(webp_claiming(16383, 10900)), "picture", "MB to decode, above the limit");
  expect_clear(refusal(png_claiming(13000, 13000)), "picture", "for a file of 1400045 bytes");
  expect_clear(refusal(jpeg_of_scans(180, 4000, 4000)), "picture", "scans over 4000x4000 pixels");
  expect_clear(refusal(jpeg_of_scans(300, 16, 16)), "picture", "above the limit of 200");
  // Scans over few pixels are slow for nobody.
  EXPECT_EQ(refusal(jpeg_of_scans(60, 37, 23)), "");
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// In a process of its own, since the peak of a process never falls.
TEST(Budget, ARefusalTakesNoMemory) {
  const auto pictures = hostile_pictures();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    rusage before{}, after{};
    ::getrusage(RUSAGE_SELF, &before);
    for (const Hostile& picture : pictures) refusal(picture.bytes);
    ::getrusage(RUSAGE_SELF, &after);
    ::_exit(after.ru_maxrss - before.ru_maxrss < 64 * 1024 ? 0 : 1);  // kilobytes
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
#endif

TEST(Budget, GrowsWithTheFile) {
  EXPECT_EQ(picture_memory_limit(34), kFreePictureBytes);
  EXPECT_EQ(picture_memory_limit(uint64_t{1} << 30),
            (uint64_t{1} << 30) * kPictureBytesPerFileByte);
  EXPECT_GE(picture_memory_budget(), uint64_t{256} << 20);
  EXPECT_LE(picture_memory_budget(), uint64_t{2} << 30);
}

TEST(Budget, AllPicturesTogetherStayWithinIt) {
  const uint64_t share = picture_memory_budget() / 3 + 1;  // two at once
  std::atomic<uint64_t> most{0};
  std::atomic<int> done{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      const PictureMemory memory(share);
      // A second share of the same picture never waits, or two would wait for each other.
      const PictureMemory more(1);
      uint64_t seen = most.load();
      const uint64_t now = picture_memory_in_use();
      while (now > seen && !most.compare_exchange_weak(seen, now)) {
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      ++done;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(done, 8);
  EXPECT_LE(most, 2 * (share + 1));
  EXPECT_EQ(picture_memory_in_use(), 0u);
}

TEST(Budget, WhatWasTakenIsGivenBackByEveryEnd) {
  for (const char* file : {"webp_lossy.webp", "png_type2_depth16_interlaced.png", "gif_256.gif",
                           "jpeg_444_progressive.jpg", "tiff_mm_tiled.tif", "avif_420_full.avif",
                           "heif_420.heic", "bmp_rle8.bmp"}) {
    Bytes bytes = golden_bytes(file);
    EXPECT_EQ(refusal(bytes), "") << file;
    bytes.resize(bytes.size() - bytes.size() / 3);
    EXPECT_NE(refusal(bytes), "") << file;
    EXPECT_EQ(picture_memory_in_use(), 0u) << file;
  }
}

}  // namespace
}  // namespace vitrail
