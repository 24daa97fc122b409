#include "train/judge/neighbours.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "core/error.h"
#include "core/rng.h"
#include "train/judge/linear_probe.h"

namespace vitrail {
namespace {

Features features(std::span<const float> values, std::span<const int64_t> labels) {
  const auto count = static_cast<int64_t>(labels.size());
  Features out{Tensor::from(values, {count, static_cast<int64_t>(values.size()) / count}),
               Tensor::empty({count}, DType::i64)};
  std::ranges::copy(labels, out.labels.data<int64_t>());
  return out;
}

// `spread` wide clouds around corners of a cube, one a class; class 2 lies between 0 and 1.
Features clouds(int64_t count, uint64_t seed, double spread) {
  Rng rng(seed, 0);
  std::vector<float> values;
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < count; ++i) {
    labels.push_back(rng.below(3));
    for (int64_t j = 0; j < 5; ++j)
      values.push_back(static_cast<float>((j == labels.back() ? 3 : 0) + spread * rng.normal() +
                                          10.0 * (j == 4)));
  }
  return features(values, labels);
}

Features nothing() {
  return {Tensor::empty({0, 5}), Tensor::empty({0}, DType::i64)};
}

TEST(FeatureQuality, ClassesThatLieApartAreFound) {
  Queue queue(2);
  const Features train = clouds(300, 1, 0.3), judged = clouds(100, 2, 0.3);
  EXPECT_EQ(judge_by_probe(queue, train, judged).accuracy, 1);
  EXPECT_EQ(vote_of_neighbours(queue, train, judged).accuracy, 1);
  EXPECT_EQ(judge_by_probe(queue, train, judged).pictures, 100);
}

TEST(FeatureQuality, NoiseSaysNothing) {
  Queue queue(2);
  const Features train = clouds(600, 1, 1), judged = clouds(600, 2, 1);
  Rng rng(3, 0);
  for (const Features* set : {&train, &judged})
    for (int64_t i = 0; i < 600; ++i) set->labels.data<int64_t>()[i] = rng.below(3);
  EXPECT_NEAR(judge_by_probe(queue, train, judged).accuracy, 1.0 / 3, 0.08);
  EXPECT_NEAR(vote_of_neighbours(queue, train, judged).accuracy, 1.0 / 3, 0.08);
}

TEST(FeatureQuality, DoesNotDependOnThreads) {
  Queue one(1), three(3);
  const Features train = clouds(200, 1, 2), judged = clouds(200, 2, 2);
  const Evaluation probe = judge_by_probe(one, train, judged);
  EXPECT_EQ(probe.accuracy, judge_by_probe(three, train, judged).accuracy);
  EXPECT_EQ(probe.loss, judge_by_probe(three, train, judged).loss);
  EXPECT_EQ(vote_of_neighbours(one, train, judged).accuracy,
            vote_of_neighbours(three, train, judged).accuracy);
}

TEST(FeatureQuality, RefusesNothing) {
  Queue queue(1);
  const Features some = clouds(3, 1, 1);
  EXPECT_THROW(judge_by_probe(queue, nothing(), some), Error);
  EXPECT_THROW(judge_by_probe(queue, some, nothing()), Error);
  EXPECT_THROW(vote_of_neighbours(queue, some, nothing()), Error);
}

// The judged pictures choose nothing: what they are labelled changes their score, not the answer.
TEST(LinearProbe, TheJudgedDoNotChooseThePenalty) {
  Queue queue(1);
  const Features train = clouds(60, 1, 2.5), judged = clouds(400, 2, 2.5);
  const double right = judge_by_probe(queue, train, judged).accuracy;
  Features other = clouds(400, 2, 2.5);
  for (int64_t i = 0; i < 400; ++i)
    other.labels.data<int64_t>()[i] = (judged.labels.data<int64_t>()[i] + 1) % 3;
  Features third = clouds(400, 2, 2.5);
  for (int64_t i = 0; i < 400; ++i)
    third.labels.data<int64_t>()[i] = (judged.labels.data<int64_t>()[i] + 2) % 3;
  // One answer for each picture, so the three scores are its parts.
  EXPECT_NEAR(right + judge_by_probe(queue, train, other).accuracy +
                  judge_by_probe(queue, train, third).accuracy,
              1, 1e-12);
}

TEST(Neighbours, TheNearestPictureAnswersAlone) {
  Queue queue(1);
  const Features train =
      features(std::array{1.f, 0.f, 0.f, 1.f, 5.f, 5.f}, std::array<int64_t, 3>{2, 0, 1});
  const Features judged = features(std::array{9.f, 1.f, 1.f, 1.2f}, std::array<int64_t, 2>{2, 1});
  EXPECT_EQ(vote_of_neighbours(queue, train, judged, {.neighbours = 1}).accuracy, 1);
}

}  // namespace
}  // namespace vitrail
