#include "infer/model.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "core/error.h"
#include "infer/session.h"
#include "infer/small_models.h"
#include "models/vit.h"
#include "support/errors.h"

namespace vitrail {
namespace {

using testing::error_of;
using testing::golden_folder;
using testing::same_bits;
using testing::TemporaryFolder;

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path) << text;
}

TEST(LoadModel, ReadsAFolderAndAFile) {
  const auto folder = load_model(golden_folder("timm/augreg"));
  EXPECT_EQ(folder->name, "augreg");
  EXPECT_EQ(folder->info.family, family_from_name("timm"));
  EXPECT_EQ(folder->preprocess.crop_to, (PictureSize{12, 12}));
  EXPECT_EQ(folder->labels.size(), 5);
  EXPECT_FALSE(folder->labels.any_known());
  EXPECT_FALSE(folder->bundled);
  EXPECT_EQ(load_model(golden_folder("timm/augreg/"))->name, "augreg");
  const auto file = load_model(golden_folder("timm/augreg/model.safetensors"));
  EXPECT_EQ(file->info.config, folder->info.config);
}

TEST(LoadModel, PackingWhileReadingChangesNoBit) {
  const std::vector<Image> pictures = testing::scenes(2);
  for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) {
    const PrecisionPlan plan = default_plan(precision);
    const SessionOptions options{.threads = 2, .precision = plan};
    const auto logits = [&](std::optional<PackOptions> pack) {
      const auto model = load_model(golden_folder("timm/augreg"), {.threads = 2, .pack = pack});
      EXPECT_EQ(model->packed.has_value(), pack.has_value());
      return Session(model, options).logits(pictures);
    };
    const Tensor expected = logits(std::nullopt);
    for (const bool single_pass : {false, true}) {
      const Tensor packed = logits(PackOptions{.precision = plan, .single_pass = single_pass});
      EXPECT_TRUE(same_bits(packed, expected)) << name_of(precision) << " " << single_pass;
    }
  }
}

TEST(LoadModel, SaysWhatIsMissing) {
  const std::string message = error_of([] { load_model("no/such/model"); });
  EXPECT_NE(message.find("[model] no/such/model"), std::string::npos) << message;
}

TEST(LoadModel, LabelsOfAFileReplaceTheCheckpoints) {
  const TemporaryFolder folder("model_labels");
  write(folder / "five.txt", "a\nb\nc\nd\ne\n");
  write(folder / "four.txt", "a\nb\nc\nd\n");
  const auto model =
      load_model(golden_folder("timm/augreg"), {.settings = {}, .labels = folder / "five.txt"});
  EXPECT_EQ(model->labels.name(4), "e");
  EXPECT_EQ(model->labels.name(5), std::nullopt);
  const std::string message = error_of([&] {
    load_model(golden_folder("timm/augreg"), {.settings = {}, .labels = folder / "four.txt"});
  });
  EXPECT_NE(message.find("4 classes, and the model has 5"), std::string::npos) << message;
}

TEST(LoadModel, FindsBundledModelsByNameAndByDefault) {
  const TemporaryFolder folder("bundled");
  std::filesystem::copy(golden_folder("timm/augreg"), folder / "photos");
  std::filesystem::copy(golden_folder("timm/siglip"), folder / "other");
  setenv("VITRAIL_MODELS", folder.path().c_str(), 1);
  const auto named = load_model("other");
  const auto bundled = load_model("");
  const std::vector<std::string> names = bundled_models();
  unsetenv("VITRAIL_MODELS");
  EXPECT_TRUE(named->bundled);
  EXPECT_EQ(named->name, "other");
  EXPECT_TRUE(bundled->bundled);
  EXPECT_EQ(bundled->name, "photos");
  for (const char* name : {"other", "photos"})
    EXPECT_NE(std::find(names.begin(), names.end(), name), names.end());
}

TEST(LoadModel, TheBundledOneForPhotographsKnowsTenThingsAndWhenItSeesNone) {
  const auto model = load_model(std::string(VITRAIL_SOURCE_DIR) + "/models/photos");
  EXPECT_EQ(as_vit(model->info.config).architecture, "resnet_vit_micro");
  EXPECT_EQ(model->labels.name(5), "dog");
  EXPECT_TRUE(as_vit(model->info.config).tokens.class_token);
  EXPECT_EQ(as_vit(model->info.config).grid_height(32), 8);
  ASSERT_TRUE(model->rejection && model->rejection->gaussians);
  EXPECT_GE(model->rejection->accepted, 0.9);
}

TEST(RandomModel, IsThePublishedArchitecture) {
  const auto model = random_model("vit_tiny_patch16_224", 3);
  const ModelCost cost = model->network->cost(224, 224);
  EXPECT_EQ(cost.parameters, 5'717'416);  // as timm counts them
  EXPECT_EQ(cost.tokens, 197);
  EXPECT_THROW(random_model("vit_huge_patch99"), Error);
}

TEST(RandomModel, MayBeOneThatNobodyPublishesWeightsOf) {
  const auto model = random_model("resnet18", 3);
  EXPECT_EQ(fixed_output_size(model->preprocess), (PictureSize{224, 224}));
  const ModelCost cost = model->network->cost(224, 224);
  EXPECT_EQ(cost.tokens, 49);
  EXPECT_EQ(cost.multiply_adds, 1'814'073'344);  // as fvcore counts torchvision's
}

TEST(ModelCost, CountsEveryMatrixProduct) {
  VitConfig base;  // ViT-B/16 at 224
  const VisionTransformer network(base);
  const ModelCost cost = network.cost(224, 224);
  EXPECT_EQ(cost.parameters, 86'567'656);
  const int64_t tokens = 197, dim = 768;
  const int64_t expected =
      196 * dim * dim + 12 * (12 * tokens * dim * dim + 2 * tokens * tokens * dim) + dim * 1000;
  EXPECT_EQ(cost.multiply_adds, expected);
  int64_t of_layers = 0;
  for (const LayerCost& layer : cost.layers) of_layers += layer.multiply_adds;
  EXPECT_EQ(of_layers, expected);
  EXPECT_EQ(cost.layers.front().path, "patch_embed");
  EXPECT_EQ(cost.layers.front().parameters, dim * dim + dim);
  EXPECT_EQ(cost.layers.back().path, "head");
  EXPECT_THROW(network.cost(225, 224), Error);
}

TEST(ReadLabels, TakesEveryForm) {
  const TemporaryFolder folder("labels");
  const auto names = [&](const std::string& file, const std::string& text, int64_t count) {
    write(folder / file, text);
    return read_labels(folder / file, count);
  };
  using Lines = std::vector<std::optional<std::string>>;
  EXPECT_EQ(names("a.txt", "cat\r\n\ndog", 3).names, (Lines{"cat", std::nullopt, "dog"}));
  EXPECT_EQ(names("a.json", R"(["cat", null])", 2).names, (Lines{"cat", std::nullopt}));
  EXPECT_EQ(names("b.json", R"({"1": "dog", "0": "cat"})", 2).names, (Lines{"cat", "dog"}));
  const ClassLabels pairs =
      names("c.json", R"({"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]})", 2);
  EXPECT_EQ(pairs.names, (Lines{"tench", "goldfish"}));
  EXPECT_EQ(pairs.wnids, (std::vector<std::string>{"n01440764", "n01443537"}));
  const ClassLabels objects =
      names("d.json", R"([{"index": 1, "wnid": "n2", "name": "b"}, {"index": 0, "name": "a"}])", 2);
  EXPECT_EQ(objects.names, (Lines{"a", "b"}));
  EXPECT_EQ(objects.wnids, (std::vector<std::string>{"", "n2"}));
  EXPECT_EQ(names("e.json", R"({"id2label": {"0": "x"}, "depth": 3})", 1).names, (Lines{"x"}));
  EXPECT_EQ(names("w.txt", "n01440764\n", 1).wnids, (std::vector<std::string>{"n01440764"}));
}

TEST(ReadLabels, RefusesWhatIsNoListOfClasses) {
  const TemporaryFolder folder("bad_labels");
  const auto refused = [&](const std::string& text, int64_t count) {
    write(folder / "labels", text);
    const std::string message = error_of([&] { read_labels(folder / "labels", count); });
    EXPECT_EQ(message.find('\n'), std::string::npos);
    return message.rfind("[labels]", 0) == 0 || message.rfind("[json]", 0) == 0 ||
           message.find("labels") != std::string::npos;
  };
  EXPECT_TRUE(refused("", 1));
  EXPECT_TRUE(refused("a\nb\n", 1));
  EXPECT_TRUE(refused("a\n", 2));
  EXPECT_TRUE(refused("[1]", 1));
  EXPECT_TRUE(refused("[\"a\"", 1));
  EXPECT_TRUE(refused(R"({"zero": "a"})", 1));
  EXPECT_TRUE(refused(R"({"-1": "a"})", 1));
  EXPECT_TRUE(refused(R"({"0": "a", "00": "b"})", 2));  // one class twice
  EXPECT_TRUE(refused(R"([{"index": 9, "name": "a"}])", 1));
  EXPECT_NE(error_of([&] { read_labels(folder / "missing", 1); }), "");
}

}  // namespace
}  // namespace vitrail
