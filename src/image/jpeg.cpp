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

#include "image/codec.h"
#include "image/codec_formats.h"

namespace vitrail {
namespace {

// A progressive file may hold any number of scans over the same pixels; real ones have about ten.
constexpr int kMaxJpegScans = 200;

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

// c * k / 255, rounded as Pillow's MULDIV255.
uint32_t multiply_255(uint32_t a, uint32_t b) {
  const uint32_t product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

// Adobe's files, and so all of them in practice, store inks inverted: 255 is no ink.
void inverted_cmyk_to_rgb(const uint8_t* from, uint8_t* to, int width) {
  for (int x = 0; x < width; ++x, from += 4, to += 3) {
    const int light = from[3];  // 255 - K
    for (int channel = 0; channel < 3; ++channel) {
      const int ink = 255 - from[channel];
      to[channel] = static_cast<uint8_t>(
          std::max(0, light - static_cast<int>(multiply_255(static_cast<uint32_t>(ink),
                                                            static_cast<uint32_t>(light)))));
    }
  }
}

class JpegDecoder {
 public:
  explicit JpegDecoder(const PictureSource& source) : picture_(source) {
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
  ~JpegDecoder() { jpeg_destroy_decompress(&info_); }
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  Image decode() {
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
    step([this] { return jpeg_start_decompress(&info_) != FALSE; });
    Image image(static_cast<int>(info_.output_width), static_cast<int>(info_.output_height),
                info_.num_components == 1 ? 1 : 3);
    const bool cmyk = info_.num_components == 4;
    std::vector<uint8_t> inks(cmyk ? size_t{4} * info_.output_width : 0);
    for (int y = 0; y < image.height; ++y) {
      JSAMPROW row = cmyk ? inks.data() : image.row(y);
      step([this, &row] { return jpeg_read_scanlines(&info_, &row, 1) == 1; });
      if (cmyk) inverted_cmyk_to_rgb(inks.data(), image.row(y), image.width);
    }
    return image;
  }

 private:
  [[noreturn]] void refuse() { picture_.refuse("not a readable JPEG: {}", error_.message); }

  // A call that returns false has run out of data.
  template <typename Call>
  void step(Call call) {
    step_done_ = false;
    if (!guarded(error_, [this, &call] { step_done_ = call(); })) refuse();
    if (!step_done_) picture_.refuse("the JPEG is truncated");
  }

  const PictureSource& picture_;
  jpeg_decompress_struct info_{};
  ErrorState error_{};
  jpeg_source_mgr source_{};
  jpeg_progress_mgr progress_{};
  bool step_done_ = false;
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

Image decode_jpeg(const PictureSource& source) {
  return JpegDecoder(source).decode();
}

std::vector<std::byte> encode_jpeg(const Image& image, int quality) {
  check(image.width > 0 && image.height > 0 && (image.channels == 1 || image.channels == 3),
        "picture", "cannot write a JPEG of {}x{} with {} channels, expected RGB or grey",
        image.width, image.height, image.channels);
  check(quality >= 1 && quality <= 100, "picture", "JPEG quality {}, expected 1 to 100", quality);
  return JpegEncoder().encode(image, quality);
}

}  // namespace vitrail
