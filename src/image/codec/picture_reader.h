// PictureReader: a picture decoded row by row, so that one that is only to be shrunk need never be
// in memory as a whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "image/codec/codec.h"
#include "image/image.h"

namespace vitrail {

class PictureReader {
 public:
  PictureReader() = default;
  virtual ~PictureReader() = default;
  PictureReader(const PictureReader&) = delete;
  PictureReader& operator=(const PictureReader&) = delete;

  int width() const { return width_; }
  int height() const { return height_; }
  int channels() const { return channels_; }  // 1 or 3
  // How the picture wants to be turned (EXIF's 1..8), where the codec itself says so.
  int orientation() const { return orientation_; }

  // Called once, before read(): the part that is wanted. Other pixels need not be decoded.
  virtual void begin(const PixelWindow& window) = 0;
  // Writes the next `count` rows of the window. rows[i] is where column 0 goes and has room for the
  // whole width; bytes outside the window's columns mean nothing. Error: as decode_picture.
  virtual void read(uint8_t* const* rows, int count) = 0;
  // Called after the last read(). Error: the file turns out truncated behind the window.
  virtual void finish() {}

  virtual Image read_all();

 protected:
  void set_size(int width, int height, int channels) {
    width_ = width;
    height_ = height;
    channels_ = channels;
  }
  void set_orientation(int orientation) { orientation_ = orientation; }

 private:
  int width_ = 0, height_ = 0, channels_ = 0, orientation_ = 1;
};

// The picture as the options want it; one channel may stand for three equal ones. `bytes` and
// `name` must outlive the reader. Same errors as decode_picture.
std::unique_ptr<PictureReader> open_picture(std::span<const std::byte> bytes,
                                            const DecodeOptions& options, const std::string& name);
// The bytes of a picture's file. Error: as load_picture.
std::vector<std::byte> read_picture_file(const std::filesystem::path& path,
                                         const DecodeOptions& options);

}  // namespace vitrail
