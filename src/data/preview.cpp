#include "data/preview.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "image/lettering.h"
#include "image/preprocess/normalize.h"

namespace vitrail {
namespace {

constexpr int kGap = 4, kTextHeight = kLetterHeight + 5;
constexpr std::array<uint8_t, 3> kPaper{250, 250, 250}, kInk{40, 40, 40};

class Sheet {
 public:
  Sheet(int rows, int columns, int side) : side_(side) {
    const int64_t width = kGap + int64_t{columns} * (side + kGap);
    const int64_t height = kGap + int64_t{rows} * (side + kTextHeight + kGap);
    check(width * height <= static_cast<int64_t>(kMaxPicturePixels), "preview",
          "a sheet of {}x{} pixels is too large; show fewer pictures", width, height);
    image_ = Image(static_cast<int>(width), static_cast<int>(height), 3);
    for (size_t i = 0; i < image_.pixels.size(); ++i) image_.pixels[i] = kPaper[i % 3];
  }

  void name(int row, const std::string& text) {
    const int letters = (image_.width - 2 * kGap) / kLetterAdvance;
    draw_text(image_, kGap, top(row), std::string_view(text).substr(0, letters), kInk);
  }
  // Squeezed or blown up to the cell, the ratio kept, in its middle.
  void put(int row, int column, const Image& picture) {
    const double factor = static_cast<double>(side_) / std::max(picture.width, picture.height);
    const auto scaled = [&](int size) {
      return std::max(1, static_cast<int>(std::nearbyint(size * factor)));
    };
    // Pixels that are blown up stay pixels.
    const Image shown = resize(to_rgb(picture), scaled(picture.width), scaled(picture.height),
                               factor > 1 ? Filter::nearest : Filter::bicubic);
    const int left = kGap + column * (side_ + kGap) + (side_ - shown.width) / 2;
    const int begin = top(row) + kTextHeight + (side_ - shown.height) / 2;
    for (int y = 0; y < shown.height; ++y)
      std::copy_n(shown.row(y), shown.row_bytes(), image_.row(begin + y) + int64_t{left} * 3);
  }
  Image take() { return std::move(image_); }

 private:
  int top(int row) const { return kGap + row * (side_ + kTextHeight + kGap); }
  int side_;
  Image image_;
};

}  // namespace

Image preview_sheet(const Dataset& set, const LoaderOptions& loader,
                    const PreviewOptions& options) {
  check(options.pictures >= 1 && options.versions >= 1 && options.pictures <= 10'000 &&
            options.versions <= 1000 && options.cell >= 0 && options.cell <= kMaxPreprocessSide,
        "preview", "{} pictures and {} versions in cells of {} make no sheet", options.pictures,
        options.versions, options.cell);
  check_augment(loader.augment);
  const PictureSize size = fixed_output_size(loader.preprocess);
  const Augmenter augmenter(loader.augment, loader.preprocess, size);
  const auto rows = static_cast<int>(std::min(options.pictures, set.size()));
  const int64_t side = options.cell > 0 ? options.cell : std::max({size.width, size.height, 96});
  Sheet sheet(rows, static_cast<int>(1 + options.versions), static_cast<int>(side));
  const std::vector<int64_t> order = epoch_order(set.size(), true, loader.seed, options.epoch);
  std::vector<float> values(static_cast<size_t>(loader.preprocess.channels) * size.height *
                            size.width);
  for (int row = 0; row < rows; ++row) {
    const int64_t index = order[static_cast<size_t>(row)];
    const Sample sample = set.get(index);
    sheet.name(row, fmt::format("{}  {}", set.label_names(index), sample.id));
    sheet.put(row, 0, sample.image);
    const Image image =
        loader.preprocess.channels == 1 ? to_grey(sample.image) : to_rgb(sample.image);
    for (int64_t version = 0; version < options.versions; ++version) {
      augmenter.write(image, {loader.seed, options.epoch + version, index}, values.data());
      sheet.put(row, static_cast<int>(1 + version),
                denormalized(values.data(), size, loader.preprocess));
    }
  }
  return sheet.take();
}

}  // namespace vitrail
