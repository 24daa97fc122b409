#include "train/feature_probe.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/rng.h"

namespace vitrail {
namespace {

// `spread` wide clouds around corners of a cube, one a class; class 2 lies between 0 and 1.
LabelledFeatures clouds(int64_t count, uint64_t seed, double spread) {
  Rng rng(seed, 0);
  LabelledFeatures out{Tensor::empty({count, 5}), {}};
  for (int64_t i = 0; i < count; ++i) {
    const int64_t label = rng.below(3);
    out.labels.push_back(label);
    for (int64_t j = 0; j < 5; ++j)
      out.features.f32()[i * 5 + j] =
          static_cast<float>((j == label ? 3 : 0) + spread * rng.normal() + 10.0 * (j == 4));
  }
  return out;
}

TEST(FeatureProbe, ClassesThatLieApartAreFound) {
  Queue queue(2);
  const LabelledFeatures train = clouds(300, 1, 0.3), judged = clouds(100, 2, 0.3);
  EXPECT_EQ(linear_probe(queue, train, judged).accuracy, 1);
  EXPECT_EQ(vote_of_neighbours(queue, train, judged).accuracy, 1);
  EXPECT_EQ(linear_probe(queue, train, judged).pictures, 100);
}

TEST(FeatureProbe, NoiseSaysNothing) {
  Queue queue(2);
  LabelledFeatures train = clouds(600, 1, 1), judged = clouds(600, 2, 1);
  Rng rng(3, 0);
  for (LabelledFeatures* set : {&train, &judged})
    for (int64_t& label : set->labels) label = rng.below(3);
  EXPECT_NEAR(linear_probe(queue, train, judged).accuracy, 1.0 / 3, 0.08);
  EXPECT_NEAR(vote_of_neighbours(queue, train, judged).accuracy, 1.0 / 3, 0.08);
}

TEST(FeatureProbe, TheNearestPictureAnswersAlone) {
  Queue queue(1);
  const LabelledFeatures train{Tensor::from(std::array{1.f, 0.f, 0.f, 1.f, 5.f, 5.f}, {3, 2}),
                               {2, 0, 1}};
  const LabelledFeatures judged{Tensor::from(std::array{9.f, 1.f, 1.f, 1.2f}, {2, 2}), {2, 1}};
  EXPECT_EQ(vote_of_neighbours(queue, train, judged, {.neighbours = 1}).accuracy, 1);
}

TEST(FeatureProbe, DoesNotDependOnThreads) {
  Queue one(1), three(3);
  const LabelledFeatures train = clouds(200, 1, 2), judged = clouds(200, 2, 2);
  EXPECT_EQ(linear_probe(one, train, judged).accuracy, linear_probe(three, train, judged).accuracy);
  EXPECT_EQ(vote_of_neighbours(one, train, judged).accuracy,
            vote_of_neighbours(three, train, judged).accuracy);
}

TEST(FeatureProbe, RefusesNothing) {
  Queue queue(1);
  const LabelledFeatures some = clouds(3, 1, 1), none{Tensor::empty({0, 5}), {}};
  EXPECT_THROW(linear_probe(queue, none, some), Error);
  EXPECT_THROW(vote_of_neighbours(queue, some, none), Error);
}

}  // namespace
}  // namespace vitrail
