// Policies: their operations against timm and torchvision (golden/data/augment.json), and how they
// are spelled and drawn.
#include "data/auto_augment.h"

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "data/mix.h"
#include "image/golden.h"
#include "support/errors.h"

namespace vitrail {
namespace {

nlohmann::json golden_cases() {
  std::ifstream file(std::string(VITRAIL_SOURCE_DIR) + "/tests/golden/data/augment.json");
  return nlohmann::json::parse(file);
}

TEST(AutoAugment, OperationsEqualTimmAndTorchvision) {
  int64_t met = 0;
  for (const auto& golden : golden_cases()) {
    Image image = drawn(40, 36, 3);
    if (golden.contains("timm"))
      apply_timm_op(image, golden["timm"], golden["level"], golden["negative"],
                    {Filter::bicubic, {124, 116, 104}});
    else if (golden.contains("torchvision"))
      apply_torchvision_op(image, golden["torchvision"], golden["magnitude"], golden["negative"]);
    else
      continue;
    EXPECT_EQ(checksum(image), golden["crc"].get<uint32_t>()) << golden.dump();
    ++met;
  }
  EXPECT_GT(met, 200);
}

TEST(AutoAugment, MixedBatchesEqualTimm) {
  int64_t met = 0;
  for (const auto& golden : golden_cases()) {
    if (!golden.contains("mix")) continue;
    const Tensor images = Tensor::empty({4, 3, 6, 7});
    for (int64_t i = 0; i < images.numel(); ++i)
      images.f32()[i] = static_cast<float>(i * 37 % 101) / 50 - 1;
    const Tensor labels = Tensor::empty({4}, DType::i64);
    for (int64_t i = 0; i < 4; ++i) labels.data<int64_t>()[i] = std::array{3, 0, 2, 2}[i];
    MixDraw draw{.lambda = golden["mix"], .cutmix = false, .box = {}};
    if (golden["cutmix"])
      draw = cutmix_at(draw.lambda, golden["center_x"], golden["center_y"], 6, 7);
    const std::vector<MixDraw> draws(4, draw);
    mix_images(images, draws);
    const Tensor targets = mix_targets(labels, 5, 0.1, draws);
    EXPECT_EQ(checksum(images.raw(), images.bytes()), golden["crc"].get<uint32_t>())
        << golden.dump();
    for (int64_t i = 0; i < 20; ++i)
      EXPECT_NEAR(targets.f32()[i], golden["targets"][i].get<float>(), 2e-7) << golden.dump();
    ++met;
  }
  EXPECT_EQ(met, 4);
}

Image apply_policy(const std::string& policy, uint64_t stream) {
  Image image = drawn(24, 20, 3);
  Rng rng(7, stream);
  AutoAugment(policy).apply(image, rng, [] { return AffineStyle{}; });
  return image;
}

// Each policy changes pictures in many ways, and the same way for the same stream.
TEST(AutoAugment, DrawsFromItsStreamAlone) {
  for (const char* policy : {"rand-m9-mstd0.5-inc1", "rand-m9-n3-p1-tweights", "rand-t3a-mstd101",
                             "rand-n2-t3aw-mmax20-m15", "rand", "3a", "cifar10"}) {
    std::set<uint32_t> seen;
    for (uint64_t stream = 0; stream < 100; ++stream) {
      const Image image = apply_policy(policy, stream);
      EXPECT_EQ(image.pixels, apply_policy(policy, stream).pixels);
      seen.insert(checksum(image));
    }
    EXPECT_GT(seen.size(), 20u) << policy;
  }
}

TEST(AutoAugment, ProbabilityAndMagnitudeCount) {
  const Image original = drawn(24, 20, 3);
  EXPECT_EQ(apply_policy("rand-p0", 1).pixels, original.pixels);
  int unchanged = 0;
  for (uint64_t stream = 0; stream < 400; ++stream)
    unchanged += apply_policy("rand-m9-inc1-n2", stream).pixels == original.pixels;
  EXPECT_NEAR(unchanged, 100, 35);  // neither of two operations of probability one half
  int changed = 0;                  // but for blurs of a small fraction of a pixel
  for (uint64_t stream = 0; stream < 100; ++stream)
    changed += apply_policy("3a", stream).pixels != original.pixels;
  EXPECT_GT(changed, 85);
}

TEST(AutoAugment, RefusesWhatItDoesNotKnow) {
  const auto message = [](const std::string& policy) {
    return testing::error_of([&] { AutoAugment{policy}; });
  };
  expect_clear(message("augmix-m3"), "augment", "auto_augment is 'augmix-m3'");
  expect_clear(message("random"), "augment", "'random'");
  expect_clear(message("rand-z3"), "augment", "unknown section 'z3'");
  expect_clear(message("rand-m"), "augment", "'m' has no number");
  expect_clear(message("rand-m9x"), "augment", "'m9x' has no number");
  expect_clear(message("rand-tnone"), "augment", "'tnone'");
  expect_clear(message("rand-n20-t3aw"), "augment", "of 14 operations none comes twice");
  Image image = drawn(4, 4, 3);
  expect_clear(testing::error_of([&] { apply_timm_op(image, "Swirl", 1, false, {}); }), "augment",
               "'Swirl'");
}

}  // namespace
}  // namespace vitrail
