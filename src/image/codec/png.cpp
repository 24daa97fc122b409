// PNG through libpng. Its errors leave by longjmp: every call into it stands in guarded(), whose
// body owns nothing that has a destructor.
#include <png.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <new>
#include <vector>

#include "core/atomic_file.h"
#include "image/codec/codec.h"
#include "image/codec/codec_formats.h"

namespace vitrail {
namespace {

// zlib cannot pack more than this many bytes into one.
constexpr uint64_t kMaxDeflateRatio = 1032;

struct Message {
  char text[160] = "";
};

[[noreturn]] void leave(png_structp png, png_const_charp message) {
  auto* state = static_cast<Message*>(png_get_error_ptr(png));
  std::snprintf(state->text, sizeof(state->text), "%s", message);
  png_longjmp(png, 1);
}
void ignore_warning(png_structp, png_const_charp) {}

template <typename Body>
bool guarded(png_structp png, Body body) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  body();
  return true;
}

class PngReader : public PictureReader {
 public:
  explicit PngReader(const PictureSource& source) : picture_(source), rest_(source.bytes) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &message_, leave, ignore_warning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw std::bad_alloc();
    }
  }
  ~PngReader() override { png_destroy_read_struct(&png_, &info_, nullptr); }

  void open() {
    call([this] { read_header(); });
    check_declared_size();
    set_size(static_cast<int>(width_), static_cast<int>(height_),
             color_type_ & PNG_COLOR_MASK_COLOR ? 3 : 1);
  }

  void begin(const PixelWindow& window) override {
    call([this] { prepare_rows(); });
    // Interlaced rows are complete only after the last pass.
    if (interlaced_) memory_ = picture_.take_memory(row_bytes_ * height_);
    raw_.resize(row_bytes_ * (interlaced_ ? height_ : 1));
    if (interlaced_)
      for (int pass = 0; pass < passes_; ++pass)
        for (uint32_t y = 0; y < height_; ++y) read_raw(raw_.data() + y * row_bytes_);
    else
      for (int y = 0; y < window.y0; ++y) read_raw(raw_.data());
    next_ = static_cast<uint32_t>(window.y0);
  }

  void read(uint8_t* const* rows, int count) override {
    for (int i = 0; i < count; ++i, ++next_) {
      if (as_wanted()) {
        read_raw(rows[i]);
        continue;
      }
      uint8_t* raw = raw_.data() + (interlaced_ ? next_ * row_bytes_ : 0);
      if (!interlaced_) read_raw(raw);
      convert_row(raw, rows[i]);
    }
  }

  // Truncation and damage behind the window count as well.
  void finish() override {
    if (interlaced_) return;
    for (; next_ < height_; ++next_) read_raw(raw_.data());
  }

 private:
  template <typename Body>
  void call(Body body) {
    if (!guarded(png_, body)) picture_.refuse("not a readable PNG: {}", message_.text);
  }

  void read_raw(uint8_t* row) {
    call([this, row] { png_read_row(png_, row, nullptr); });
  }

  static void read_bytes(png_structp png, png_bytep out, size_t count) {
    auto* self = static_cast<PngReader*>(png_get_io_ptr(png));
    if (count > self->rest_.size()) png_error(png, "the file is truncated");
    std::memcpy(out, self->rest_.data(), count);
    self->rest_ = self->rest_.subspan(count);
  }

  void read_header() {
    png_set_read_fn(png_, this, read_bytes);
    // max_pixels is the limit that counts; libpng's own would refuse long strips.
    png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    // Pillow's pixels depend on none of these, and a stranger may have filled them with anything.
    static const png_byte kIgnored[] = "iCCP\0zTXt\0iTXt\0tEXt\0sPLT\0eXIf\0hIST\0pCAL\0sCAL\0tIME";
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, kIgnored, sizeof(kIgnored) / 5);
    png_set_benign_errors(png_, 1);
    png_set_check_for_invalid_index(png_, 0);
    png_read_info(png_, info_);
    width_ = png_get_image_width(png_, info_);
    height_ = png_get_image_height(png_, info_);
    depth_ = png_get_bit_depth(png_, info_);
    color_type_ = png_get_color_type(png_, info_);
    row_bytes_ = png_get_rowbytes(png_, info_);
  }

  void check_declared_size() {
    picture_.check_size(width_, height_);
    // Nothing this small can hold that many rows: refused before memory is taken for them.
    if (row_bytes_ > picture_.bytes.size() * kMaxDeflateRatio / height_)
      picture_.refuse("declares {}x{} pixels, more than its {} bytes can hold: it is truncated",
                      width_, height_, picture_.bytes.size());
  }

  void prepare_rows() {
    if (depth_ < 8) png_set_packing(png_);  // one byte a value
    passes_ = png_set_interlace_handling(png_);
    interlaced_ = passes_ > 1;
    if (interlaced_) shrink_values();
    png_read_update_info(png_, info_);
    row_bytes_ = png_get_rowbytes(png_, info_);
    png_colorp palette = nullptr;
    int count = 0;
    if (color_type_ == PNG_COLOR_TYPE_PALETTE && png_get_PLTE(png_, info_, &palette, &count))
      std::copy_n(palette, std::min(count, 256), palette_);
  }

  // An interlaced picture is in memory as a whole: in 8 bits and without its alpha.
  void shrink_values() {
    if (color_type_ & PNG_COLOR_MASK_ALPHA) png_set_strip_alpha(png_);
    if (depth_ == 16 && color_type_ == PNG_COLOR_TYPE_GRAY) {
      png_set_read_user_transform_fn(png_, clip_row);
      png_set_user_transform_info(png_, nullptr, 8, 1);
    } else if (depth_ == 16) {
      png_set_strip_16(png_);
    }
    if (depth_ == 16) depth_ = 8;
    color_type_ &= ~PNG_COLOR_MASK_ALPHA;
  }
  // Mode I;16 is clipped, not scaled.
  static uint8_t clipped(const uint8_t* value) { return value[0] != 0 ? 255 : value[1]; }
  static void clip_row(png_structp, png_row_infop row, png_bytep values) {
    for (png_uint_32 x = 0; x < row->width; ++x) values[x] = clipped(values + size_t{2} * x);
  }

  // The most frequent kinds need no conversion.
  bool as_wanted() const {
    return !interlaced_ && depth_ == 8 &&
           (color_type_ == PNG_COLOR_TYPE_RGB || color_type_ == PNG_COLOR_TYPE_GRAY);
  }

  // Pillow opens each kind in a mode of its own; these are its conversions to L or RGB.
  void convert_row(const uint8_t* from, uint8_t* to) const {
    const size_t width = width_;
    const size_t sample = depth_ == 16 ? 2 : 1;
    if (color_type_ == PNG_COLOR_TYPE_PALETTE) {
      for (size_t x = 0; x < width; ++x, to += 3) {
        const png_color& color = palette_[from[x]];  // black beyond the palette's end
        to[0] = color.red, to[1] = color.green, to[2] = color.blue;
      }
    } else if (color_type_ == PNG_COLOR_TYPE_GRAY && depth_ == 16) {
      for (size_t x = 0; x < width; ++x, from += 2) to[x] = clipped(from);
    } else if (color_type_ == PNG_COLOR_TYPE_GRAY) {
      const int scale = 255 / ((1 << depth_) - 1);
      for (size_t x = 0; x < width; ++x) to[x] = static_cast<uint8_t>(from[x] * scale);
    } else {
      const size_t colors = color_type_ & PNG_COLOR_MASK_COLOR ? 3 : 1;
      const size_t channels = colors + (color_type_ & PNG_COLOR_MASK_ALPHA ? 1 : 0);
      for (size_t x = 0; x < width; ++x, from += channels * sample)
        for (size_t c = 0; c < colors; ++c) *to++ = from[c * sample];  // the high byte
    }
  }

  const PictureSource picture_;
  PictureMemory memory_;
  std::span<const std::byte> rest_;
  Message message_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  uint32_t width_ = 0, height_ = 0;
  size_t row_bytes_ = 0;
  int depth_ = 0, color_type_ = 0, passes_ = 1;
  png_color palette_[256] = {};
  bool interlaced_ = false;
  uint32_t next_ = 0;         // row to read
  std::vector<uint8_t> raw_;  // as libpng gives them: one row, or all of them
};

class PngEncoder {
 public:
  PngEncoder() {
    png_ = png_create_write_struct(PNG_LIBPNG_VER_STRING, &message_, leave, ignore_warning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_write_struct(&png_, nullptr);
      throw std::bad_alloc();
    }
  }
  ~PngEncoder() { png_destroy_write_struct(&png_, &info_); }
  PngEncoder(const PngEncoder&) = delete;
  PngEncoder& operator=(const PngEncoder&) = delete;

  std::vector<std::byte> encode(const Image& image) {
    if (!guarded(png_, [this, &image] { write(image); }))
      fail(no_memory_ ? ErrorCode::out_of_memory : ErrorCode::bad_input, "picture",
           "cannot write a PNG: {}", message_.text);
    return std::move(out_);
  }

 private:
  static void append(png_structp png, png_bytep data, size_t count) {
    auto* self = static_cast<PngEncoder*>(png_get_io_ptr(png));
    const auto* begin = reinterpret_cast<const std::byte*>(data);
    try {
      self->out_.insert(self->out_.end(), begin, begin + count);
    } catch (const std::bad_alloc&) {
      self->no_memory_ = true;  // no exception may cross libpng
    }
    if (self->no_memory_) png_error(png, "there is not enough memory");
  }
  static void flush(png_structp) {}

  void write(const Image& image) {
    png_set_write_fn(png_, this, append, flush);
    png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    const int color_type = image.channels == 1   ? PNG_COLOR_TYPE_GRAY
                           : image.channels == 3 ? PNG_COLOR_TYPE_RGB
                                                 : PNG_COLOR_TYPE_RGB_ALPHA;
    png_set_IHDR(png_, info_, static_cast<uint32_t>(image.width),
                 static_cast<uint32_t>(image.height), 8, color_type, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png_, info_);
    for (int y = 0; y < image.height; ++y) png_write_row(png_, image.row(y));
    png_write_end(png_, info_);
  }

  Message message_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::vector<std::byte> out_;
  bool no_memory_ = false;
};

}  // namespace

std::unique_ptr<PictureReader> open_png(const PictureSource& source) {
  auto reader = std::make_unique<PngReader>(source);
  reader->open();
  return reader;
}

std::vector<std::byte> encode_png(const Image& image) {
  check(image.width > 0 && image.height > 0 &&
            (image.channels == 1 || image.channels == 3 || image.channels == 4),
        "picture", "cannot write a PNG of {}x{} with {} channels, expected grey, RGB or RGBA",
        image.width, image.height, image.channels);
  return PngEncoder().encode(image);
}

void write_png(const std::filesystem::path& path, const Image& image) {
  write_file_atomically(path, encode_png(image));
}

}  // namespace vitrail
