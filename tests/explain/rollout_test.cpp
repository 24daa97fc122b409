#include "explain/rollout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "models/vit.h"
#include "support/compare.h"
#include "support/random.h"

namespace vitrail {
namespace {

using testing::max_relative_error;
using testing::random_tensor;

constexpr int64_t kTokens = 82, kHeads = 3, kLayers = 3, kSamples = 2;

struct Rollout : ::testing::Test {
  Queue queue{2};
  AttentionProbe probe{{.all_queries = true, .keep = true}};

  void SetUp() override {
    VitConfig config;
    config.image_height = config.image_width = 36;
    config.patches.patch_height = config.patches.patch_width = 4;
    config.embed_dim = 24;
    config.depth = kLayers;
    config.block.attention.num_heads = kHeads;
    VisionTransformer model(config);
    model.parameters().initialise(5);
    for (const auto& parameter : model.parameters().all())  // sharper maps than at the start
      if (parameter->path().ends_with("qkv.weight"))
        parameter->set_value(random_tensor(parameter->shape(), 9));
    Context context(queue);
    context.probe = &probe;
    model.forward(context, random_tensor({kSamples, 3, 36, 36}, 1));
  }

  // The textbook: every N x N matrix, multiplied out.
  std::vector<double> direct(int64_t sample, const std::vector<double>& start,
                             const RolloutOptions& options) const {
    const int64_t n = kTokens;
    std::vector<double> product(n * n);
    for (int64_t i = 0; i < n; ++i) product[i * n + i] = 1;
    for (const AttentionRecord& record : probe.records()) {
      std::vector<float> fused(n * n);
      for (int64_t i = 0; i < n * n; ++i) {
        std::vector<float> heads;
        for (int64_t h = 0; h < kHeads; ++h)
          heads.push_back(record.rows.f32()[(sample * kHeads + h) * n * n + i]);
        fused[i] = options.fusion == HeadFusion::max   ? *std::ranges::max_element(heads)
                   : options.fusion == HeadFusion::min ? *std::ranges::min_element(heads)
                                                       : (heads[0] + heads[1] + heads[2]) / 3.0f;
      }
      std::vector<int64_t> order(n * n);
      std::iota(order.begin(), order.end(), 0);
      std::ranges::stable_sort(order, {}, [&](int64_t i) { return fused[i]; });
      const auto discarded = static_cast<int64_t>(n * n * options.discard_ratio);
      for (int64_t i = 0; i < discarded; ++i)
        if (order[i] != 0) fused[order[i]] = 0;
      std::vector<double> next(n * n);
      for (int64_t i = 0; i < n; ++i) {
        double total = 1;
        for (int64_t j = 0; j < n; ++j) total += fused[i * n + j];
        for (int64_t j = 0; j < n; ++j) {
          const double weight = (fused[i * n + j] + (i == j ? 1.0 : 0.0)) / total;
          for (int64_t k = 0; k < n; ++k) next[i * n + k] += weight * product[j * n + k];
        }
      }
      product = std::move(next);
    }
    std::vector<double> row(n);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j) row[j] += start[i] * product[i * n + j];
    return row;
  }
};

TEST_F(Rollout, EqualsTheDirectProduct) {
  for (const HeadFusion fusion : {HeadFusion::mean, HeadFusion::max, HeadFusion::min})
    for (const double ratio : {0.0, 0.37, 0.9})
      for (const int64_t sample : {0, 1}) {
        SCOPED_TRACE(::testing::Message() << name_of(fusion) << " " << ratio);
        const RolloutOptions options{.fusion = fusion, .discard_ratio = ratio};
        std::vector<double> start(kTokens);
        start[0] = sample == 0 ? 1 : 0.25;  // the class token alone, or with two patches
        if (sample == 1) start[3] = 0.5, start[kTokens - 1] = 0.25;
        const std::vector<float> row = attention_rollout(queue, probe, sample, start, options);
        EXPECT_LE(max_relative_error(row, direct(sample, start, options)), 1e-6);
        EXPECT_NEAR(std::accumulate(row.begin(), row.end(), 0.0), 1.0, 1e-5);
      }
}

TEST_F(Rollout, RefusesWhatItCannotDo) {
  const std::vector<double> start(kTokens, 1.0 / kTokens);
  EXPECT_THROW(attention_rollout(queue, probe, 2, start), Error);
  EXPECT_THROW(attention_rollout(queue, probe, 0, std::span(start).first(3)), Error);
  EXPECT_THROW(attention_rollout(queue, probe, 0, start, {.discard_ratio = 1.0}), Error);
  EXPECT_THROW(attention_rollout(queue, AttentionProbe({}), 0, start), Error);
  EXPECT_THROW(head_fusion_from_name("median"), Error);
}

TEST(PoolingWeights, FollowThePooling) {
  const TokenLayout layout{
      .class_tokens = 1, .register_tokens = 1, .grid_height = 1, .grid_width = 2};
  const auto weights = [&](Pooling pooling) {
    ParameterRegistry registry;
    return ClassifierHead(Scope(registry), {.embed_dim = 8, .pooling = pooling})
        .pooling_weights(layout);
  };
  EXPECT_EQ(weights(Pooling::class_token), (std::vector<double>{1, 0, 0, 0}));
  EXPECT_EQ(weights(Pooling::distilled), (std::vector<double>{1, 0, 0, 0}));
  EXPECT_EQ(weights(Pooling::class_and_mean), (std::vector<double>{0.5, 0, 0.25, 0.25}));
  for (const Pooling pooling : {Pooling::mean, Pooling::sequence, Pooling::map})
    EXPECT_EQ(weights(pooling), (std::vector<double>{0, 0, 0.5, 0.5}));
  EXPECT_EQ(weights(Pooling::mean_all), (std::vector<double>{0.25, 0.25, 0.25, 0.25}));
}

}  // namespace
}  // namespace vitrail
