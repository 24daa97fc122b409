#include "tasks/pointing_game.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "core/error.h"
#include "data/scenes_dataset.h"
#include "models/vit.h"

namespace vitrail {
namespace {

// A model of one layer and one head whose class token looks for the first number of a patch's
// embedding, which is the brightness of its middle.
std::shared_ptr<Model> brightness_seeker(float sign) {
  VitConfig config;
  config.image_height = config.image_width = 32;
  config.patches.patch_height = config.patches.patch_width = 8;
  config.embed_dim = 4;
  config.depth = 1;
  config.block.attention.num_heads = 1;
  config.num_classes = 0;
  config.block.norms = NormPlacement::none;
  auto model = std::make_shared<Model>();
  model->network = std::make_shared<VisionTransformer>(config);
  for (const auto& parameter : model->network->parameters().all())
    parameter->set_value(Tensor::zeros(parameter->shape()));
  ParameterRegistry& p = model->network->parameters();
  const int64_t middle = 4 * 8 + 4;
  for (int64_t c = 0; c < 3; ++c)
    p.at("patch_embed.proj.weight").value().f32()[c * 64 + middle] = 1;
  p.at("cls_token").value().f32()[1] = 1;
  // q reads the class token's mark, k the brightness.
  p.at("blocks.0.attn.qkv.weight").value().f32()[0 * 4 + 1] = 40 * sign;
  p.at("blocks.0.attn.qkv.weight").value().f32()[(4 + 0) * 4 + 0] = 1;
  model->preprocess.resize_to = model->preprocess.crop_to = {32, 32};
  return model;
}

// The game by hand: the brightest patch of each picture, or the darkest.
struct Played {
  int64_t hits = 0;
  double chance = 0;
};
Played play_by_hand(const SceneOptions& options, int64_t pictures, int64_t sign) {
  Played played;
  for (int64_t i = 0; i < pictures; ++i) {
    const Scene scene = render_scene(options, scene_index(Split::val, i));
    int64_t best = -1, most = std::numeric_limits<int64_t>::min();
    for (int64_t patch = 0; patch < 16; ++patch) {
      const int64_t at = (patch / 4 * 8 + 4) * 32 + patch % 4 * 8 + 4;
      int64_t sum = 0;
      for (int64_t c = 0; c < 3; ++c) sum += scene.image.pixels[static_cast<size_t>(at * 3 + c)];
      if (sign * sum > most) {
        most = sign * sum;
        best = at;
      }
      played.chance += (scene.objects[0].mask[static_cast<size_t>(at)] != 0) / 16.0 /
                       static_cast<double>(pictures);
    }
    played.hits += scene.objects[0].mask[static_cast<size_t>(best)] != 0;
  }
  return played;
}

TEST(PointingGame, FollowsTheMasks) {
  const SceneOptions options{.size = 32, .seed = 3};
  constexpr int64_t kPictures = 23;
  std::vector<int64_t> hits;
  for (const int sign : {1, -1}) {
    Session session(brightness_seeker(static_cast<float>(sign)), {.threads = 2, .batch = 5});
    const PointingResult result = pointing_game(session, options, Split::val, kPictures);
    EXPECT_EQ(result.pictures, kPictures);
    ASSERT_EQ(result.head_hits.size(), 1u);
    EXPECT_EQ(result.head_hits[0], result.hits);
    const Played expected = play_by_hand(options, kPictures, sign);
    EXPECT_EQ(result.hits, expected.hits);
    EXPECT_NEAR(result.chance, expected.chance, 1e-9);
    hits.push_back(result.hits);
  }
  EXPECT_GT(hits[0], hits[1]);  // objects are brighter than their backgrounds
}

TEST(PointingGame, RefusesModelsThatDoNotPoint) {
  auto model = brightness_seeker(1);
  model->preprocess.crop = CropRule::torchvision;
  model->preprocess.resize_to = {40, 40};
  Session session(model, {.threads = 1});
  EXPECT_THROW(pointing_game(session, {.size = 32}, Split::val, 2), Error);
}

}  // namespace
}  // namespace vitrail
