// Hiera, ViTDet and SAM's image encoder: the sizes of the published models, configurations that
// contradict themselves, pictures of other sizes, and conversions between their libraries.
#include <gtest/gtest.h>

#include "autograd/tape.h"
#include "models/architectures.h"
#include "models/backbones/hiera_config.h"
#include "models/backbones/vitdet_config.h"
#include "models/families/canonical.h"
#include "models/families/checkpoint.h"
#include "models/families/convert.h"
#include "models/families/registry.h"
#include "models/golden_case.h"
#include "models/network.h"
#include "ops/reduce.h"
#include "support/errors.h"
#include "support/random.h"
#include "support/temporary_folder.h"

namespace vitrail {
namespace {

using testing::random_tensor;

HieraConfig small_hiera() {
  HieraConfig c;
  c.image_height = c.image_width = 32;
  c.depths = {1, 2, 1};
  c.embed_dims = {8, 16, 32};
  c.num_heads = {1, 2, 4};
  c.mask_unit_attention = {1, 1, 0};
  c.mask_unit = 4;
  c.query_pools = 2;
  c.mlp_ratio = 2;
  c.num_classes = 5;
  return c;
}

VitDetConfig small_sam() {
  VitDetConfig c;
  c.image_height = c.image_width = 32;
  c.patch_height = c.patch_width = 8;
  c.embed_dim = 16;
  c.depth = 2;
  c.num_heads = 2;
  c.mlp_hidden_dim = 24;
  c.window_size = 3;
  c.global_blocks = {1};
  c.residual_blocks = {0};
  c.neck_channels = 6;
  c.num_classes = 5;
  return c;
}

// timm's counts of parameters.
TEST(WindowNetworks, HaveTheParametersOfThePublished) {
  const auto count = [](const char* name) {
    return architecture(name).config.make()->parameters().num_elements();
  };
  EXPECT_EQ(count("hiera_tiny_224"), 27'910'216);
  EXPECT_EQ(count("hiera_base_plus_224"), 69'896'616);
  EXPECT_EQ(count("hiera_huge_224"), 672'779'752);
  EXPECT_EQ(count("hiera_small_abswin_256"), 34'361'800);
  EXPECT_EQ(count("hiera_base_abswin_256"), 51'267'304);
  EXPECT_EQ(count("samvit_base_patch16"), 89'670'912);
  EXPECT_EQ(count("samvit_huge_patch16"), 637'026'048);
  EXPECT_EQ(count("samvit_base_patch16_224"), 86'457'064);
}

template <typename Config, typename Change>
void expect_contradiction(Config config, Change change, const char* part) {
  change(config);
  EXPECT_ERROR(config.validate(), part);
}

TEST(WindowNetworks, RefuseContradictions) {
  const auto hiera = [](auto change, const char* part) {
    expect_contradiction(small_hiera(), change, part);
  };
  hiera([](auto& c) { c.num_heads = {1, 2}; }, "num_heads names 2 stages and depths 3");
  hiera([](auto& c) { c.num_heads = {3, 2, 4}; }, "num_heads 3 of stage 0 does not divide");
  hiera([](auto& c) { c.mask_unit = 6; }, "mask_unit is 6; it must be a power of query_stride, 2");
  hiera([](auto& c) { c.mask_unit = 8; }, "and at most 4");
  hiera([](auto& c) { c.mask_unit = 1; }, "a mask_unit of 1 has no whole token left in stage 1");
  hiera([](auto& c) { c.query_pools = 3; }, "query_pools is 3");
  hiera([](auto& c) { c.embed_dims = {8, 8, 16}; }, "each must have a width of its own");
  hiera(
      [](auto& c) {
        c.projected_residual = false, c.embed_dims = {8, 16, 24};
      },
      "must be twice as wide as the one before it: 32, not 24");
  hiera([](auto& c) { c.image_width = 24; },
        "makes 6 tokens, which must be a multiple of 4, as of");
  const auto sam = [](auto change, const char* part) {
    expect_contradiction(small_sam(), change, part);
  };
  sam([](auto& c) { c.num_heads = 3; }, "num_heads 3 does not divide embed_dim 16");
  sam([](auto& c) { c.image_height = 30; }, "30 is not a whole number of 8 pixel patches, as 24");
  sam([](auto& c) { c.global_blocks = {1, 0}; }, "global_blocks must name each block once");
  sam([](auto& c) { c.position_prefix = 2; }, "position_prefix is 2");
  sam([](auto& c) { c.window_size = -1; }, "window_size is -1");
  sam([](auto& c) { c.fixed_positions = true, c.relative_grid_height = 5; },
      "the model's positions are of 5x4 tokens");
}

TEST(WindowNetworks, GoThroughJsonAndText) {
  NetworkConfig hiera = small_hiera();
  hiera.set("windowed_positions", "true");
  hiera.set("mask_unit_attention", "1,0,0");
  EXPECT_EQ(network_config_from_json(to_json(hiera)), hiera);
  EXPECT_ERROR(hiera.set("mask_units", "4"), "there is no field 'mask_units'");
  NetworkConfig sam = small_sam();
  sam.set("neck", "norm");
  sam.set("global_blocks", "0,1");
  EXPECT_EQ(network_config_from_json(to_json(sam)), sam);
}

TEST(WindowNetworks, TakePicturesOfOtherSizes) {
  Queue queue(1);
  const Context context(queue);
  HieraConfig windowed = small_hiera();
  windowed.windowed_positions = true;
  windowed.position_grid_height = windowed.position_grid_width = 5;
  for (const NetworkConfig& config :
       {NetworkConfig(small_hiera()), NetworkConfig(windowed), NetworkConfig(small_sam())}) {
    NetworkConfig sized = config;
    sized.set_image_size(48, 32);
    const auto network = sized.make();
    network->parameters().initialise(1);
    const NetworkOutput output = network->forward(context, random_tensor({2, 3, 48, 32}, 1));
    EXPECT_EQ(output.logits.shape(), Shape({2, 5}));
    EXPECT_EQ(output.layout(), network->layout(48, 32));
    EXPECT_EQ(output.tokens().size(1), output.layout().patches());
    EXPECT_EQ(sized.make()->parameters().num_elements(),
              config.make()->parameters().num_elements());
    EXPECT_GT(network->cost(48, 32).multiply_adds, 0);
    EXPECT_ERROR(network->forward(context, random_tensor({2, 1, 48, 32}, 1)), "takes [B, 3, H, W]");
  }
  HieraConfig fixed = small_hiera();
  fixed.fixed_positions = true;
  EXPECT_ERROR(NetworkConfig(fixed).set_image_size(48, 32),
               "its library does not stretch them to a picture of 12x8");
  const auto network = NetworkConfig(fixed).make();
  EXPECT_ERROR(network->layout(48, 32), "its library does not stretch them");
  VitDetConfig sam = small_sam();
  sam.fixed_positions = true;
  EXPECT_ERROR(NetworkConfig(sam).set_image_size(48, 32), "does not stretch them");
}

// What attends in windows costs less than what attends among all tokens.
TEST(WindowNetworks, CountTheirWindows) {
  VitDetConfig c = small_sam();
  c.residual_blocks.clear();
  c.window_size = 2;
  c.global_blocks.clear();
  const auto scores = [](const VitDetConfig& config) {
    return NetworkConfig(config).make()->cost(32, 32).scores();
  };
  EXPECT_EQ(scores(c), 2 * 2 * 4 * 4 * 4);  // blocks, heads, windows, pairs in each
  c.window_size = 0;
  EXPECT_EQ(scores(c), 2 * 2 * 16 * 16);
  // Units of 16 tokens in the first stage; pooled to 4 queries of 16 keys and to 4 of 4; one query
  // of 4 keys in each unit at last, and one of 4 tokens among all.
  const double hiera = NetworkConfig(small_hiera()).make()->cost(32, 32).scores();
  EXPECT_EQ(hiera, 4 * 16 * 16 + 2 * (4 * 4 * 16 + 4 * 4 * 4) + 4 * (4 * 1 * 4));
}

TEST(WindowNetworks, AnswerAloneAsInABatch) {
  Queue queue(2);
  const Context context(queue);
  for (const NetworkConfig& config : {NetworkConfig(small_hiera()), NetworkConfig(small_sam())}) {
    const auto network = config.make();
    network->parameters().initialise(1);
    const Tensor images = random_tensor({3, 3, 32, 32}, 2);
    const Tensor together = network->forward(context, images).logits.value();
    const Tensor alone = network->forward(context, images.rows(1, 2)).logits.value();
    for (int64_t i = 0; i < 5; ++i) EXPECT_EQ(alone.f32()[i], together.f32()[5 + i]) << i;
  }
}

// What is computed again by the backward pass gives the gradients of what was kept.
TEST(WindowNetworks, CheckpointedGradientsAreTheSame) {
  Queue queue(1);
  for (const NetworkConfig& config : {NetworkConfig(small_hiera()), NetworkConfig(small_sam())}) {
    const auto network = config.make();
    network->parameters().initialise(1);
    const Tensor images = random_tensor({2, 3, 32, 32}, 2);
    const auto gradients = [&](bool again) {
      network->parameters().clear_gradients();
      Tape tape;
      Context context(queue);
      context.tape = &tape;
      context.activation_checkpointing = again;
      tape.backward(queue, sum_over(context, network->forward(context, images).logits, {0, 1}));
      std::vector<Tensor> all;
      for (const auto& parameter : network->parameters().all())
        all.push_back(parameter->gradient().clone());
      return all;
    };
    const std::vector<Tensor> kept = gradients(false), again = gradients(true);
    for (size_t i = 0; i < kept.size(); ++i)
      EXPECT_TRUE(std::ranges::equal(kept[i].values(), again[i].values()))
          << network->parameters().all()[i]->path();
  }
}

// ---- Conversions ----

Tensor answer_to_noise(const Checkpoint& checkpoint) {
  const auto network = checkpoint.info.config.make();
  load_weights(*network, *checkpoint.tensors);
  const PictureInput pictures = network->pictures();
  Queue queue(1);
  const NetworkOutput output = network->forward(
      Context(queue), random_tensor({1, pictures.channels, pictures.height, pictures.width}, 3));
  return output.tokens().value().clone();
}

struct WindowConversion {
  const char* golden;
  std::vector<const Family*> by;  // one after the other; the last one's answer is compared
};

TEST(WindowNetworks, AnswerAlikeInTheFormsOfOtherLibraries) {
  const std::vector<WindowConversion> conversions = {
      {"hiera/timm_base", {hf_hiera_family(), hiera_family(), timm_hiera_family()}},
      {"hiera/hf_classifier", {timm_hiera_family(), own_family(), hf_hiera_family()}},
      {"hiera/timm_abswin", {own_family(), timm_hiera_family()}},
      {"hiera/timm_one_pool", {own_family(), timm_hiera_family()}},
      {"sam/original", {hf_sam_family(), sam_family()}},
      {"sam/timm_neck", {hf_sam_family(), timm_sam_family()}},
      {"sam/timm_options", {own_family(), timm_sam_family()}},
      {"sam/timm_224", {timm_sam_family()}},
      {"sam/hf_whole", {own_family(), hf_sam_family()}},
      {"vitdet/windows", {own_family(), hf_vitdet_family()}},
  };
  for (const WindowConversion& conversion : conversions) {
    const auto golden = testing::open_golden(conversion.golden);
    CheckpointOptions options{.require_preprocess = false};
    for (const auto& [key, value] : golden.info.at("settings").items())
      options.settings.emplace_back(key, value.get<std::string>());
    Checkpoint checkpoint = open_checkpoint(golden.folder, options);
    const Tensor before = answer_to_noise(checkpoint);
    const testing::TemporaryFolder scratch;
    for (const Family* target : conversion.by) {
      SCOPED_TRACE(fmt::format("{} as {}", conversion.golden, target->name()));
      const auto folder = scratch.path() / target->name();
      write_converted(folder, checkpoint, {.target = target});
      checkpoint = open_checkpoint(folder, {.require_preprocess = false});
      EXPECT_EQ(checkpoint.info.family, target);
      EXPECT_TRUE(std::ranges::equal(answer_to_noise(checkpoint).values(), before.values()));
    }
  }
}

TEST(WindowNetworks, RefuseWhatALibraryCannotSay) {
  const auto refusal = [](const char* golden, const Family* target) {
    const Checkpoint checkpoint =
        open_checkpoint(testing::open_golden(golden).folder, {.require_preprocess = false});
    const testing::TemporaryFolder scratch;
    return testing::error_of(
        [&] { write_converted(scratch.path() / "out", checkpoint, {.target = target}); });
  };
  const auto expect = [&](const char* golden, const Family* target, const char* part) {
    EXPECT_NE(refusal(golden, target).find(part), std::string::npos) << refusal(golden, target);
  };
  expect("hiera/timm_abswin", hf_hiera_family(), "has no LayerScale");
  expect("hiera/hf_larger", timm_hiera_family(), "no activation but gelu");
  expect("sam/original", timm_sam_family(), "epsilon of LayerNorm but 1e-5");
  expect("sam/timm_224", hf_sam_family(), "has no classes");
  expect("vitdet/windows", timm_sam_family(), "has no residual blocks");
  expect("sam/original", hf_hiera_family(), "cannot express a network of the type vitdet");
}

}  // namespace
}  // namespace vitrail
