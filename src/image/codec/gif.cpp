// GIF (87a and 89a): the first frame, laid on its screen as Pillow lays it. LZW is a page of code
// here, because the answer for damaged streams, short palettes and frames beyond the screen must be
// Pillow's, and rows go out one by one.
#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "image/codec/codec_formats.h"
#include "image/codec/little_endian.h"

namespace vitrail {
namespace {

constexpr int kMaxCodeBits = 12;
constexpr int kTableSize = 1 << kMaxCodeBits;

// Codes of a GIF's data blocks, which are as long as their first byte says.
class CodeReader {
 public:
  explicit CodeReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  // None when the data ends; a block that is not there as a whole is not begun.
  std::optional<int> next(int bits) {
    while (held_ < bits) {
      if (block_left_ == 0) {
        if (at_ >= bytes_.size()) return std::nullopt;
        const auto length = static_cast<size_t>(bytes_[at_]);
        if (length > bytes_.size() - at_ - 1) return std::nullopt;
        block_left_ = length;
        ++at_;
        continue;
      }
      bits_ |= static_cast<uint32_t>(bytes_[at_++]) << held_;
      held_ += 8;
      --block_left_;
    }
    const auto code = static_cast<int>(bits_ & ((1u << bits) - 1));
    bits_ >>= bits;
    held_ -= bits;
    return code;
  }

 private:
  std::span<const std::byte> bytes_;
  size_t at_ = 0, block_left_ = 0;
  uint32_t bits_ = 0;
  int held_ = 0;
};

// The strings that codes stand for: each is another one and a byte behind it.
class CodeTable {
 public:
  explicit CodeTable(int literal_bits) : literals_(1 << literal_bits), bits_(literal_bits) {
    clear();
  }
  int clear_code() const { return literals_; }
  int end_code() const { return literals_ + 1; }
  int code_bits() const { return code_bits_; }
  void clear() {
    next_ = literals_ + 2;
    code_bits_ = bits_ + 1;
    previous_ = -1;
  }

  // The bytes of `code`, which follows the codes before it. Empty: no encoder writes this code
  // here.
  std::span<const uint8_t> string(int code) {
    if (previous_ < 0) {
      if (code > literals_) return {};
      first_ = static_cast<uint8_t>(code);
      previous_ = code;
      text_[0] = first_;
      return {text_.data(), 1};
    }
    if (code > next_) return {};
    size_t at = text_.size();
    int link = code;
    if (code == next_) {  // the string that this very code is about to define
      text_[--at] = first_;
      link = previous_;
    }
    while (link >= literals_) {
      if (at == 0 || link >= kTableSize) return {};
      text_[--at] = last_[static_cast<size_t>(link)];
      link = link_[static_cast<size_t>(link)];
    }
    if (at == 0) return {};
    first_ = static_cast<uint8_t>(link);
    text_[--at] = first_;
    if (next_ < kTableSize) {  // a full table stays as it is until it is cleared
      last_[static_cast<size_t>(next_)] = first_;
      link_[static_cast<size_t>(next_)] = static_cast<int16_t>(previous_);
      if (next_ == (1 << code_bits_) - 1 && code_bits_ < kMaxCodeBits) ++code_bits_;
      ++next_;
    }
    previous_ = code;
    return std::span<const uint8_t>(text_).subspan(at);
  }

 private:
  const int literals_, bits_;
  int next_ = 0, code_bits_ = 0, previous_ = -1;
  uint8_t first_ = 0;  // of the last string
  std::array<uint8_t, kTableSize> last_{};
  std::array<int16_t, kTableSize> link_{};
  std::array<uint8_t, kTableSize + 2> text_{};
};

// Rows of an interlaced frame in the order of the file.
std::vector<int> row_order(int height, bool interlaced) {
  std::vector<int> rows;
  rows.reserve(static_cast<size_t>(height));
  constexpr std::array<std::array<int, 2>, 4> kPasses{{{0, 8}, {4, 8}, {2, 4}, {1, 2}}};
  if (!interlaced)
    for (int y = 0; y < height; ++y) rows.push_back(y);
  else
    for (const auto& [first, step] : kPasses)
      for (int y = first; y < height; y += step) rows.push_back(y);
  return rows;
}

// Red, green, blue of each index; none where the palette says no more than grey of its index does.
using Palette = std::optional<std::array<uint8_t, 768>>;
Palette palette_of(std::span<const std::byte> entries) {
  bool is_grey_ramp = true;
  std::array<uint8_t, 768> colors{};  // black beyond the palette's end
  for (size_t i = 0; i < entries.size(); ++i) {
    colors[i] = static_cast<uint8_t>(entries[i]);
    is_grey_ramp = is_grey_ramp && colors[i] == i / 3;
  }
  return is_grey_ramp ? Palette() : Palette(colors);
}

class GifReader : public PictureReader {
 public:
  explicit GifReader(const PictureSource& source) : picture_(source) {}

  void open() {
    LittleEndianReader file(picture_.bytes, 6);  // behind the signature
    uint64_t width = file.u16(), height = file.u16();
    const uint8_t flags = file.u8();
    file.take(2);
    if (flags & kHasPalette) palette_ = palette_of(file.take(palette_bytes(flags)));
    seek_frame(file);
    left_ = file.u16(), top_ = file.u16();
    frame_width_ = file.u16(), frame_height_ = file.u16();
    const uint8_t frame_flags = file.u8();
    if (frame_flags & kHasPalette) {
      const Palette own = palette_of(file.take(palette_bytes(frame_flags)));
      // A frame whose own palette is the grey ramp is grey; asked for colours, Pillow gives it the
      // screen's nevertheless.
      if (own || picture_.grey) palette_ = own;
    }
    literal_bits_ = file.u8();
    if (file.ended) picture_.refuse("the GIF is truncated");
    interlaced_ = (frame_flags & 0x40) != 0;
    // A frame beyond the screen makes the screen larger.
    width = std::max<uint64_t>(width, uint64_t{left_} + frame_width_);
    height = std::max<uint64_t>(height, uint64_t{top_} + frame_height_);
    picture_.check_size(width, height);
    if (frame_width_ == 0 || frame_height_ == 0)
      picture_.refuse("a GIF whose first frame has {}x{} pixels", frame_width_, frame_height_);
    if (literal_bits_ > kMaxCodeBits) picture_.refuse("not a readable GIF: damaged code size");
    data_ = picture_.bytes.subspan(file.at());
    set_size(static_cast<int>(width), static_cast<int>(height), palette_ ? 3 : 1);
  }

  void begin(const PixelWindow& window) override {
    const uint64_t pixels = uint64_t{frame_width_} * frame_height_;
    memory_ = picture_.take_memory(pixels);
    frame_.resize(pixels);
    decode();
    next_ = window.y0;
  }

  void read(uint8_t* const* rows, int count) override {
    for (int i = 0; i < count; ++i, ++next_) write_row(next_, rows[i]);
  }

 private:
  static constexpr uint8_t kHasPalette = 0x80;
  static size_t palette_bytes(uint8_t flags) { return size_t{3} << ((flags & 7) + 1); }

  // A data block, or nothing: the terminator, or the end.
  static std::span<const std::byte> block(LittleEndianReader& file) {
    const uint8_t length = file.u8();
    return length == 0 ? std::span<const std::byte>() : file.take(length);
  }

  // Goes behind the comma of the first frame; on the way lies what is transparent.
  void seek_frame(LittleEndianReader& file) {
    constexpr uint8_t kExtension = '!', kFrame = ',', kTrailer = ';';
    constexpr uint8_t kGraphicControl = 249, kComment = 254;
    while (file.left() > 0) {
      const uint8_t kind = file.u8();
      if (kind == kFrame) return;
      if (kind == kTrailer) break;
      if (kind != kExtension) continue;  // padding
      const uint8_t label = file.u8();
      auto body = block(file);
      if (label == kGraphicControl && body.size() >= 4 && (static_cast<uint8_t>(body[0]) & 1) != 0)
        transparent_ = static_cast<uint8_t>(body[3]);
      if (label == kComment && body.empty()) continue;
      while (!block(file).empty()) {
      }
    }
    picture_.refuse("a GIF without a frame, or a truncated one");
  }

  void decode() {
    CodeReader codes(data_);
    CodeTable table(literal_bits_);
    const std::vector<int> rows = row_order(frame_height_, interlaced_);
    size_t row = 0;
    int x = 0;
    while (row < rows.size()) {
      const auto code = codes.next(table.code_bits());
      if (!code || *code == table.end_code()) picture_.refuse("the GIF is truncated");
      if (*code == table.clear_code()) {
        table.clear();
        continue;
      }
      auto string = table.string(*code);
      if (string.empty()) picture_.refuse("not a readable GIF: a damaged code");
      while (!string.empty() && row < rows.size()) {
        const size_t count =
            std::min(string.size(), static_cast<size_t>(frame_width_) - static_cast<size_t>(x));
        std::copy_n(string.data(), count,
                    frame_.data() + size_t{frame_width_} * static_cast<size_t>(rows[row]) + x);
        string = string.subspan(count);
        x += static_cast<int>(count);
        if (x < frame_width_) continue;
        x = 0;
        ++row;
      }
    }
  }

  void write_row(int y, uint8_t* to) const {
    const bool in_frame = y >= top_ && y < top_ + frame_height_;
    const uint8_t* from =
        in_frame ? frame_.data() + size_t{frame_width_} * static_cast<size_t>(y - top_) : nullptr;
    for (int x = 0; x < width(); ++x) {
      // Around the frame lies what is transparent, or else the first colour.
      const uint8_t index =
          in_frame && x >= left_ && x < left_ + frame_width_ ? from[x - left_] : transparent_;
      if (palette_)
        to = std::copy_n(palette_->data() + size_t{3} * index, 3, to);
      else
        *to++ = index;
    }
  }

  const PictureSource picture_;
  PictureMemory memory_;
  Palette palette_;
  uint8_t transparent_ = 0;
  int literal_bits_ = 0;
  uint16_t left_ = 0, top_ = 0, frame_width_ = 0, frame_height_ = 0;
  bool interlaced_ = false;
  std::span<const std::byte> data_;
  std::vector<uint8_t> frame_;  // indices
  int next_ = 0;                // row to read
};

}  // namespace

std::unique_ptr<PictureReader> open_gif(const PictureSource& source) {
  auto reader = std::make_unique<GifReader>(source);
  reader->open();
  return reader;
}

}  // namespace vitrail
