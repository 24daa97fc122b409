#include "infer/profile.h"

#include <gtest/gtest.h>

#include <numeric>

#include "core/error.h"
#include "infer/small_models.h"

namespace vitrail {
namespace {

using testing::model_of;
using testing::small_config;
using testing::varied_configs;

Tensor picture_of(const VitConfig& config, int64_t batch) {
  return Tensor::full({batch, config.in_channels, config.image_height, config.image_width}, 0.25f);
}

template <class Value>
Value sum_of(const std::vector<ProfileRow>& rows, Value ProfileRow::*field) {
  return std::accumulate(rows.begin(), rows.end(), Value{},
                         [&](Value sum, const ProfileRow& row) { return sum + row.*field; });
}

const ProfileRow* find(const std::vector<ProfileRow>& rows, const std::string& path,
                       const std::string& operation) {
  for (const ProfileRow& row : rows)
    if (row.path == path && row.operation == operation) return &row;
  return nullptr;
}

TEST(Profile, AddsUpToTheWholeAndToTheCountedWork) {
  for (const VitConfig& config : varied_configs()) {
    SCOPED_TRACE(to_json(config).dump());
    Session session(model_of(config), {.threads = 2});
    const Profile profile = vitrail::profile(session, picture_of(config, 1), 5);
    EXPECT_EQ(profile.passes, 3);  // the faster half
    EXPECT_GT(profile.seconds, 0);
    const ModelCost cost = session.model().network->cost(config.image_height, config.image_width);
    for (const auto* rows : {&profile.layers, &profile.kinds}) {
      EXPECT_NEAR(sum_of(*rows, &ProfileRow::seconds), profile.seconds, 1e-9);
      EXPECT_EQ(sum_of(*rows, &ProfileRow::multiply_adds), cost.multiply_adds);
      for (const ProfileRow& row : *rows) EXPECT_GE(row.seconds, 0) << row.path;
    }
    EXPECT_EQ(profile.layers.back().operation, kBetween);
  }
}

TEST(Profile, NamesEveryLayerAndGathersThoseOfAllBlocks) {
  const auto model = model_of(small_config());
  Session session(model, {.threads = 1});
  const Profile profile = vitrail::profile(session, picture_of(small_config(), 3), 1);
  const int64_t rows = 3 * 17;  // three pictures of 4 x 4 patches and a class token
  for (const int block : {0, 1}) {
    const std::string path = "blocks." + std::to_string(block);
    for (const char* norm : {".norm1", ".norm2"})
      ASSERT_NE(find(profile.layers, path + norm, "layer_norm"), nullptr);
    const ProfileRow* qkv = find(profile.layers, path + ".attn.qkv", "linear");
    ASSERT_NE(qkv, nullptr);
    EXPECT_EQ(qkv->multiply_adds, rows * 24 * 3 * 24);
    const ProfileRow* attention = find(profile.layers, path + ".attn", "attention");
    ASSERT_NE(attention, nullptr);
    EXPECT_EQ(attention->multiply_adds, 2 * rows * 17 * 24);
  }
  const ProfileRow* kind = find(profile.kinds, "blocks.*.mlp.fc1", "linear");
  ASSERT_NE(kind, nullptr);
  EXPECT_EQ(kind->calls, 2);
  EXPECT_DOUBLE_EQ(kind->seconds, find(profile.layers, "blocks.0.mlp.fc1", "linear")->seconds +
                                      find(profile.layers, "blocks.1.mlp.fc1", "linear")->seconds);
  for (const char* path : {"patch_embed.proj", "pos_embed", "norm", "pool", "head"})
    EXPECT_TRUE(std::any_of(profile.layers.begin(), profile.layers.end(),
                            [&](const ProfileRow& row) { return row.path == path; }))
        << path;
}

TEST(Profile, SaysThePrecisionOfEachLayer) {
  Session session(model_of(small_config()),
                  {.threads = 1, .precision = default_plan(Precision::int8)});
  const Profile profile = vitrail::profile(session, picture_of(small_config(), 1), 1);
  EXPECT_EQ(find(profile.layers, "blocks.1.mlp.fc2", "linear")->precision, Precision::int8);
  EXPECT_EQ(find(profile.layers, "head", "linear")->precision, Precision::bf16);
  EXPECT_THROW(vitrail::profile(session, picture_of(small_config(), 1), 0), Error);
}

TEST(Profile, ChangesNoAnswer) {
  Session session(model_of(small_config()), {.threads = 2});
  const Tensor picture = picture_of(small_config(), 2);
  const Tensor plain = session.run(picture).logits.value();
  Timings timings;
  const Tensor timed = session.run(picture, {.timings = &timings}).logits.value();
  EXPECT_TRUE(std::equal(plain.values().begin(), plain.values().end(), timed.values().begin()));
  EXPECT_FALSE(timings.entries().empty());
}

}  // namespace
}  // namespace vitrail
