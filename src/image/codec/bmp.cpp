// Windows' and OS/2's bitmaps: 1, 4, 8, 16, 24 and 32 bits, bit fields, run lengths, from the top
// or from the bottom, with a file header (BMP) or without (DIB). A page of code here: no library of
// Debian reads these as Pillow does, down to which palettes it takes for grey.
#include <algorithm>
#include <array>
#include <vector>

#include "image/codec/codec_formats.h"
#include "image/codec/little_endian.h"

namespace vitrail {
namespace {

enum Compression : uint32_t { kRaw = 0, kRle8 = 1, kRle4 = 2, kBitFields = 3 };

// How a row lies in the file.
enum class Packing : uint8_t {
  bits,    // 1 bit, white where it is set
  grey,    // 8 bits
  index1,  // into the palette
  index4,
  index8,
  rgb555,
  rgb565,
  bytes3,
  bytes4,
};

int bits_of(Packing packing) {
  switch (packing) {
    case Packing::bits:
    case Packing::index1:
      return 1;
    case Packing::index4:
      return 4;
    case Packing::grey:
    case Packing::index8:
      return 8;
    case Packing::rgb555:
    case Packing::rgb565:
      return 16;
    case Packing::bytes3:
      return 24;
    case Packing::bytes4:
      return 32;
  }
  return 0;
}

// Which byte of a pixel of three or four holds red, green and blue.
using ByteOrder = std::array<uint8_t, 3>;

struct MaskedOrder {
  std::array<uint32_t, 4> masks;  // red, green, blue, alpha
  ByteOrder order;
};
constexpr std::array<MaskedOrder, 8> kMasks32{{
    {{0xFF0000, 0xFF00, 0xFF, 0}, {2, 1, 0}},
    {{0xFF000000, 0xFF0000, 0xFF00, 0}, {3, 2, 1}},
    {{0xFF000000, 0xFF00, 0xFF, 0}, {3, 1, 0}},
    {{0xFF000000, 0xFF0000, 0xFF00, 0xFF}, {3, 2, 1}},
    {{0xFF, 0xFF00, 0xFF0000, 0xFF000000}, {0, 1, 2}},
    {{0xFF0000, 0xFF00, 0xFF, 0xFF000000}, {2, 1, 0}},
    {{0xFF000000, 0xFF00, 0xFF, 0xFF0000}, {3, 1, 0}},
    {{0, 0, 0, 0}, {2, 1, 0}},
}};

// The pixels of a run-length bitmap, one byte each, in the order of the file.
class RunLengths {
 public:
  RunLengths(std::span<const std::byte> bytes, size_t at, bool nibbles)
      : file_(bytes, at), nibbles_(nibbles) {}

  // Fewer than width * height where the file says or holds no more.
  size_t decode(size_t width, std::vector<uint8_t>& pixels) {
    size_t done = 0, x = 0;
    const auto skip = [&](size_t count) { done += std::min(count, pixels.size() - done); };
    while (done < pixels.size()) {
      const uint8_t count = file_.u8(), value = file_.u8();
      if (file_.ended) break;
      if (count > 0) {
        // What goes beyond the row is dropped.
        const size_t fits = std::min<size_t>(count, x < width ? width - x : 0);
        for (size_t i = 0; i < fits && done < pixels.size(); ++i)
          pixels[done++] = !nibbles_ ? value : i % 2 == 0 ? value >> 4 : value & 15;
        x += fits;
      } else if (value == 0) {  // end of the row
        skip((width - done % width) % width);
        x = 0;
      } else if (value == 1) {  // end of the picture
        break;
      } else if (value == 2) {  // to the right and up
        const size_t right = file_.u8(), up = file_.u8();
        if (file_.ended) break;
        skip(right + up * width);
        x = done % width;
      } else {  // as they are, to an even place of the file
        const size_t wanted = std::min<size_t>(value, pixels.size() - done);
        const auto body = file_.take(nibbles_ ? (wanted + 1) / 2 : wanted);
        for (size_t i = 0; i < wanted && (nibbles_ ? i / 2 : i) < body.size(); ++i)
          pixels[done++] = nibble_or_byte(body, i);
        if (file_.ended || done == pixels.size()) break;
        x += value;
        if (file_.at() % 2 != 0) file_.take(1);
      }
    }
    return done;
  }

 private:
  uint8_t nibble_or_byte(std::span<const std::byte> body, size_t i) const {
    if (!nibbles_) return static_cast<uint8_t>(body[i]);
    const auto both = static_cast<uint8_t>(body[i / 2]);
    return i % 2 == 0 ? both >> 4 : both & 15;
  }

  LittleEndianReader file_;
  const bool nibbles_;
};

class BmpReader : public PictureReader {
 public:
  explicit BmpReader(const PictureSource& source) : picture_(source) {}

  void open(bool has_file_header) {
    LittleEndianReader file(picture_.bytes, has_file_header ? 10 : 0);
    size_t pixels_at = has_file_header ? file.u32() : 0;
    const size_t header_at = file.at();
    const uint32_t header_bytes = file.u32();
    read_header(file, header_bytes);
    picture_.check_size(columns_, lines_);
    choose_packing();
    const size_t palette_entry = header_bytes == 12 ? 3 : 4;
    if (has_file_header && pixels_at == header_at + header_bytes && bits_ <= 8)
      pixels_at += palette_entry * colors_;  // a header that forgot its palette
    LittleEndianReader behind(picture_.bytes, header_at + header_bytes);
    if (compression_ == kBitFields) read_masks(header_bytes, behind);
    if (bits_ <= 8) read_palette(behind, palette_entry);
    if (file.ended) picture_.refuse("the BMP is truncated");
    if (pixels_at == 0) pixels_at = behind.at();
    const bool in_runs = compression_ == kRle8 || compression_ == kRle4;
    if (in_runs && bits_ > 8)
      picture_.refuse("a BMP of {} bits in run lengths, expected 4 or 8", bits_);
    pixels_at_ = pixels_at;
    in_runs_ = in_runs;
    row_bytes_ = (columns_ * static_cast<uint64_t>(bits_of(packing_)) + 7) / 8;
    stride_ = ((columns_ * bits_ + 31) >> 3) & ~uint64_t{3};
    if (!in_runs) check_length();
    set_size(static_cast<int>(columns_), static_cast<int>(lines_), has_colors() ? 3 : 1);
  }

  void begin(const PixelWindow& window) override {
    next_ = window.y0;
    if (!in_runs_) return;
    memory_ = picture_.take_memory(columns_ * lines_);
    pixels_.resize(columns_ * lines_);
    if (RunLengths(picture_.bytes, pixels_at_, compression_ == kRle4).decode(columns_, pixels_) <
        pixels_.size())
      picture_.refuse("the BMP is truncated");
    packing_ = has_colors() ? Packing::index8 : Packing::grey;
  }

  void read(uint8_t* const* rows, int count) override {
    for (int i = 0; i < count; ++i, ++next_) {
      const auto line = static_cast<uint64_t>(from_top_ ? next_ : height() - 1 - next_);
      unpack(in_runs_ ? pixels_.data() + line * columns_
                      : picture_.data() + pixels_at_ + line * stride_,
             rows[i]);
    }
  }

 private:
  bool has_colors() const { return packing_ != Packing::bits && packing_ != Packing::grey; }

  void read_header(LittleEndianReader& file, uint32_t header_bytes) {
    constexpr std::array<uint32_t, 7> kSizes{12, 40, 52, 56, 64, 108, 124};
    if (std::find(kSizes.begin(), kSizes.end(), header_bytes) == kSizes.end())
      picture_.refuse("a BMP with a header of {} bytes, which no version has", header_bytes);
    if (file.left() < header_bytes - 4) picture_.refuse("the BMP is truncated");
    if (header_bytes == 12) {
      columns_ = file.u16(), lines_ = file.u16();
      file.take(2);
      bits_ = file.u16();
    } else {
      columns_ = file.u32();
      const uint32_t height = file.u32();
      from_top_ = height >> 24 == 0xFF;  // negative
      lines_ = from_top_ ? (uint64_t{1} << 32) - height : height;
      file.take(2);
      bits_ = file.u16();
      compression_ = file.u32();
      file.take(12);
      colors_ = file.u32();
    }
    constexpr std::array<uint32_t, 6> kBits{1, 4, 8, 16, 24, 32};
    if (std::find(kBits.begin(), kBits.end(), bits_) == kBits.end())
      picture_.refuse("a BMP of {} bits a pixel, expected 1, 4, 8, 16, 24 or 32", bits_);
    if (compression_ > kBitFields)
      picture_.refuse("a BMP of compression {}, which Pillow does not read either", compression_);
    if (colors_ == 0 && bits_ <= 8) colors_ = 1u << bits_;
  }

  void choose_packing() {
    switch (bits_) {
      case 1:
        packing_ = Packing::index1;
        break;
      case 4:
        packing_ = Packing::index4;
        break;
      case 8:
        packing_ = Packing::index8;
        break;
      case 16:
        packing_ = Packing::rgb555;
        break;
      case 24:
        packing_ = Packing::bytes3;
        break;
      default:
        packing_ = Packing::bytes4;
    }
  }

  // Version 2's header and later ones hold the masks; they follow a header of version 1.
  void read_masks(uint32_t header_bytes, LittleEndianReader& behind) {
    constexpr uint32_t kVersion1 = 40, kVersion3 = 56;
    std::array<uint32_t, 4> masks{};
    const size_t inside = behind.at() - header_bytes + kVersion1;
    LittleEndianReader within(picture_.bytes, inside);
    LittleEndianReader& from = header_bytes > kVersion1 ? within : behind;
    for (size_t i = 0; i < (header_bytes >= kVersion3 ? 4 : 3); ++i) masks[i] = from.u32();
    if (from.ended) picture_.refuse("the BMP is truncated");
    const auto is = [&](uint32_t red, uint32_t green, uint32_t blue) {
      return masks[0] == red && masks[1] == green && masks[2] == blue;
    };
    if (bits_ == 32)
      for (const MaskedOrder& known : kMasks32)
        if (known.masks == masks) {
          order_ = known.order;
          return;
        }
    if (bits_ == 24 && is(0xFF0000, 0xFF00, 0xFF)) return;
    if (bits_ == 16 && is(0x7C00, 0x3E0, 0x1F)) return;
    if (bits_ == 16 && is(0xF800, 0x7E0, 0x1F)) {
      packing_ = Packing::rgb565;
      return;
    }
    picture_.refuse(
        "a BMP of {} bits with the bit fields {:#x}, {:#x}, {:#x}, {:#x}, which Pillow does not "
        "read either",
        bits_, masks[0], masks[1], masks[2], masks[3]);
  }

  // A palette that says of each index that it is its own grey is none.
  void read_palette(LittleEndianReader& behind, size_t entry_bytes) {
    constexpr uint32_t kMaxColors = 65536;
    if (colors_ > kMaxColors)
      picture_.refuse("a BMP of {} colours, above the limit of {}", colors_, kMaxColors);
    const auto palette = behind.take(entry_bytes * colors_);
    bool is_grey = true;
    for (size_t i = 0; i < colors_ && is_grey; ++i) {
      const auto grey = static_cast<std::byte>(colors_ == 2 && i == 1 ? 255 : i & 255);
      const size_t at = i * entry_bytes;
      is_grey = at + 3 <= palette.size() && palette[at] == grey && palette[at + 1] == grey &&
                palette[at + 2] == grey;
    }
    if (is_grey) {
      packing_ = colors_ <= 2 ? Packing::bits : Packing::grey;
      return;
    }
    for (size_t i = 0; i < std::min<size_t>(colors_, 256); ++i)
      for (size_t c = 0; c < 3; ++c) {
        const size_t at = i * entry_bytes + 2 - c;
        palette_[3 * i + c] = at < palette.size() ? static_cast<uint8_t>(palette[at]) : 0;
      }
  }

  void check_length() const {
    if (row_bytes_ > stride_) picture_.refuse("a BMP of {} bits in rows of one bit each", bits_);
    // The padding of the last row may be missing.
    const uint64_t needed = stride_ * (lines_ - 1) + row_bytes_;
    const uint64_t held = picture_.bytes.size();
    if (pixels_at_ > held || needed > held - pixels_at_)
      picture_.refuse("declares {}x{} pixels and is truncated", columns_, lines_);
  }

  void unpack(const uint8_t* from, uint8_t* to) const {
    const auto from_palette = [&](int index) {
      to = std::copy_n(palette_.data() + size_t{3} * static_cast<size_t>(index), 3, to);
    };
    const auto bit = [&](int x) { return from[x / 8] >> (7 - x % 8) & 1; };
    const auto pixel16 = [&](int x) { return from[2 * x] | from[2 * x + 1] << 8; };
    for (int x = 0; x < width(); ++x) switch (packing_) {
        case Packing::bits:
          *to++ = bit(x) != 0 ? 255 : 0;
          break;
        case Packing::grey:
          *to++ = from[x];
          break;
        case Packing::index1:
          from_palette(bit(x));
          break;
        case Packing::index4:
          from_palette(x % 2 == 0 ? from[x / 2] >> 4 : from[x / 2] & 15);
          break;
        case Packing::index8:
          from_palette(from[x]);
          break;
        case Packing::rgb555:
          for (const int shift : {10, 5, 0})
            *to++ = static_cast<uint8_t>((pixel16(x) >> shift & 31) * 255 / 31);
          break;
        case Packing::rgb565:
          *to++ = static_cast<uint8_t>((pixel16(x) >> 11 & 31) * 255 / 31);
          *to++ = static_cast<uint8_t>((pixel16(x) >> 5 & 63) * 255 / 63);
          *to++ = static_cast<uint8_t>((pixel16(x) & 31) * 255 / 31);
          break;
        case Packing::bytes3:
        case Packing::bytes4:
          for (const uint8_t at : order_)
            *to++ = from[x * (packing_ == Packing::bytes3 ? 3 : 4) + at];
          break;
      }
  }

  const PictureSource picture_;
  PictureMemory memory_;
  uint64_t columns_ = 0, lines_ = 0;
  uint32_t bits_ = 0, compression_ = kRaw, colors_ = 0;
  bool from_top_ = false, in_runs_ = false;
  Packing packing_ = Packing::bytes3;
  ByteOrder order_{2, 1, 0};
  std::array<uint8_t, 768> palette_{};  // black beyond its end
  size_t pixels_at_ = 0;
  uint64_t row_bytes_ = 0, stride_ = 0;  // bytes of a row's pixels; from a row to the next
  std::vector<uint8_t> pixels_;          // of run lengths
  int next_ = 0;                         // row to read, from the top
};

}  // namespace

std::unique_ptr<PictureReader> open_bmp(const PictureSource& source, bool has_file_header) {
  auto reader = std::make_unique<BmpReader>(source);
  reader->open(has_file_header);
  return reader;
}

}  // namespace vitrail
