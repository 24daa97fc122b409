#include "explain/explanation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <numeric>

#include "core/error.h"
#include "image/codec/codec.h"
#include "models/vit.h"
#include "support/compare.h"
#include "support/random.h"

namespace vitrail {
namespace {

using testing::max_relative_error;

Image noise_picture(int width, int height) {
  Image picture(width, height, 3);
  const std::vector<float> values =
      testing::random_floats(static_cast<int64_t>(picture.pixels.size()), 3, 0, 255);
  std::transform(values.begin(), values.end(), picture.pixels.begin(),
                 [](float value) { return static_cast<uint8_t>(value); });
  return picture;
}

std::shared_ptr<Model> tiny_model(const VitConfig& config) {
  auto model = std::make_shared<Model>();
  model->network = std::make_shared<VisionTransformer>(config);
  model->network->parameters().initialise(5);
  for (const auto& parameter : model->network->parameters().all())  // sharper than at the start
    if (parameter->path().ends_with("qkv.weight"))
      parameter->set_value(testing::random_tensor(parameter->shape(), 9));
  const int side = static_cast<int>(config.image_height);
  model->preprocess.resize = ResizeMode::shortest_edge;
  model->preprocess.resize_to = {side, side};
  model->preprocess.crop = CropRule::torchvision;
  model->preprocess.crop_to = {side, side};
  return model;
}

VitConfig tiny_config() {
  VitConfig config;
  config.image_height = config.image_width = 24;
  config.patches.patch_height = config.patches.patch_width = 4;
  config.embed_dim = 24;
  config.depth = 3;
  config.block.attention.num_heads = 3;
  config.num_classes = 4;
  config.tokens.register_tokens = 2;
  return config;
}

// P [N, N] of a head, as the textbook has it: the whole matrix, in double, softmax by rows.
std::vector<double> direct_softmax(const LayerAttention& layer, int64_t head) {
  const int64_t n = layer.q.size(1), d = layer.head_dim;
  const float* q = layer.q.f32() + head * n * d;
  const float* k = layer.k.f32() + head * n * d;
  std::vector<double> weights(static_cast<size_t>(n * n));
  for (int64_t i = 0; i < n; ++i) {
    double* row = weights.data() + i * n;
    for (int64_t j = 0; j < n; ++j)
      row[j] = std::inner_product(q + i * d, q + (i + 1) * d, k + j * d, 0.0) /
               std::sqrt(static_cast<double>(d));
    const double largest = *std::max_element(row, row + n);
    double sum = 0;
    for (int64_t j = 0; j < n; ++j) sum += row[j] = std::exp(row[j] - largest);
    for (int64_t j = 0; j < n; ++j) row[j] /= sum;
  }
  return weights;
}

// The class token's row of the product of all (P + I) / 2, fused by their mean.
std::vector<double> direct_rollout(const Explanation& explanation) {
  const auto n = static_cast<int64_t>(explanation.rollout.size());
  std::vector<double> product(static_cast<size_t>(n * n));
  for (int64_t i = 0; i < n; ++i) product[static_cast<size_t>(i * n + i)] = 1;
  for (const LayerAttention& layer : explanation.layers) {
    std::vector<double> mixed(static_cast<size_t>(n * n));
    for (int64_t h = 0; h < layer.heads; ++h) {
      const std::vector<double> weights = direct_softmax(layer, h);
      for (size_t i = 0; i < mixed.size(); ++i)
        mixed[i] += weights[i] / (2 * static_cast<double>(layer.heads));
    }
    for (int64_t i = 0; i < n; ++i) mixed[static_cast<size_t>(i * n + i)] += 0.5;
    std::vector<double> next(static_cast<size_t>(n * n));
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j) {
        const double share = mixed[static_cast<size_t>(i * n + j)];
        for (int64_t t = 0; t < n; ++t)
          next[static_cast<size_t>(i * n + t)] += share * product[static_cast<size_t>(j * n + t)];
      }
    product = std::move(next);
  }
  return {product.begin(), product.begin() + n};
}

void expect_exact_maps(Session& session, const Explanation& explanation) {
  const int64_t n = explanation.layout.tokens();
  for (const LayerAttention& layer : explanation.layers)
    for (int64_t head = 0; head < layer.heads; ++head) {
      const std::vector<double> weights = direct_softmax(layer, head);
      for (int64_t token = 0; token < n; ++token) {
        const std::vector<float> row = attention_row(session.queue(), layer, head, token);
        const std::vector<double> expected(weights.begin() + token * n,
                                           weights.begin() + (token + 1) * n);
        ASSERT_LE(max_relative_error(row, expected), 1e-5)
            << layer.path << " head " << head << " token " << token;
      }
    }
  EXPECT_LE(max_relative_error(explanation.rollout, direct_rollout(explanation)), 1e-5);
}

TEST(Explanation, HoldsTheAnswerItsGeometryAndExactMaps) {
  Session session(tiny_model(tiny_config()), {.threads = 2});
  const Image photo = noise_picture(40, 30);
  const Explanation explanation = explain_picture(session, photo);
  const Tensor logits = session.logits({&photo, 1});
  EXPECT_EQ(explanation.logits, std::vector<float>(logits.f32(), logits.f32() + logits.numel()));
  EXPECT_EQ(explanation.layout.prefix(), 3);
  EXPECT_EQ(explanation.layers.size(), 3u);
  EXPECT_EQ(explanation.layers[2].path, "blocks.2.attn");
  EXPECT_TRUE(explanation.from_class_token);
  EXPECT_EQ(explanation.photo.pixels, photo.pixels);
  EXPECT_NEAR(explanation.geometry.box.x0, 5, 1e-9);  // 32 x 24, the middle 24 of it
  EXPECT_NEAR(explanation.geometry.box.x1, 35, 1e-9);
  EXPECT_NEAR(explanation.geometry.box.y1, 30, 1e-9);
  expect_exact_maps(session, explanation);
  const PatchMap map = patch_map(explanation.layout, explanation.rollout);
  EXPECT_EQ(map.height * map.width, 36);
  EXPECT_EQ(map.values.front(), explanation.rollout[3]);
}

TEST(Explanation, TellsWhatAPooledAnswerStartsFrom) {
  VitConfig config = tiny_config();
  config.head.pooling = Pooling::map;
  config.num_classes = 0;
  Session session(tiny_model(config), {.threads = 1});
  const Explanation explanation = explain_picture(session, noise_picture(24, 24));
  EXPECT_FALSE(explanation.from_class_token);
  EXPECT_TRUE(explanation.logits.empty());
  EXPECT_EQ(explanation.layers.size(), 3u);  // the pooling's own attention is not among them
}

TEST(Explanation, SaysWhereRolloutDoesNotApply) {
  const auto explained = [](bool differential, int64_t branches) {
    VitConfig config = tiny_config();
    config.block.attention.differential = differential;
    config.block.branches = branches;
    Session session(tiny_model(config), {.threads = 1});
    return explain_picture(session, noise_picture(24, 24));
  };
  const Explanation differences = explained(true, 1);
  EXPECT_NE(differences.no_rollout.find("takes the second map of each head away"),
            std::string::npos);
  EXPECT_TRUE(differences.rollout.empty());
  EXPECT_EQ(differences.layers[0].heads, 6);  // both maps of each
  const Explanation branches = explained(false, 2);
  EXPECT_NE(branches.no_rollout.find("blocks.0.attns.0.attn stands beside another"),
            std::string::npos);
  EXPECT_EQ(branches.layers.size(), 6u);
}

TEST(Explanation, RefusesWhatIsNotThere) {
  Session session(tiny_model(tiny_config()), {.threads = 1});
  const Explanation explanation = explain_picture(session, noise_picture(24, 24));
  EXPECT_THROW(attention_row(session.queue(), explanation.layers[0], 3, 0), Error);
  EXPECT_THROW(attention_row(session.queue(), explanation.layers[0], 0, 39), Error);
  EXPECT_THROW(attention_row(session.queue(), explanation.layers[0], 0, -1), Error);
  EXPECT_THROW(patch_map(explanation.layout, std::vector<float>(38)), Error);
  EXPECT_THROW(explain_picture(session, noise_picture(24, 24), {.discard_ratio = -0.1}), Error);
}

TEST(Explanation, IsExactOnTheRealCheckpoint) {
  const char* chosen = std::getenv("VITRAIL_SHARED_DATA");
  const std::filesystem::path data =
      chosen != nullptr ? chosen : VITRAIL_SOURCE_DIR "/../shared/data";
  if (!std::filesystem::is_directory(data / "vit-tiny-imagenet"))
    GTEST_SKIP() << "the real checkpoint is not in " << data << "; VITRAIL_SHARED_DATA names it";
  Session session(load_model((data / "vit-tiny-imagenet").string()), {.threads = 2});
  std::vector<std::filesystem::path> photos;
  for (const auto& entry : std::filesystem::directory_iterator(data / "imagenet-sample"))
    photos.push_back(entry.path());
  ASSERT_FALSE(photos.empty());
  const Image photo = load_picture(*std::min_element(photos.begin(), photos.end()),
                                   session.preprocess().decode_options());
  expect_exact_maps(session, explain_picture(session, photo));
}

}  // namespace
}  // namespace vitrail
