// The registry, and what every family must hold: names of its own, files that one family alone
// claims, and files of its own that say when they are read what they said when they were written.
#include "models/families/registry.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "models/families/convert.h"
#include "models/families/network_family.h"
#include "models/families/recognise.h"
#include "models/family_fixtures.h"
#include "models/golden_case.h"
#include "support/temporary_folder.h"

namespace vitrail {
namespace {

using testing::answer_error;
using testing::answer_of;
using testing::own_checkpoint;
using testing::random_weights;
using testing::renamed;
using testing::tiny_config;
using testing::without_preprocess;

TEST(FamilyRegistry, NamesAreUnique) {
  std::set<std::string> names, models, classes;
  size_t listed = 0;
  for (const Family* family : families()) {
    EXPECT_TRUE(names.insert(family->name()).second) << family->name();
    EXPECT_TRUE(models.insert(family->models()).second) << family->models();
    EXPECT_EQ(family_from_name(family->name()), family);
    EXPECT_NE(known_models().find(family->models()), std::string::npos);
    EXPECT_NE(std::string(family->name()), family->group()) << "a family has its group's name";
    for (const std::string_view name : family->module_classes()) classes.emplace(name);
    listed += family->module_classes().size();
    // What a converted file says of where it came from is found again.
    const auto words = spelling_from_words(to_words({family, "module.", 1, {}}));
    ASSERT_TRUE(words) << family->name();
    EXPECT_EQ(words->family, family);
    EXPECT_EQ(words->prefix, "module.");
    EXPECT_EQ(words->generation, 1);
  }
  EXPECT_GE(names.size(), 7u);
  EXPECT_EQ(classes.size(), listed) << "a class of two families";
  EXPECT_ERROR(family_from_name("nobody"), "hf_dinov2");
}

TEST(FamilyRegistry, AGroupHasAFamilyForEveryModel) {
  const auto target = [](auto change) {
    VitConfig config = tiny_config();
    change(config);
    return conversion_target("hf", config);
  };
  EXPECT_EQ(target([](auto&) {}), hf_vit_family());
  EXPECT_EQ(target([](auto& c) { c.tokens.distillation_token = true; }), hf_deit_family());
  EXPECT_EQ(target([](auto& c) { c.block.layer_scale = true; }), hf_dinov2_family());
  EXPECT_EQ(target([](auto& c) { c.block.layer_scale = c.tokens.distillation_token = true; }),
            hf_deit_family());
  EXPECT_EQ(target([](auto& c) { c.pre_norm = true; }), hf_clip_family());
  EXPECT_EQ(target([](auto& c) { c.tokens.class_token = false; }), hf_ijepa_family());
  EXPECT_EQ(target([](auto& c) {
              c.tokens.class_token = false;
              c.head.pooling = Pooling::map;
            }),
            hf_siglip_family());
  EXPECT_EQ(target([](auto& c) {
              c.relative.per_block = RelativePosition::table;
              c.block.layer_scale = true;
            }),
            hf_beit_family());
  EXPECT_EQ(target([](auto& c) {
              c.rotary = {.kind = Rotary::axial,
                          .base = 100,
                          .coordinates = RotaryCoordinates::centred,
                          .interleaved = false};
              c.position.kind = Position::none;
              c.block.layer_scale = true;
            }),
            hf_dinov3_family());
  EXPECT_EQ(conversion_target("timm", tiny_config()), timm_family());
  EXPECT_ERROR(conversion_target("", tiny_config()), "not a family");
}

// ---- Two families that claim one file ----

NamedTensors both(NamedTensors tensors, const NamedTensors& others) {
  for (const auto& other : others)
    if (std::ranges::find(tensors, other.first, &NamedTensors::value_type::first) == tensors.end())
      tensors.push_back(other);
  return tensors;
}

void expect_refused(const NamedTensors& tensors, const std::vector<const char*>& parts) {
  const std::string message =
      testing::error_of([&] { recognise(MemoryTensors(tensors), nullptr); });
  for (const char* part : parts)
    EXPECT_NE(message.find(part), std::string::npos) << part << ": " << message;
}

TEST(TwoFamilies, AreRefusedWithBothNamesAndWhatEachGoesBy) {
  const VitConfig config = tiny_config();
  const NamedTensors timm = random_weights(config);
  const NamedTensors hf = renamed(config, spelling_for(hf_vit_family(), config));
  VitConfig matrix = config;
  matrix.patch_embedding = PatchEmbedding::linear;
  const NamedTensors vit_pytorch = renamed(matrix, spelling_for(vit_pytorch_family(), matrix));
  expect_refused(both(timm, hf),
                 {"timm and hf_vit each claim this file", "patch_embed.proj.weight",
                  "vit.embeddings.patch_embeddings.projection.weight", "one model alone"});
  expect_refused(both(timm, vit_pytorch),
                 {"timm and vit_pytorch each", "to_patch_embedding.1.weight"});
  expect_refused(both(both(timm, vit_pytorch), hf), {"timm and hf_vit and vit_pytorch each"});
  // What either of two sisters alone has, beside what both have.
  NamedTensors sisters = hf;
  sisters.emplace_back("vit.embeddings.distillation_token", Tensor::zeros({1, 1, 24}));
  sisters.emplace_back("vit.encoder.layer.0.layer_scale1.lambda1", Tensor::zeros({24}));
  expect_refused(sisters, {"hf_deit and hf_dinov2 each", "embeddings.distillation_token",
                           "layer_scale1.lambda1"});
  // As a user opens it.
  EXPECT_ERROR(testing::read(both(timm, hf), nullptr), "timm and hf_vit each claim this file");
}

TEST(TwoFamilies, AConfigurationThatSaysWhichDecides) {
  const VitConfig config = tiny_config();
  const MemoryTensors tensors(
      both(random_weights(config), renamed(config, spelling_for(hf_vit_family(), config))));
  EXPECT_EQ(recognise(tensors, testing::timm_json()).family, timm_family());
  EXPECT_EQ(recognise(tensors, {{"model_type", "vit"}}).family, hf_vit_family());
  EXPECT_EQ(recognise(tensors, {{"model_type", "vitrail"}}).family, own_family());
}

// A family that takes whatever has timm's names.
class Grasping : public Family {
 public:
  explicit Grasping(const Family* refined) : refined_(refined) {}
  const char* name() const override { return "grasping"; }
  const char* models() const override { return "everybody's"; }
  const ConfigForm& config_form() const override { return arguments_form(); }
  std::optional<Claim> recognise(const FileEvidence& file) const override {
    const auto prefix = file.prefix_before("cls_token");
    if (!prefix) return std::nullopt;
    return Claim{*prefix, "a class token"};
  }
  const Family* refines() const override { return refined_; }
  void read_spelling(const FileEvidence&, Spelling& spelling) const override {
    spelling.generation = 3;
  }
  NameTables tables(const Spelling&) const override { return {{}, 0, true}; }
  ReadModel read(const FileReading&) const override { return {.config = tiny_config()}; }
  Adapted express(const NetworkConfig& config, const TensorSource&) const override {
    return {.config = config, .tensors = {}, .folds = {}};
  }

 private:
  const Family* refined_;
};

TEST(TwoFamilies, OfAnyRegistryAreRefusedUnlessOneRefinesTheOther) {
  const NamedTensors tensors = random_weights(tiny_config());
  const Grasping rival(nullptr), refined(timm_family());
  const auto with = [&](const Family* other) {
    std::vector<const Family*> all(families().begin(), families().end());
    all.push_back(other);
    return all;
  };
  EXPECT_ERROR(recognise(MemoryTensors(tensors), nullptr, with(&rival)),
               "timm and grasping each claim this file, which has patch_embed.proj.weight, a class "
               "token");
  const Spelling spelling = recognise(MemoryTensors(tensors), nullptr, with(&refined));
  EXPECT_EQ(spelling.family, &refined);
  EXPECT_EQ(spelling.generation, 3);
  const std::vector<const Family*> none;
  EXPECT_ERROR(recognise(MemoryTensors(tensors), nullptr, none), "no known family");
}

// ---- What a family writes ----

// Models that differ in what families are particular about.
std::vector<VitConfig> small_models() {
  VitConfig distilled = tiny_config();
  distilled.tokens.distillation_token = true;
  distilled.position.prefix = 2;
  distilled.head.pooling = Pooling::distilled;
  VitConfig scaled = tiny_config();
  scaled.block.layer_scale = true;
  scaled.num_classes = 0;
  VitConfig registers = scaled;
  registers.tokens.register_tokens = 2;
  VitConfig matrix = tiny_config();
  matrix.patch_embedding = PatchEmbedding::linear;
  matrix.layer_norm_epsilon = 1e-5;
  matrix.block.attention.qkv_bias = false;
  VitConfig patches = tiny_config();
  patches.tokens.class_token = false;
  patches.position.prefix = 0;
  patches.head.pooling = Pooling::mean;
  VitConfig mapped = patches;
  mapped.head.pooling = Pooling::map;
  mapped.num_classes = 0;
  VitConfig tower = tiny_config();
  tower.pre_norm = true;
  tower.patches.bias = false;
  tower.final_norm = false;
  tower.head.norm = true;
  tower.num_classes = 0;
  VitConfig projected = tower;
  projected.num_classes = 6;
  projected.head.bias = false;
  projected.answer = Answer::raw;
  VitConfig means = tower;
  means.head.norm = false;
  means.head.pooling = Pooling::mean;
  means.num_classes = 5;
  VitConfig headless = tiny_config();
  headless.num_classes = 0;
  VitConfig twice = headless;
  twice.head.norm = true;
  VitConfig gated = patches;
  gated.num_classes = 0;
  gated.norm = kernels::NormKind::root_mean_square;
  gated.patches.output_norm = true;
  gated.block.mlp.kind = MlpKind::gated_split;
  gated.block.mlp.activation = Activation::silu;
  gated.block.attention.qkv_bias = gated.block.attention.projection_bias = gated.block.mlp.bias =
      false;
  VitConfig simple = matrix;
  simple.patches.norms = true;
  simple.tokens.class_token = false;
  simple.position.prefix = 0;
  simple.position.kind = Position::sincos_2d_closed;
  simple.head.pooling = Pooling::mean;
  simple.block.attention.projection_bias = false;
  simple.tokens.register_tokens = 2;
  return {simple,  gated,  tiny_config(), distilled, scaled, registers, matrix,
          patches, mapped, tower,         projected, means,  headless,  twice};
}

// Norms before and after pooling are one and the same, as BLIP has them.
NamedTensors with_one_norm(const VitConfig& config, NamedTensors weights) {
  if (!config.final_norm || !config.head.norm) return weights;
  for (const char* part : {"weight", "bias"}) {
    const auto norm =
        std::ranges::find(weights, std::string("norm.") + part, &NamedTensors::value_type::first);
    std::ranges::find(weights, std::string("fc_norm.") + part, &NamedTensors::value_type::first)
        ->second = norm->second;
  }
  return weights;
}

// What a family is tried with: models of Vitrail's own files, and of networks other than the plain
// Vision Transformer the goldens of any library.
std::vector<Checkpoint> starts_of(const Family* family) {
  std::vector<Checkpoint> starts;
  const auto* other = dynamic_cast<const NetworkFamily*>(family);
  if (other == nullptr) {
    for (const VitConfig& config : small_models())
      starts.push_back(own_checkpoint(config, with_one_norm(config, random_weights(config))));
    // Positions in attention, which some families always have; with a head and without one.
    for (const std::string& name : testing::golden_case_names()) {
      if (!name.starts_with("timm_positions/")) continue;
      starts.push_back(open_checkpoint(testing::open_golden(name).folder, without_preprocess()));
      VitConfig bare = as_vit(starts.back().info.config);
      bare.num_classes = 0;
      bare.head.pooling = bare.tokens.class_token ? Pooling::class_token : Pooling::mean;
      bare.head.norm = false;
      bare.final_norm = true;
      starts.push_back(own_checkpoint(bare, random_weights(bare)));
    }
    return starts;
  }
  for (const std::string& name : testing::golden_case_names()) {
    const testing::GoldenCase golden = testing::open_golden(name);
    if (!golden.info.at("settings").empty()) continue;
    Checkpoint checkpoint = open_checkpoint(golden.folder, without_preprocess());
    if (checkpoint.info.config.type() == other->network()) starts.push_back(std::move(checkpoint));
  }
  return starts;
}

class EveryFamily : public ::testing::TestWithParam<const Family*> {};

TEST_P(EveryFamily, ReadsTheConfigurationThatItWrites) {
  const Family* family = GetParam();
  int expressed = 0;
  for (const Checkpoint& start : starts_of(family)) {
    const testing::TemporaryFolder folder("family");
    std::vector<std::string> said;
    try {
      said = write_converted(folder / "first", start, {.target = family}).folds;
    } catch (const Error& error) {
      const std::string why = error.what();
      EXPECT_TRUE(why.find(std::string(family->name()) + " models") != std::string::npos ||
                  why.find(family->models()) != std::string::npos)
          << why;
      continue;
    }
    ++expressed;
    const Checkpoint first = open_checkpoint(folder / "first", without_preprocess());
    EXPECT_EQ(first.info.family, family);
    EXPECT_LE(answer_error(answer_of(first), answer_of(start)), 3e-6);
    // Nothing more is said differently, and it is said with the same words and names.
    const ConversionReport again = write_converted(folder / "second", first, {.target = family});
    for (const std::string& fold : again.folds)
      EXPECT_NE(std::ranges::find(said, fold), said.end()) << fold;
    EXPECT_EQ(read_json(folder / "second" / "config.json"),
              read_json(folder / "first" / "config.json"));
    const Checkpoint second = open_checkpoint(folder / "second", without_preprocess());
    EXPECT_EQ(second.info.config, first.info.config);
    EXPECT_EQ(second.file->names(), first.file->names());
  }
  // timm's MobileViTs are definitions alone, each too large for a golden.
  if (std::string(family->name()) == "timm_mobilevit") return;
  EXPECT_GT(expressed, 0) << "no model that " << family->name() << " can express is among these";
}

INSTANTIATE_TEST_SUITE_P(All, EveryFamily,
                         ::testing::ValuesIn(families().begin(), families().end()),
                         [](const auto& family) { return std::string(family.param->name()); });

}  // namespace
}  // namespace vitrail
