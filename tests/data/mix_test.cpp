// Mixup and CutMix against timm's Mixup: by formula here, by its pictures in golden/data.
#include "data/mix.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "data/helpers.h"
#include "data/loader.h"

namespace vitrail {
namespace {

using namespace test;

MixOptions both() {
  MixOptions options;
  options.mixup_alpha = 0.8;
  options.cutmix_alpha = 1;
  return options;
}

Tensor counting(int64_t count) {
  Tensor images = Tensor::empty({count, 2, 3, 4});
  for (int64_t i = 0; i < images.numel(); ++i) images.f32()[i] = static_cast<float>(i);
  return images;
}

Tensor labels_of(std::initializer_list<int64_t> labels) {
  Tensor out = Tensor::empty({static_cast<int64_t>(labels.size())}, DType::i64);
  std::copy(labels.begin(), labels.end(), out.data<int64_t>());
  return out;
}

TEST(Mix, MixupBlendsFirstWithLast) {
  const Tensor images = counting(3), before = images.clone();
  const std::vector<MixDraw> draws(3, MixDraw{.lambda = 0.25, .cutmix = false, .box = {}});
  mix_images(images, draws);
  for (int64_t i = 0; i < 24; ++i) {
    const float first = before.f32()[i], middle = before.f32()[24 + i], last = before.f32()[48 + i];
    EXPECT_FLOAT_EQ(images.f32()[i], 0.25f * first + 0.75f * last);
    EXPECT_FLOAT_EQ(images.f32()[24 + i], middle);
    EXPECT_FLOAT_EQ(images.f32()[48 + i], 0.25f * last + 0.75f * first);
  }
}

TEST(Mix, CutMixSwapsTheBoxInEveryChannel) {
  const Tensor images = counting(2), before = images.clone();
  const MixDraw draw{.lambda = 0.5, .cutmix = true, .box = {1, 0, 3, 2}};
  mix_images(images, std::vector{draw, draw});
  for (int64_t picture = 0; picture < 2; ++picture) {
    for (int64_t i = 0; i < 24; ++i) {
      const int64_t y = i / 4 % 3, x = i % 4;
      const bool inside = x >= 1 && x < 3 && y < 2;
      EXPECT_EQ(images.f32()[picture * 24 + i],
                before.f32()[(inside ? 1 - picture : picture) * 24 + i]);
    }
  }
}

// The box and the corrected lambda as timm's rand_bbox and cutmix_bbox_and_lam give them.
TEST(Mix, CutMixClipsTheBoxAndCorrectsLambda) {
  const MixDraw inside = cutmix_at(0.75, 10, 8, 20, 20);
  EXPECT_EQ(inside.box.x0, 5);
  EXPECT_EQ(inside.box.x1, 15);
  EXPECT_EQ(inside.box.y0, 3);
  EXPECT_EQ(inside.box.y1, 13);
  EXPECT_DOUBLE_EQ(inside.lambda, 0.75);
  const MixDraw corner = cutmix_at(0.4, 1, 19, 20, 31);  // 15 high, 24 wide before clipping
  EXPECT_EQ(corner.box.x0, 0);
  EXPECT_EQ(corner.box.x1, 13);
  EXPECT_EQ(corner.box.y0, 12);
  EXPECT_EQ(corner.box.y1, 20);
  EXPECT_DOUBLE_EQ(corner.lambda, 1 - 13.0 * 8 / (20 * 31));
}

TEST(Mix, TargetsAreMixedAndSmoothedRowsThatSumToOne) {
  const std::vector<MixDraw> draws(3, MixDraw{.lambda = 0.7, .cutmix = false, .box = {}});
  const Tensor targets = mix_targets(labels_of({0, 2, 1}), 4, 0.1, draws);
  const float off = 0.025f, on = 0.925f;
  const float expected[3][4] = {{0.7f * on + 0.3f * off, 0.7f * off + 0.3f * on, off, off},
                                {off, off, on, off},
                                {0.7f * off + 0.3f * on, 0.7f * on + 0.3f * off, off, off}};
  for (int64_t i = 0; i < 12; ++i) EXPECT_NEAR(targets.f32()[i], expected[i / 4][i % 4], 1e-7) << i;
}

TEST(Mix, DrawsDependOnSeedEpochAndBatchAlone) {
  const auto lambda = [](MixKey key) { return draw_mix(both(), key, 4, 32, 32)[0].lambda; };
  EXPECT_EQ(lambda({1, 2, 3}), lambda({1, 2, 3}));
  EXPECT_NE(lambda({1, 2, 3}), lambda({2, 2, 3}));
  EXPECT_NE(lambda({1, 2, 3}), lambda({1, 3, 3}));
  EXPECT_NE(lambda({1, 2, 3}), lambda({1, 2, 4}));
}

TEST(Mix, FollowsTheDistributions) {
  MixOptions options;
  for (const double alpha : {0.2, 1.0, 3.0}) {
    options.mixup_alpha = alpha;
    double sum = 0, squares = 0;
    constexpr int kDraws = 20000;
    for (int64_t batch = 0; batch < kDraws; ++batch) {
      const double lambda = draw_mix(options, {5, 0, batch}, 1, 8, 8)[0].lambda;
      sum += lambda;
      squares += lambda * lambda;
    }
    const double mean = sum / kDraws, variance = squares / kDraws - mean * mean;
    EXPECT_NEAR(mean, 0.5, 0.015);
    EXPECT_NEAR(variance, 1 / (4 * (2 * alpha + 1)), 0.006) << alpha;
  }
  options = both();
  options.mix_switch_probability = 0.3;
  options.mix_probability = 0.8;
  int cut = 0, none = 0;
  for (int64_t batch = 0; batch < 4000; ++batch) {
    const MixDraw draw = draw_mix(options, {5, 0, batch}, 1, 32, 32)[0];
    cut += draw.cutmix;
    none += !draw.cutmix && draw.lambda == 1;
  }
  EXPECT_NEAR(cut / 4000.0, 0.8 * 0.3, 0.03);
  EXPECT_NEAR(none / 4000.0, 0.2, 0.03);
}

TEST(Mix, ModesDrawForTheBatchThePairOrThePicture) {
  MixOptions options = both();
  const auto lambdas = [&](const char* mode) {
    options.mix_mode = mode;
    std::vector<double> out;
    for (const MixDraw& draw : draw_mix(options, {1, 0, 1}, 4, 32, 32)) out.push_back(draw.lambda);
    return out;
  };
  const std::vector<double> batch = lambdas("batch"), pair = lambdas("pair"),
                            each = lambdas("elem");
  EXPECT_EQ(batch, std::vector<double>(4, batch[0]));
  EXPECT_EQ(pair[0], pair[3]);
  EXPECT_EQ(pair[1], pair[2]);
  EXPECT_NE(pair[0], pair[1]);
  EXPECT_NE(each[0], each[3]);
}

TEST(Mix, BoxesBetweenTwoShares) {
  MixOptions options;
  options.cutmix_min = 0.2;
  options.cutmix_max = 0.8;
  for (int64_t batch = 0; batch < 200; ++batch) {
    const MixDraw draw = draw_mix(options, {1, 0, batch}, 1, 10, 20)[0];
    EXPECT_TRUE(draw.cutmix);
    const int height = draw.box.y1 - draw.box.y0, width = draw.box.x1 - draw.box.x0;
    EXPECT_TRUE(height >= 2 && height < 8 && width >= 4 && width < 16);
    EXPECT_TRUE(draw.box.y0 >= 0 && draw.box.y1 <= 10 && draw.box.x0 >= 0 && draw.box.x1 <= 20);
    EXPECT_DOUBLE_EQ(draw.lambda, 1 - height * width / 200.0);
  }
}

TEST(Mix, StopsAtTheOffEpoch) {
  MixOptions options = both();
  options.mixup_off_epoch = 3;
  EXPECT_NE(draw_mix(options, {1, 2, 0}, 2, 8, 8)[0].lambda, 1);
  EXPECT_EQ(draw_mix(options, {1, 3, 0}, 2, 8, 8)[0].lambda, 1);
}

TEST(Mix, TheLoaderGivesTargetsAndMixesWhatItGives) {
  const auto set = open_dataset("scenes:count=31,size=24", Split::train);
  LoaderOptions options;
  options.batch_size = 6;
  options.workers = 2;
  options.shuffle = true;
  options.seed = 4;
  options.preprocess.resize_to = {24, 24};
  Loader plain(*set, options);
  options.mix = both();
  options.mix.label_smoothing = 0.1;
  Loader mixed(*set, options);
  plain.start(1);
  mixed.start(1);
  Batch a, b;
  while (plain.next(a)) {
    ASSERT_TRUE(mixed.next(b));
    EXPECT_FALSE(a.targets.defined());
    const std::vector<MixDraw> draws =
        draw_mix(options.mix, {4, 1, a.number}, a.labels.size(0), 24, 24);
    mix_images(a.images, draws);
    EXPECT_TRUE(std::ranges::equal(a.images.values(), b.images.values()));
    const Tensor targets = mix_targets(a.labels, set->num_classes(), 0.1, draws);
    EXPECT_TRUE(std::ranges::equal(targets.values(), b.targets.values()));
  }
}

TEST(Mix, FieldsByName) {
  MixOptions options = both();
  options.mix_mode = "pair";
  MixOptions read;
  from_json(to_json(options), read);
  EXPECT_EQ(read, options);
  EXPECT_TRUE(set_field(options, "cutmix_alpha", "0.5"));
  EXPECT_EQ(options.cutmix_alpha, 0.5);
  EXPECT_FALSE(set_field(options, "epochs", "3"));
  expect_mentions(error_of([&] { set_field(options, "cutmix_alpha", "much"); }), "cutmix_alpha");
  options.mix_mode = "half";
  expect_mentions(error_of([&] { check_mix(options); }), "mix_mode is 'half'");
  options = {};
  options.mixup_alpha = -1;
  expect_mentions(error_of([&] { check_mix(options); }), "mixup_alpha is -1");
}

}  // namespace
}  // namespace vitrail
