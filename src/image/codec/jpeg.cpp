// JPEG through libjpeg-turbo. Its errors leave by longjmp: every call into it stands in
// guarded(), whose body owns nothing that has a destructor.
#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>
// jpeglib.h needs the headers above.
#include <jerror.h>
#include <jpeglib.h>

#include "image/codec/byte_arithmetic.h"
#include "image/codec/codec.h"
#include "image/codec/codec_formats.h"
#include "image/codec/jpeg_scans.h"

namespace vitrail {
namespace {

// A progressive file may hold any number of scans over the same pixels; real ones have about ten.
constexpr int kMaxJpegScans = 200;
// Pixels times scans: what any file may have (a second of decoding), and more for each of its
// bytes.
constexpr uint64_t kFreeScannedPixels = 256'000'000;
constexpr uint64_t kScannedPixelsPerByte = 256;

struct ErrorState {
  jpeg_error_mgr manager;  // first: libjpeg hands back its address
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void leave(j_common_ptr info) {
  auto* state = reinterpret_cast<ErrorState*>(info->err);
  (*info->err->format_message)(info, state->message);
  std::longjmp(state->jump, 1);
}

void stay_silent(j_common_ptr) {}
void ignore_warning(j_common_ptr info, int level) {
  if (level < 0) ++info->err->num_warnings;
}

jpeg_error_mgr* prepare(ErrorState& state) {
  jpeg_std_error(&state.manager);
  state.manager.error_exit = leave;
  state.manager.output_message = stay_silent;
  state.manager.emit_message = ignore_warning;
  state.message[0] = '\0';
  return &state.manager;
}

// Runs body; false when libjpeg gave up, with the reason in state.message.
template <typename Body>
bool guarded(ErrorState& state, Body body) {
  if (setjmp(state.jump) != 0) return false;
  body();
  return true;
}

void start_source(j_decompress_ptr) {}
void end_source(j_decompress_ptr) {}
// The whole file is in memory: asking for more means that it is truncated.
boolean no_more_data(j_decompress_ptr) {
  return FALSE;
}
void skip_data(j_decompress_ptr info, long count) {
  if (count <= 0) return;
  const size_t skipped = std::min(static_cast<size_t>(count), info->src->bytes_in_buffer);
  info->src->next_input_byte += skipped;
  info->src->bytes_in_buffer -= skipped;
}

void watch_scans(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMaxJpegScans) return;
  auto* state = reinterpret_cast<ErrorState*>(info->err);
  std::snprintf(state->message, sizeof(state->message), "has more than %d scans", kMaxJpegScans);
  std::longjmp(state->jump, 1);
}

// Adobe's files, and so all of them in practice, store inks inverted: 255 is no ink.
void inverted_cmyk_to_rgb(const uint8_t* from, uint8_t* to, int width) {
  for (int x = 0; x < width; ++x, from += 4, to += 3) {
    const int light = from[3];  // 255 - K
    for (int channel = 0; channel < 3; ++channel)
      to[channel] = clip_to_byte(light - multiply_255(255 - from[channel], light));
  }
}

class JpegReader : public PictureReader {
 public:
  explicit JpegReader(const PictureSource& source) : picture_(source) {
    info_.err = prepare(error_);
    if (!guarded(error_, [this] { jpeg_create_decompress(&info_); })) refuse();
    source_.init_source = start_source;
    source_.fill_input_buffer = no_more_data;
    source_.skip_input_data = skip_data;
    source_.resync_to_restart = jpeg_resync_to_restart;
    source_.term_source = end_source;
    source_.next_input_byte = source.data();
    source_.bytes_in_buffer = source.bytes.size();
    info_.src = &source_;
    progress_.progress_monitor = watch_scans;
    info_.progress = &progress_;
  }
  ~JpegReader() override { jpeg_destroy_decompress(&info_); }

  void read_header() {
    step([this] { return jpeg_read_header(&info_, TRUE) == JPEG_HEADER_OK; });
    picture_.check_size(info_.image_width, info_.image_height);
    switch (info_.num_components) {
      case 1:
        info_.out_color_space = JCS_GRAYSCALE;
        break;
      case 3:
        info_.out_color_space = JCS_RGB;
        break;
      case 4:
        info_.out_color_space = JCS_CMYK;
        break;
      default:
        picture_.refuse("a JPEG of {} components, expected 1, 3 or 4", info_.num_components);
    }
    set_size(static_cast<int>(info_.image_width), static_cast<int>(info_.image_height),
             info_.num_components == 1 ? 1 : 3);
    if (jpeg_has_multiple_scans(&info_)) check_scans();
  }

  void begin(const PixelWindow& window) override {
    end_ = window.y1;
    if (jpeg_has_multiple_scans(&info_)) memory_ = picture_.take_memory(coefficient_bytes());
    spare_.resize(static_cast<size_t>(channels()) * static_cast<size_t>(width()));
    step([this] { return jpeg_start_decompress(&info_) != FALSE; });
    if (info_.num_components == 4)
      inks_.resize(size_t{4} * info_.output_width);
    else if (!info_.progressive_mode)
      crop_columns(window);
    skip_rows(window.y0);
  }

  void read(uint8_t* const* rows, int count) override {
    for (int i = 0; i < count;) {
      if (info_.num_components == 4) {
        JSAMPROW inks = inks_.data();
        step([this, &inks] { return jpeg_read_scanlines(&info_, &inks, 1) == 1; });
        inverted_cmyk_to_rgb(inks, rows[i++], width());
      } else {
        JSAMPROW to[kRows];
        const int wanted = std::min(kRows, count - i);
        for (int j = 0; j < wanted; ++j) to[j] = rows[i + j] + first_byte_;
        i += read_scanlines(to, wanted);
      }
    }
  }

  // A file with its end marker in place holds something for every row (libjpeg fills gaps and calls
  // that a warning), so the rows behind the window need no look. Any other file is read to its end.
  void finish() override {
    const auto bytes = picture_.bytes;
    if (bytes.size() >= 2 && bytes[bytes.size() - 2] == std::byte{0xFF} &&
        bytes.back() == std::byte{JPEG_EOI})
      return;
    discard_rows(height() - end_);
  }

 private:
  static constexpr int kRows = 8;  // a call; libjpeg makes one or two at a time

  [[noreturn]] void refuse() { picture_.refuse("not a readable JPEG: {}", error_.message); }

  // Before the first of them is decoded.
  void check_scans() const {
    const uint64_t pixels = uint64_t{info_.image_width} * info_.image_height;
    const uint64_t limit = kFreeScannedPixels + kScannedPixelsPerByte * picture_.bytes.size();
    const uint64_t scans = count_jpeg_scans(picture_.bytes);
    if (scans > kMaxJpegScans)
      picture_.refuse("not a readable JPEG: has {} scans, above the limit of {}", scans,
                      kMaxJpegScans);
    if (scans * pixels > limit)
      picture_.refuse(
          "has {} scans over {}x{} pixels, {} million in all, above the limit of {} million for a "
          "file of {} bytes",
          scans, info_.image_width, info_.image_height, scans * pixels / 1'000'000,
          limit / 1'000'000, picture_.bytes.size());
  }

  // A picture of several scans has its coefficients in memory until the last of them.
  uint64_t coefficient_bytes() const {
    uint64_t blocks = 0;
    for (int i = 0; i < info_.num_components; ++i)
      blocks += uint64_t{info_.comp_info[i].width_in_blocks} * info_.comp_info[i].height_in_blocks;
    return blocks * DCTSIZE2 * sizeof(JCOEF);
  }

  // A call that returns false has run out of data.
  template <typename Call>
  void step(Call call) {
    step_done_ = false;
    if (!guarded(error_, [this, &call] { step_done_ = call(); })) refuse();
    if (!step_done_) picture_.refuse("the JPEG is truncated");
  }

  // Whole blocks outside the window are entropy-decoded, and no more. What libjpeg does at the
  // edges of the cut differs from the whole picture by a column of smooth upsampling: the margin.
  // Blocks of progressive files are smoothed over a wider neighbourhood: those are not cut.
  void crop_columns(const PixelWindow& window) {
    constexpr int kMargin = 8;
    auto first = static_cast<JDIMENSION>(std::max(0, window.x0 - kMargin));
    auto columns = static_cast<JDIMENSION>(std::min(width(), window.x1 + kMargin)) - first;
    if (columns >= info_.output_width) return;
    step([this, &first, &columns] {
      jpeg_crop_scanline(&info_, &first, &columns);
      return true;
    });
    first_byte_ = static_cast<size_t>(first) * static_cast<size_t>(channels());
  }

  int read_scanlines(JSAMPROW* to, int count) {
    JDIMENSION done = 0;
    step([this, to, count, &done] {
      done = jpeg_read_scanlines(&info_, to, static_cast<JDIMENSION>(count));
      return done != 0;
    });
    return static_cast<int>(done);
  }

  void discard_rows(int count) {
    uint8_t* row = spare_.data();
    for (int i = 0; i < count; ++i) read(&row, 1);
  }

  void skip_rows(int count) {
    if (count <= 0) return;
    if (info_.progressive_mode || info_.num_components == 4) return discard_rows(count);
    JDIMENSION done = 0;
    step([this, count, &done] {
      done = jpeg_skip_scanlines(&info_, static_cast<JDIMENSION>(count));
      return done == static_cast<JDIMENSION>(count);
    });
  }

  const PictureSource picture_;
  PictureMemory memory_;
  jpeg_decompress_struct info_{};
  ErrorState error_{};
  jpeg_source_mgr source_{};
  jpeg_progress_mgr progress_{};
  bool step_done_ = false;
  int end_ = 0;            // row behind the window
  size_t first_byte_ = 0;  // of a row, where libjpeg's output begins
  std::vector<uint8_t> inks_, spare_;
};

class JpegEncoder {
 public:
  JpegEncoder() {
    info_.err = prepare(error_);
    if (!guarded(error_, [this] { jpeg_create_compress(&info_); })) refuse();
  }
  ~JpegEncoder() {
    jpeg_destroy_compress(&info_);
    std::free(buffer_);
  }
  JpegEncoder(const JpegEncoder&) = delete;
  JpegEncoder& operator=(const JpegEncoder&) = delete;

  std::vector<std::byte> encode(const Image& image, int quality) {
    if (!guarded(error_, [this, &image, quality] { write(image, quality); })) refuse();
    const auto* begin = reinterpret_cast<const std::byte*>(buffer_);
    return {begin, begin + size_};
  }

 private:
  [[noreturn]] void refuse() { fail("picture", "cannot write a JPEG: {}", error_.message); }

  void write(const Image& image, int quality) {
    jpeg_mem_dest(&info_, &buffer_, &size_);
    info_.image_width = static_cast<JDIMENSION>(image.width);
    info_.image_height = static_cast<JDIMENSION>(image.height);
    info_.input_components = image.channels;
    info_.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&info_);
    jpeg_set_quality(&info_, quality, TRUE);
    jpeg_start_compress(&info_, TRUE);
    while (info_.next_scanline < info_.image_height) {
      auto* row = const_cast<JSAMPROW>(image.row(static_cast<int>(info_.next_scanline)));
      jpeg_write_scanlines(&info_, &row, 1);
    }
    jpeg_finish_compress(&info_);
  }

  jpeg_compress_struct info_{};
  ErrorState error_{};
  unsigned char* buffer_ = nullptr;
  unsigned long size_ = 0;
};

}  // namespace

std::unique_ptr<PictureReader> open_jpeg(const PictureSource& source) {
  auto reader = std::make_unique<JpegReader>(source);
  reader->read_header();
  return reader;
}

std::vector<std::byte> encode_jpeg(const Image& image, int quality) {
  check(image.width > 0 && image.height > 0 && (image.channels == 1 || image.channels == 3),
        "picture", "cannot write a JPEG of {}x{} with {} channels, expected RGB or grey",
        image.width, image.height, image.channels);
  check(quality >= 1 && quality <= 100, "picture", "JPEG quality {}, expected 1 to 100", quality);
  return JpegEncoder().encode(image, quality);
}

}  // namespace vitrail
