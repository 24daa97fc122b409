#include "models/class_gaussians.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/errors.h"
#include "support/random.h"

namespace vitrail {
namespace {

// Two classes of correlated pairs around (3, 0) and (-3, 0).
struct Pairs {
  Tensor features = Tensor::empty({400, 2});
  std::vector<int64_t> labels;
  Pairs() {
    const std::vector<float> noise = testing::random_floats(800, 5);
    for (int64_t i = 0; i < 400; ++i) {
      labels.push_back(i % 2);
      const float a = noise[static_cast<size_t>(2 * i)], b = noise[static_cast<size_t>(2 * i + 1)];
      features.f32()[2 * i] = (i % 2 == 0 ? 3.0f : -3.0f) + a;
      features.f32()[2 * i + 1] = 0.9f * a + 0.2f * b;
    }
  }
};

// By the textbook: means, covariance within the classes, its inverse by the adjugate.
double reference_typicality(const Pairs& pairs, float x, float y) {
  double mean[2][2] = {}, covariance[2][2] = {};
  const float* f = pairs.features.f32();
  for (int64_t i = 0; i < 400; ++i)
    for (int64_t k = 0; k < 2; ++k) mean[i % 2][k] += f[2 * i + k] / 200.0;
  for (int64_t i = 0; i < 400; ++i)
    for (int64_t j = 0; j < 2; ++j)
      for (int64_t k = 0; k < 2; ++k)
        covariance[j][k] += (f[2 * i + j] - mean[i % 2][j]) * (f[2 * i + k] - mean[i % 2][k]) / 400;
  const double ridge = 1e-3 * (covariance[0][0] + covariance[1][1]) / 2;
  const double a = covariance[0][0] + ridge, b = covariance[0][1], d = covariance[1][1] + ridge;
  double nearest = INFINITY;
  for (const auto& m : mean) {
    const double u = x - m[0], v = y - m[1];
    nearest = std::min(nearest, (d * u * u - 2 * b * u * v + a * v * v) / (a * d - b * b));
  }
  return 1 / (1 + nearest / 2);
}

TEST(ClassGaussians, AreThoseOfTheTextbook) {
  const Pairs pairs;
  const ClassGaussians gaussians = ClassGaussians::fit(pairs.features, pairs.labels, 2);
  for (const auto& [x, y] : std::vector<std::pair<float, float>>{
           {3, 0}, {-3, 0}, {3.5f, 0.45f}, {3.5f, -0.45f}, {0, 0}, {100, 7}}) {
    const std::vector<float> point{x, y};
    const double expected = reference_typicality(pairs, x, y);
    EXPECT_NEAR(gaussians.typicality(point), expected, 1e-4 * expected) << x << ", " << y;
  }
  // Along the correlation is typical, as far across it is not.
  const std::vector<float> along{3.5f, 0.45f}, across{3.5f, -0.45f};
  EXPECT_GT(gaussians.typicality(along), 0.5);
  EXPECT_LT(gaussians.typicality(across), 0.1);
}

TEST(ClassGaussians, SurviveTheirFile) {
  const Pairs pairs;
  const ClassGaussians gaussians = ClassGaussians::fit(pairs.features, pairs.labels, 2);
  const ClassGaussians again = ClassGaussians::from_tensors(MemoryTensors(gaussians.tensors()));
  const std::vector<float> point{1, -2};
  EXPECT_EQ(again.typicality(point), gaussians.typicality(point));
}

TEST(ClassGaussians, FewPicturesOfManyFeaturesDo) {
  const std::vector<float> noise = testing::random_floats(4 * 50, 3);
  Tensor features = Tensor::empty({4, 50});
  std::copy(noise.begin(), noise.end(), features.f32());
  const ClassGaussians gaussians =
      ClassGaussians::fit(features, std::vector<int64_t>{0, 1, 0, 1}, 2);
  const std::vector<float> own(noise.begin(), noise.begin() + 50);
  EXPECT_TRUE(std::isfinite(gaussians.typicality(own)));
  EXPECT_GT(gaussians.typicality(own), gaussians.typicality(std::vector<float>(50, 3.0f)));
}

TEST(ClassGaussians, RefuseWhatCannotBeLearnedFrom) {
  const Pairs pairs;
  EXPECT_ERROR(ClassGaussians::fit(pairs.features, pairs.labels, 3), "no picture of class 2");
  EXPECT_ERROR(ClassGaussians::fit(Tensor::zeros({4, 3}), std::vector<int64_t>{0, 1, 0, 1}, 2),
               "do not vary");
  EXPECT_ERROR(ClassGaussians(Tensor::zeros({2, 3}), Tensor::zeros({3, 2})), "must be f32");
  EXPECT_ERROR(ClassGaussians(Tensor::full({2, 3}, NAN), Tensor::zeros({3, 3})), "not finite");
  const ClassGaussians gaussians = ClassGaussians::fit(pairs.features, pairs.labels, 2);
  EXPECT_ERROR(gaussians.typicality(std::vector<float>(3)), "3 features where there are 2");
}

}  // namespace
}  // namespace vitrail
