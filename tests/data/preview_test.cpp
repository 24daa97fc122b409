#include "data/preview.h"

#include <gtest/gtest.h>

#include "data/helpers.h"

namespace vitrail {
namespace {

using namespace test;

TEST(Preview, ShowsTheOriginalBesideItsVersions) {
  const auto set = open_dataset("scenes:count=5,size=24", Split::all);
  LoaderOptions loader;
  loader.preprocess.resize_to = {24, 24};
  const PreviewOptions options{.pictures = 3, .versions = 2, .epoch = 0, .cell = 24};
  const auto cell = [](const Image& sheet, int row, int column) {
    Image out(24, 24, 3);
    for (int y = 0; y < 24; ++y)
      std::copy_n(sheet.row(4 + row * 40 + 12 + y) + (4 + column * 28) * 3, 72, out.row(y));
    return out.pixels;
  };
  Image sheet = preview_sheet(*set, loader, options);
  EXPECT_EQ(sheet.width, 4 + 3 * 28);
  EXPECT_EQ(sheet.height, 4 + 3 * 40);
  const std::vector<int64_t> order = epoch_order(set->size(), true, 0, 0);
  for (int row = 0; row < 3; ++row) {
    const Bytes original = set->get(order[static_cast<size_t>(row)]).image.pixels;
    for (int column = 0; column < 3; ++column)  // nothing is augmented
      EXPECT_EQ(cell(sheet, row, column), original);
  }
  loader.augment.flip_probability = 1;
  sheet = preview_sheet(*set, loader, options);
  Image flipped = set->get(order[1]).image;
  flip_horizontally(flipped);
  EXPECT_EQ(cell(sheet, 1, 2), flipped.pixels);
  expect_mentions(error_of([&] { preview_sheet(*set, loader, {.pictures = 0}); }), "0 pictures");
}

}  // namespace
}  // namespace vitrail
