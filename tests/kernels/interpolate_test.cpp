#include "kernels/interpolate.h"

#include <gtest/gtest.h>

#include "golden.h"
#include "support/compare.h"
#include "support/isa.h"
#include "support/random.h"

namespace vitrail::kernels {
namespace {

using testing::expect_same_on_any_threads;
using testing::golden_input;
using testing::GoldenLine;
using testing::max_relative_error;
using testing::random_floats;
using testing::read_golden;
using testing::sum_tolerance;

InterpolateArgs parse(GoldenLine& line) {
  InterpolateArgs args;
  std::string mode;
  line.fields >> mode >> args.antialias >> args.planes >> args.in_height >> args.in_width >>
      args.out_height >> args.out_width >> args.scale_height >> args.scale_width;
  EXPECT_FALSE(line.fields.fail());
  args.mode = mode == "bicubic" ? InterpolateMode::bicubic : InterpolateMode::bilinear;
  return args;
}

TEST(Interpolate, EqualsTorch) {
  Queue queue(1);
  std::vector<GoldenLine> lines = read_golden("interpolate.txt");
  ASSERT_EQ(lines.size(), 48u);
  for (GoldenLine& line : lines) {
    SCOPED_TRACE(line.fields.str());
    InterpolateArgs args = parse(line);
    const auto x = golden_input(args.planes * args.in_height * args.in_width);
    std::vector<float> y(static_cast<size_t>(args.planes * args.out_height * args.out_width));
    args.x = x.data();
    args.y = y.data();
    interpolate(queue, args);
    EXPECT_LT(max_relative_error(y, line.values), 1e-6);
  }
}

TEST(Interpolate, EqualsTorchWithAlignedCorners) {
  Queue queue(1);
  std::vector<GoldenLine> lines = read_golden("interpolate_corners.txt");
  ASSERT_EQ(lines.size(), 24u);
  for (GoldenLine& line : lines) {
    SCOPED_TRACE(line.fields.str());
    InterpolateArgs args = parse(line);
    args.align_corners = true;
    const auto x = golden_input(args.planes * args.in_height * args.in_width);
    std::vector<float> y(static_cast<size_t>(args.planes * args.out_height * args.out_width));
    args.x = x.data();
    args.y = y.data();
    interpolate(queue, args);
    EXPECT_LT(max_relative_error(y, line.values), 1e-6);
  }
}

// [planes, pixels, inner] from [planes * inner, pixels].
std::vector<float> with_channels_last(const std::vector<float>& maps, int64_t inner,
                                      int64_t pixels) {
  std::vector<float> out(maps.size());
  for (int64_t i = 0; i < static_cast<int64_t>(maps.size()); ++i) {
    const int64_t map = i / pixels;
    out[static_cast<size_t>((map / inner * pixels + i % pixels) * inner + map % inner)] =
        maps[static_cast<size_t>(i)];
  }
  return out;
}

TEST(Interpolate, ChannelsThatLieInnermostGiveTheSameBitsOnEveryTarget) {
  testing::for_each_isa([](Queue& queue) {
    for (const int64_t inner : {2, 17, 64, 130})
      for (const bool antialias : {false, true}) {
        InterpolateArgs args{.antialias = antialias,
                             .planes = 2 * inner,
                             .in_height = 5,
                             .in_width = 7,
                             .out_height = 9,
                             .out_width = 4};
        const auto x = random_floats(args.planes * 35, 4), dy = random_floats(args.planes * 36, 5);
        std::vector<float> y(dy.size()), dx(x.size());
        args.x = x.data();
        args.y = y.data();
        interpolate(queue, args);
        interpolate_backward(queue, {.geometry = args, .dy = dy.data(), .dx = dx.data()});
        const auto x_last = with_channels_last(x, inner, 35);
        const auto dy_last = with_channels_last(dy, inner, 36);
        std::vector<float> y_last(y.size()), dx_last(x.size());
        args.planes = 2;
        args.inner = inner;
        args.x = x_last.data();
        args.y = y_last.data();
        interpolate(queue, args);
        interpolate_backward(queue, {.geometry = args, .dy = dy_last.data(), .dx = dx_last.data()});
        EXPECT_EQ(y_last, with_channels_last(y, inner, 36));
        EXPECT_EQ(dx_last, with_channels_last(dx, inner, 35));
      }
  });
}

TEST(Interpolate, BackwardIsTheAdjoint) {
  Queue queue(1);
  std::vector<GoldenLine> lines = read_golden("interpolate.txt");
  for (GoldenLine& line : lines) {
    SCOPED_TRACE(line.fields.str());
    InterpolateArgs args = parse(line);
    const auto x = random_floats(args.planes * args.in_height * args.in_width, 1);
    const auto dy = random_floats(args.planes * args.out_height * args.out_width, 2);
    std::vector<float> y(dy.size()), dx(x.size());
    args.x = x.data();
    args.y = y.data();
    interpolate(queue, args);
    interpolate_backward(queue, {.geometry = args, .dy = dy.data(), .dx = dx.data()});
    double left = 0, right = 0, size = 1e-30;
    for (size_t i = 0; i < y.size(); ++i) {
      left += double(y[i]) * dy[i];
      size += std::abs(double(y[i]) * dy[i]);
    }
    for (size_t i = 0; i < x.size(); ++i) right += double(x[i]) * dx[i];
    EXPECT_LT(std::abs(left - right) / size, sum_tolerance(args.out_height + args.in_height));
  }
}

TEST(Interpolate, DoesNotDependOnThreads) {
  const auto x = random_floats(30 * 14 * 14, 3);
  expect_same_on_any_threads([&](Queue& queue) {
    std::vector<float> y(30 * 37 * 25), dx(x.size());
    const InterpolateArgs args{.planes = 30,
                               .in_height = 14,
                               .in_width = 14,
                               .out_height = 37,
                               .out_width = 25,
                               .x = x.data(),
                               .y = y.data()};
    interpolate(queue, args);
    interpolate_backward(queue, {.geometry = args, .dy = y.data(), .dx = dx.data()});
    return std::pair(y, dx);
  });
}

}  // namespace
}  // namespace vitrail::kernels
