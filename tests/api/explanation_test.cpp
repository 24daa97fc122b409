// Maps of attention as arrays: they agree with one another and with the definition.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "api/small_world.h"

namespace vit {
namespace {

using testing::SmallWorld;

// s R by the definition, in double precision: the layers' mean attention with the identity, rows
// normalised, multiplied from the class token backwards.
std::vector<double> rollout_of(const Explanation& explanation) {
  const auto tokens = static_cast<size_t>(explanation.tokens());
  std::vector<double> row(tokens);
  row.front() = 1;
  for (std::int64_t layer = explanation.layers() - 1; layer >= 0; --layer) {
    std::vector<double> mean(tokens * tokens), next(tokens);
    for (std::int64_t head = 0; head < explanation.heads(); ++head) {
      const Array matrix = explanation.attention_matrix(layer, head);
      for (size_t i = 0; i < mean.size(); ++i)
        mean[i] += matrix.values[i] / static_cast<double>(explanation.heads());
    }
    for (size_t i = 0; i < tokens; ++i)
      for (size_t j = 0; j < tokens; ++j)
        next[j] += row[i] * (mean[i * tokens + j] + (i == j ? 1 : 0)) / 2;
    row = next;
  }
  return row;
}

TEST(ApiExplanation, ArraysAgreeWithOneAnother) {
  const SmallWorld world;
  Session session{Model(world.model())};
  const Explanation explanation = session.explain(world.picture(0));
  ASSERT_EQ(explanation.layers(), 2);
  ASSERT_EQ(explanation.heads(), 3);
  ASSERT_EQ(explanation.grid_height(), 4);
  ASSERT_EQ(explanation.grid_width(), 4);
  ASSERT_EQ(explanation.first_patch_token(), 1);
  ASSERT_EQ(explanation.tokens(), 17);
  for (const std::int64_t token : {0, 9, 16}) {
    const Array maps = explanation.attention_maps(token);
    EXPECT_EQ(maps.shape, (std::vector<std::int64_t>{2, 3, 4, 4}));
    ASSERT_EQ(maps.values.size(), 2u * 3 * 16);
    for (std::int64_t layer = 0; layer < 2; ++layer)
      for (std::int64_t head = 0; head < 3; ++head) {
        const std::vector<float> map = explanation.attention(layer, head, token);
        EXPECT_TRUE(
            std::equal(map.begin(), map.end(), maps.values.begin() + (layer * 3 + head) * 16));
        const Array matrix = explanation.attention_matrix(layer, head);
        EXPECT_EQ(matrix.shape, (std::vector<std::int64_t>{17, 17}));
        EXPECT_TRUE(std::equal(map.begin(), map.end(), matrix.values.begin() + token * 17 + 1));
      }
  }
  const Array matrix = explanation.attention_matrix(1, 2);
  for (int row = 0; row < 17; ++row)
    EXPECT_NEAR(std::accumulate(matrix.values.begin() + row * 17,
                                matrix.values.begin() + (row + 1) * 17, 0.0),
                1, 1e-5);
}

TEST(ApiExplanation, TheRolloutIsThatOfTheDefinition) {
  const SmallWorld world;
  Session session{Model(world.model())};
  const Explanation explanation = session.explain(world.picture(1));
  const std::vector<double> expected = rollout_of(explanation);
  const std::vector<float> rollout = explanation.rollout();
  ASSERT_EQ(rollout.size(), 16u);
  for (size_t i = 0; i < rollout.size(); ++i) EXPECT_NEAR(rollout[i], expected[i + 1], 1e-6);
  // The options change it.
  EXPECT_NE(session.explain(world.picture(1), {.fusion = HeadFusion::max}).rollout(), rollout);
  EXPECT_NE(session.explain(world.picture(1), {.discard_ratio = 0.5}).rollout(), rollout);
}

TEST(ApiExplanation, ItOutlivesItsSessionAndModel) {
  const SmallWorld world;
  std::optional<Explanation> explanation;
  std::vector<float> map;
  {
    Session session{Model(world.model())};
    explanation = session.explain(world.picture(0));
    map = explanation->attention(1, 1, 0);
  }
  EXPECT_EQ(explanation->attention(1, 1, 0), map);
  EXPECT_EQ(explanation->answer().top.front().label.value().substr(0, 6), "class ");
  const Box box = explanation->seen();
  EXPECT_EQ(box.left, 0);
  EXPECT_EQ(box.top, 0);
  EXPECT_EQ(box.right, world.image(0).width);
  EXPECT_EQ(box.bottom, world.image(0).height);
}

TEST(ApiExplanation, PagesAreTheSameInMemoryAndInFiles) {
  const SmallWorld world;
  const Explanation explanation = Session(Model(world.model())).explain(world.picture(0));
  explanation.write_page(world / "page.html");
  explanation.write_overlay(world / "overlay.png");
  EXPECT_EQ(testing::text_of(world / "page.html"), explanation.page());
  EXPECT_EQ(testing::bytes_of(world / "overlay.png"), explanation.overlay());
  // The overlay is a picture itself.
  EXPECT_NO_THROW((void)Session(Model(world.model())).classify(explanation.overlay()));
}

TEST(ApiExplanation, AModelWithoutAttentionIsUnsupported) {
  auto config = vitrail::testing::small_config();
  config.depth = 0;
  const SmallWorld world(config);
  Session session{Model(world.model())};
  EXPECT_REFUSED(session.explain(world.picture(0)), unsupported, "no attention");
}

}  // namespace
}  // namespace vit
