#include "image/codec/tiff_samples.h"

#include <algorithm>
#include <cstring>

#include "image/codec/byte_arithmetic.h"

namespace vitrail {
namespace {

enum Photometric : uint16_t {
  kMinIsWhite = 0,
  kMinIsBlack = 1,
  kRgb = 2,
  kPalette = 3,
  kCmyk = 5,
  kYcbcr = 6,
  kLab = 8,
};
constexpr uint16_t kUnsigned = 1, kSigned = 2, kFloat = 3;
constexpr uint16_t kUnspecified = 0, kMultiplied = 1;

int samples_of_color(uint16_t photometric) {
  if (photometric == kCmyk) return 4;
  return photometric == kRgb || photometric == kYcbcr || photometric == kLab ? 3 : 1;
}

// One sample a pixel, or one and an alpha: the depths that Pillow has a mode for.
bool is_known_grey(const TiffLayout& it) {
  const bool plain = it.sample_format == kUnsigned;
  if (it.samples > 1)
    return it.photometric == kMinIsBlack && plain && it.bits == 8 && it.samples == 2 &&
           it.fill_order == 1;
  if (it.bits <= 8)
    return (it.bits == 1 || it.bits == 2 || it.bits == 4 || it.bits == 8) &&
           (plain || (it.sample_format == kSigned && it.bits == 8 &&
                      it.photometric == kMinIsBlack && it.fill_order == 1));
  if (it.photometric == kMinIsWhite) return it.bits == 16 && plain && !it.big_endian;
  if (it.fill_order == 2) return it.bits == 16 && plain && !it.big_endian;
  if (it.bits == 12) return plain && !it.big_endian;
  return it.bits == 16 ||
         (it.bits == 32 && (it.sample_format == kSigned || (plain && !it.big_endian)));
}

bool is_known(const TiffLayout& it) {
  const size_t spare =
      it.extra.size() > 1
          ? static_cast<size_t>(std::count(it.extra.begin() + 1, it.extra.end(), kUnspecified))
          : 0;
  // Only the first of the samples behind the colours may mean something.
  if (it.extra.size() > 1 && spare + 1 != it.extra.size()) return false;
  const bool plain = it.sample_format == kUnsigned;
  switch (it.photometric) {
    case kMinIsWhite:
    case kMinIsBlack:
      return is_known_grey(it);
    case kRgb:
      return plain && it.samples <= 6 &&
             (it.bits == 8 ? it.fill_order == 1 || it.samples == 3
                           : it.bits == 16 && it.samples <= 4 && it.fill_order == 1);
    case kPalette:
      return plain &&
             (it.samples == 1 ? it.bits == 1 || it.bits == 2 || it.bits == 4 || it.bits == 8
                              : it.samples == 2 && it.bits == 8 && it.fill_order == 1 &&
                                    it.extra[0] != kMultiplied);
    case kCmyk:
      return plain && it.fill_order == 1 &&
             (it.bits == 8 ? it.samples <= 6 && (it.extra.empty() || it.extra[0] == kUnspecified)
                           : it.bits == 16 && it.samples == 4);
    case kYcbcr:
      return plain && it.bits == 8 && it.fill_order == 1 && (it.samples == 3 || it.samples == 1);
    default:
      return false;
  }
}

TiffColor color_of(const TiffLayout& it) {
  switch (it.photometric) {
    case kRgb:
      return TiffColor::rgb;
    case kPalette:
      return TiffColor::palette;
    case kCmyk:
      return TiffColor::cmyk;
    case kYcbcr:
      return it.samples == 1 ? TiffColor::grey : TiffColor::ycbcr;
    default:
      return TiffColor::grey;
  }
}

// Unsigned bits of a row, the highest first.
int bits_at(const uint8_t* row, int index, int bits) {
  const int per_byte = 8 / bits;
  return row[index / per_byte] >> (8 - bits * (index % per_byte + 1)) & ((1 << bits) - 1);
}

// Deeper greys are clipped at 255, not scaled.
uint8_t deep_grey(const TiffSamples& s, const uint8_t* row, int x) {
  if (s.bits == 12) {
    const uint8_t* pair = row + 3 * (x / 2);
    return clip_to_byte(x % 2 == 0 ? pair[0] << 4 | pair[1] >> 4 : (pair[1] & 15) << 8 | pair[2]);
  }
  if (s.bits == 16) {
    uint16_t value;
    std::memcpy(&value, row + 2 * x, sizeof(value));
    if (s.swapped) value = static_cast<uint16_t>(value >> 8 | value << 8);
    return clip_to_byte(s.is_signed ? static_cast<int16_t>(value) : value);
  }
  uint32_t value;
  std::memcpy(&value, row + 4 * x, sizeof(value));
  if (s.swapped) value = __builtin_bswap32(value);
  return clip_to_byte(static_cast<int32_t>(value));  // unsigned ones too
}

uint8_t grey_at(const TiffSamples& s, const uint8_t* row, int x) {
  if (s.bits > 8) return deep_grey(s, row, x);
  const int scale = 255 / ((1 << s.bits) - 1);
  const int value = s.bits == 8 ? row[x * s.samples] : bits_at(row, x, s.bits) * scale;
  return static_cast<uint8_t>(s.inverted ? 255 - value : value);
}

// ITU-R 601 of full range in 64ths, cut towards zero where Pillow's tables are.
void ycbcr_to_rgb(const uint8_t* from, uint8_t* to) {
  const int y = from[0], cb = from[1] - 128, cr = from[2] - 128;
  const auto scaled = [](double factor, int value) {
    return static_cast<int>(factor * 64 * value + 0.5);
  };
  to[0] = clip_to_byte(y + (scaled(1.402, cr) >> 6));
  to[1] = clip_to_byte(y + ((scaled(-0.34414, cb) + scaled(-0.71414, cr)) >> 6));
  to[2] = clip_to_byte(y + (scaled(1.772, cb) >> 6));
}

}  // namespace

TiffSamples tiff_samples(const TiffLayout& layout, const PictureSource& source) {
  TiffLayout it = layout;
  // A fourth sample that nothing is said of.
  if (it.photometric == kRgb && it.samples == 4 && it.extra.empty()) it.extra = {kUnspecified};
  if (it.sample_format == kFloat)
    source.refuse(
        "a TIFF of floating-point numbers, whose range it does not say; convert it to 8 bits");
  if (it.photometric == kLab) source.refuse("a TIFF in CIE Lab; convert it to RGB");
  if (it.extra.size() == 1 && it.extra[0] == kMultiplied && it.photometric == kMinIsBlack)
    source.refuse("a grey TIFF multiplied by its alpha, which Pillow does not convert either");
  const int colours =
      it.photometric == kYcbcr && it.samples == 1 ? 1 : samples_of_color(it.photometric);
  if (!is_known(it) || it.samples != colours + static_cast<int>(it.extra.size()))
    source.refuse(
        "a TIFF of {} samples of {} bits (photometric {}, sample format {}, fill order {}), which "
        "Pillow does not read either",
        it.samples, it.bits, it.photometric, it.sample_format, it.fill_order);
  TiffSamples samples;
  samples.color = color_of(it);
  // Its first sample is its grey, which is not the grey of its colours.
  if (samples.color == TiffColor::ycbcr && source.grey) samples.color = TiffColor::grey;
  samples.bits = it.bits;
  samples.samples = it.samples;
  samples.inverted = it.photometric == kMinIsWhite && it.bits <= 8;
  samples.is_signed = it.sample_format == kSigned && it.bits > 8;
  // libtiff has turned these already, and Pillow turns them once more.
  samples.swapped = it.compressed && it.big_endian && samples.is_signed;
  if (it.photometric == kRgb && !it.extra.empty() && it.extra[0] == kMultiplied) samples.alpha = 3;
  return samples;
}

void unpack_tiff_row(const TiffSamples& s, const uint8_t* from, int pixels, uint8_t* to) {
  // Of 16 bits the higher byte counts, which is the second of two.
  const int step = s.bits == 16 ? 2 : 1, first = s.bits == 16 ? 1 : 0;
  for (int x = 0; x < pixels; ++x) {
    if (s.color == TiffColor::grey) {
      *to++ = grey_at(s, from, x);
      continue;
    }
    const uint8_t* pixel = from + int64_t{x} * s.samples * step + first;
    if (s.color == TiffColor::palette) {
      const int index = s.bits < 8 ? bits_at(from, x, s.bits) : *pixel;
      std::copy_n(s.palette.data() + 3 * index, 3, to);
    } else if (s.color == TiffColor::ycbcr) {
      ycbcr_to_rgb(pixel, to);
    } else if (s.color == TiffColor::cmyk) {
      const int light = 255 - pixel[3 * step];
      for (int c = 0; c < 3; ++c)
        to[c] = clip_to_byte(light - multiply_255(pixel[c * step], light));
    } else {
      const int alpha = s.alpha < 0 ? 255 : pixel[s.alpha * step];
      for (int c = 0; c < 3; ++c)
        to[c] = alpha == 255 ? pixel[c * step]
                : alpha == 0 ? uint8_t{0}
                             : clip_to_byte(pixel[c * step] * 255 / alpha);
    }
    to += 3;
  }
}

}  // namespace vitrail
