#include "kernels/dropout.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/isa.h"
#include "support/random.h"

namespace vitrail::kernels {
namespace {

using testing::expect_same_on_any_threads;
using testing::for_each_isa;
using testing::random_floats;

TEST(Dropout, DrawsTheScalarGeneratorsMaskOnEveryTarget) {
  const MaskKey mask(RandomKey(0x123456789abcdefu, 42), "blocks.3.mlp");
  for_each_isa([&](Queue& queue) {
    for (const float probability : {0.0f, 0.1f, 0.5f, 0.999f})
      for (const int64_t count : {1, 2, 7, 8, 15, 17, 63, 65, 193, 20001})
        // The second start carries into the counter's upper half.
        for (const uint64_t first : {uint64_t{0}, (uint64_t{1} << 34) - 64}) {
          const auto x = random_floats(count, 1, 1, 2);
          std::vector<float> y(x.size() + 1, 77.0f);
          dropout(queue, {.count = count,
                          .probability = probability,
                          .mask = mask,
                          .first_index = first,
                          .x = x.data(),
                          .y = y.data()});
          const float factor = 1 / (1 - probability);
          for (int64_t i = 0; i < count; ++i) {
            const bool keep = kept(mask, probability, first + static_cast<uint64_t>(i));
            ASSERT_EQ(y[i], keep ? x[i] * factor : 0.0f) << "element " << i << " of " << count;
          }
          EXPECT_EQ(y.back(), 77.0f);
        }
  });
}

TEST(Dropout, DropsTheFractionAskedForAndKeysApart) {
  const int64_t count = 100000;
  const MaskKey first(RandomKey(1, 0), "a"), step(RandomKey(1, 1), "a"),
      place(RandomKey(1, 0), "b");
  int64_t dropped = 0, like_step = 0, like_place = 0;
  for (uint64_t i = 0; i < static_cast<uint64_t>(count); ++i) {
    const bool keep = kept(first, 0.3f, i);
    dropped += !keep;
    like_step += keep == kept(step, 0.3f, i);
    like_place += keep == kept(place, 0.3f, i);
  }
  // Five standard deviations; independent masks agree with probability 0.3^2 + 0.7^2.
  EXPECT_NEAR(double(dropped) / count, 0.3, 5 * std::sqrt(0.3 * 0.7 / count));
  EXPECT_NEAR(double(like_step) / count, 0.58, 5 * std::sqrt(0.58 * 0.42 / count));
  EXPECT_NEAR(double(like_place) / count, 0.58, 5 * std::sqrt(0.58 * 0.42 / count));
}

TEST(DropPath, KeepsOrDropsWholeSamples) {
  const MaskKey mask(RandomKey(7, 3), "blocks.1");
  for_each_isa([&](Queue& queue) {
    const int64_t samples = 20, elements = 19;
    const auto x = random_floats(samples * elements, 2, 1, 2);
    std::vector<float> y(x.size());
    drop_path(queue, {.samples = samples,
                      .elements = elements,
                      .probability = 0.4f,
                      .mask = mask,
                      .first_sample = 8,
                      .x = x.data(),
                      .y = y.data()});
    for (int64_t s = 0; s < samples; ++s) {
      const float factor = kept(mask, 0.4f, 8 + static_cast<uint64_t>(s)) ? 1 / (1 - 0.4f) : 0.0f;
      for (int64_t i = s * elements; i < (s + 1) * elements; ++i) ASSERT_EQ(y[i], x[i] * factor);
    }
  });
}

TEST(Dropout, DoesNotDependOnThreads) {
  const auto x = random_floats(100001, 3);
  const MaskKey mask(RandomKey(9, 9), "x");
  expect_same_on_any_threads([&](Queue& queue) {
    std::vector<float> y(x.size());
    dropout(queue,
            {.count = 100001, .probability = 0.2f, .mask = mask, .x = x.data(), .y = y.data()});
    return y;
  });
}

}  // namespace
}  // namespace vitrail::kernels
