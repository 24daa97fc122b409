// From a picture to a model's input. A picture goes through row by row where the rule allows it,
// and as a whole where the rows are not met in order (nearest, columns first, floats before the
// resize).
#include <algorithm>
#include <new>
#include <optional>
#include <span>

#include "core/error.h"
#include "image/codec/picture_reader.h"
#include "image/preprocess/normalize.h"
#include "image/preprocess/preprocess_plan.h"
#include "image/row_resizer.h"

namespace vitrail {
namespace {

// The part of an output row that the picture covers.
struct Span {
  int begin, end;
};
Span covered(int offset, int out_size, int size) {
  return {std::clamp(-offset, 0, out_size), std::clamp(size - offset, 0, out_size)};
}

// The part of the output that the picture covers; the rest is padding.
PixelWindow covered_part(const PreprocessPlan& plan) {
  const Span columns = covered(plan.left, plan.width, plan.resized_width);
  const Span rows = covered(plan.top, plan.height, plan.resized_height);
  return {columns.begin, rows.begin, columns.end, rows.end};
}

bool covers_all(const PixelWindow& part, const PreprocessPlan& plan) {
  return part.x0 == 0 && part.y0 == 0 && part.x1 == plan.width && part.y1 == plan.height;
}

// The output before the picture is laid on it.
Image padding(const PreprocessPlan& plan, const Preprocess& p) {
  Image out(plan.width, plan.height, p.channels);
  if (covers_all(covered_part(plan), plan)) return out;
  for (size_t i = 0; i < out.pixels.size(); ++i)
    out.pixels[i] = p.fill[i % static_cast<size_t>(p.channels)];
  return out;
}

// What RowResizer makes of a picture of this size; none where the picture is needed as a whole.
std::optional<RowResizeRequest> by_rows(const PreprocessPlan& plan, const PictureSize& size,
                                        int channels, const Preprocess& p) {
  const PixelWindow part = covered_part(plan);
  const RowResizeRequest request{
      .channels = channels,
      .across = whole_axis(size.width, plan.resized_width),
      .down = whole_axis(size.height, plan.resized_height),
      .filter = p.filter,
      .keep = {part.x0 + plan.left, part.y0 + plan.top, part.x1 + plan.left, part.y1 + plan.top}};
  const bool resized = is_resized(request.across) || is_resized(request.down);
  if (p.rescale_first || part.x0 >= part.x1 || part.y0 >= part.y1 ||
      (resized && p.filter == Filter::nearest) ||
      (p.passes == PassOrder::fewest_rows && vertical_pass_first(request.across, request.down)))
    return std::nullopt;
  return request;
}

// The output's floats where the picture is not.
float padding_value(const Preprocess& p, int channel) {
  if (p.crop == CropRule::corner) return 0;
  return normalized(rescaled(p.fill[static_cast<size_t>(channel)], p), p, channel);
}

// Writes them over whatever stands there.
void write_padding(const PreprocessPlan& plan, const Preprocess& p, float* out) {
  const PixelWindow part = covered_part(plan);
  const int64_t pixels = int64_t{plan.width} * plan.height;
  for (int c = 0; c < p.channels; ++c) {
    const float value = padding_value(p, c);
    for (int y = 0; y < plan.height; ++y) {
      float* row = out + p.plane_of(c) * pixels + int64_t{y} * plan.width;
      const bool covered = y >= part.y0 && y < part.y1;
      std::fill(row, row + (covered ? part.x0 : plan.width), value);
      if (covered) std::fill(row + part.x1, row + plan.width, value);
    }
  }
}

Image cropped(const Image& image, const PreprocessPlan& plan, const Preprocess& p) {
  Image out = padding(plan, p);
  const PixelWindow part = covered_part(plan);
  for (int y = part.y0; y < part.y1 && part.x0 < part.x1; ++y)
    std::copy_n(image.row(y + plan.top) + int64_t{plan.left + part.x0} * image.channels,
                int64_t{part.x1 - part.x0} * image.channels,
                out.row(y) + int64_t{part.x0} * image.channels);
  return out;
}

// The picture in the channels of the preprocessing; `room` holds it where it had to be converted.
const Image& in_channels(const Image& image, int channels, Image& room) {
  if (image.channels == channels) return image;
  room = channels == 1 ? to_grey(image) : to_rgb(image);
  return room;
}

using RowSource = FunctionRef<const uint8_t* const*(int)>;

// Rows of bytes to [channels, height, width] floats.
void write_rows(RowResizer& resizer, RowSource read, int pixel_channels, const PreprocessPlan& plan,
                const Preprocess& p, float* out) {
  const Normalizer normalizer(p);
  const PixelWindow part = covered_part(plan);
  const int64_t pixels = int64_t{plan.width} * plan.height;
  write_padding(plan, p, out);
  resizer.run(read, [&](int y, const uint8_t* row) {
    float* to[3];
    for (int c = 0; c < p.channels; ++c)
      to[c] = out + p.plane_of(c) * pixels + int64_t{part.y0 + y} * plan.width + part.x0;
    normalizer.row(row, part.x1 - part.x0, pixel_channels, to);
  });
}

void write_bytes(const Image& image, const Preprocess& p, float* out) {
  const Normalizer normalizer(p);
  const int64_t pixels = int64_t{image.width} * image.height;
  for (int y = 0; y < image.height; ++y) {
    float* to[3];
    for (int c = 0; c < p.channels; ++c)
      to[c] = out + p.plane_of(c) * pixels + int64_t{y} * image.width;
    normalizer.row(image.row(y), image.width, image.channels, to);
  }
}

// Rescaled to floats first, then resized (DINOv3).
void write_floats(const Image& image, const Preprocess& p, const PreprocessPlan& plan, float* out) {
  const size_t source_pixels = static_cast<size_t>(image.width) * image.height;
  std::vector<float> plane(source_pixels);
  std::vector<float> resized(static_cast<size_t>(plan.resized_width) * plan.resized_height);
  const Span columns = covered(plan.left, plan.width, plan.resized_width);
  const Span rows = covered(plan.top, plan.height, plan.resized_height);
  for (int channel = 0; channel < p.channels; ++channel) {
    for (size_t i = 0; i < source_pixels; ++i)
      plane[i] = rescaled(image.pixels[i * static_cast<size_t>(p.channels) + channel], p);
    const bool same = plan.resized_width == image.width && plan.resized_height == image.height;
    if (same)
      resized = plane;
    else
      resize_float({plane.data(), image.width, image.height}, plan.resized_width,
                   plan.resized_height, p.filter, resized.data());
    const float padding = padding_value(p, channel);
    for (int y = 0; y < plan.height; ++y) {
      float* to = out + (static_cast<size_t>(p.plane_of(channel)) * plan.height + y) * plan.width;
      std::fill_n(to, plan.width, padding);
      if (y < rows.begin || y >= rows.end) continue;
      const float* from =
          resized.data() + static_cast<size_t>(y + plan.top) * plan.resized_width + plan.left;
      for (int x = columns.begin; x < columns.end; ++x) to[x] = normalized(from[x], p, channel);
    }
  }
}

// Blocks of decoded rows, for RowResizer.
class DecodedRows {
 public:
  explicit DecodedRows(PictureReader& reader) : reader_(reader) {
    const size_t bytes =
        static_cast<size_t>(reader.width()) * static_cast<size_t>(reader.channels());
    pixels_.resize(bytes * kBlockRows);
    for (int i = 0; i < kBlockRows; ++i) rows_[i] = pixels_.data() + static_cast<size_t>(i) * bytes;
  }
  const uint8_t* const* operator()(int count) {
    reader_.read(rows_, count);
    return rows_;
  }

 private:
  PictureReader& reader_;
  std::vector<uint8_t> pixels_;
  uint8_t* rows_[kBlockRows];
};

PreprocessResult apply_bytes(std::span<const std::byte> bytes, const Preprocess& preprocess,
                             const std::string& name, float* out) {
  const auto reader = open_picture(bytes, preprocess.decode_options(), name);
  const PictureSize size{reader->height(), reader->width()};
  const PreprocessPlan plan = preprocess_plan(size.width, size.height, preprocess);
  const auto request = by_rows(plan, size, reader->channels(), preprocess);
  if (!request) return apply(reader->read_all(), preprocess, out);
  RowResizer resizer(*request);
  reader->begin(resizer.source());
  DecodedRows rows(*reader);
  write_rows(resizer, rows, reader->channels(), plan, preprocess, out);
  reader->finish();
  return result_of(plan, size.width, size.height);
}

}  // namespace

Image apply_geometry(const Image& image, const Preprocess& preprocess) {
  const PreprocessPlan plan = preprocess_plan(image.width, image.height, preprocess);
  Image room;
  const Image& colored = in_channels(image, preprocess.channels, room);
  const auto request = by_rows(plan, {image.height, image.width}, preprocess.channels, preprocess);
  if (!request)
    return cropped(resize(colored, plan.resized_width, plan.resized_height, preprocess.filter,
                          preprocess.passes),
                   plan, preprocess);
  Image out = padding(plan, preprocess);
  const PixelWindow part = covered_part(plan);
  RowResizer resizer(*request);
  ImageRows rows(colored, resizer.source().y0);
  resizer.run(rows, [&](int y, const uint8_t* row) {
    std::copy_n(row, int64_t{part.x1 - part.x0} * out.channels,
                out.row(part.y0 + y) + int64_t{part.x0} * out.channels);
  });
  return out;
}

PreprocessResult apply(const Image& image, const Preprocess& preprocess, float* out) {
  const PreprocessPlan plan = preprocess_plan(image.width, image.height, preprocess);
  Image room;
  // Grey for RGB needs no third copy: its one channel is normalised three ways.
  const bool as_it_is = image.channels == 1 && !preprocess.rescale_first;
  const Image& source = as_it_is ? image : in_channels(image, preprocess.channels, room);
  const auto request = by_rows(plan, {image.height, image.width}, source.channels, preprocess);
  if (preprocess.rescale_first) {
    write_floats(source, preprocess, plan, out);
  } else if (request) {
    RowResizer resizer(*request);
    ImageRows rows(source, resizer.source().y0);
    write_rows(resizer, rows, source.channels, plan, preprocess, out);
  } else {
    write_bytes(apply_geometry(image, preprocess), preprocess, out);
    write_padding(plan, preprocess, out);
  }
  return result_of(plan, image.width, image.height);
}

PreprocessResult apply_encoded(std::span<const std::byte> bytes, const Preprocess& preprocess,
                               const std::string& name, float* out) {
  try {
    return apply_bytes(bytes, preprocess, name, out);
  } catch (const std::bad_alloc&) {
    fail(ErrorCode::out_of_memory, "picture", "{}: there is not enough memory to decode it", name);
  }
}

PreprocessResult apply_file(const std::filesystem::path& path, const Preprocess& preprocess,
                            float* out) {
  return apply_encoded(read_picture_file(path, preprocess.decode_options()), preprocess,
                       path.string(), out);
}

}  // namespace vitrail
