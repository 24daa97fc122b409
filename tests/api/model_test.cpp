// Models from folders and from memory, what is known of them, and what options change.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "api/small_world.h"

namespace vit {
namespace {

using testing::bytes_of;
using testing::SmallWorld;
using testing::text_of;

TEST(ApiModel, SaysWhatItIs) {
  const SmallWorld world;
  const Model model(world.model());
  EXPECT_EQ(model.name(), "model");
  EXPECT_EQ(model.family(), "vitrail");
  EXPECT_EQ(model.num_classes(), 7);
  EXPECT_EQ(model.label(3), "class 3");
  EXPECT_EQ(model.label(-1), std::nullopt);
  EXPECT_EQ(model.label(7), std::nullopt);
  EXPECT_EQ(model.answer(), Answer::softmax);
  EXPECT_FALSE(model.multi_label());
  EXPECT_EQ(model.rejection_threshold(), std::nullopt);
  EXPECT_EQ(model.depth(), 2);
  EXPECT_EQ(model.num_heads(), 3);
  EXPECT_EQ(model.embed_dim(), 24);
  EXPECT_EQ(model.input_size().height, 32);
  EXPECT_EQ(model.input_size().width, 32);
  EXPECT_EQ(model.patch_size().height, 8);
  EXPECT_EQ(model.patch_size().width, 8);
  EXPECT_NE(model.config_json().find("\"embed_dim\""), std::string::npos);
  const Preprocessing preprocessing = model.preprocessing();
  EXPECT_EQ(preprocessing.channels, 3);
  EXPECT_EQ(preprocessing.size.height, 32);
  EXPECT_EQ(preprocessing.mean, (std::vector<double>{0.5, 0.5, 0.5}));
  EXPECT_EQ(preprocessing.std, (std::vector<double>{0.5, 0.5, 0.5}));
  EXPECT_NE(preprocessing.json.find("\"squash\""), std::string::npos);
  EXPECT_FALSE(model.origins().empty());
}

// The costs add up to those of the whole, and to what the shapes say.
TEST(ApiModel, ListsItsLayersWithTheirCosts) {
  const SmallWorld world;
  const Model model(world.model());
  std::int64_t parameters = 0;
  bool block_seen = false;
  for (const Layer& layer : model.layers()) {
    parameters += layer.parameters;
    if (layer.path == "patch_embed") {
      EXPECT_EQ(layer.multiply_adds, 16 * 24 * 3 * 8 * 8);
    }
    block_seen = block_seen || layer.path.starts_with("blocks.1");
  }
  EXPECT_TRUE(block_seen);
  EXPECT_LE(parameters, model.num_parameters());
  const std::int64_t d = 24, block = 12 * d * d + 13 * d;
  EXPECT_EQ(model.num_parameters(), 192 * d + d + d + 17 * d + 2 * block + 2 * d + 7 * d + 7);
}

TEST(ApiModel, FromMemoryItIsTheSame) {
  const SmallWorld world;
  std::vector<std::byte> weights = bytes_of(world.model_folder() / "model.safetensors");
  std::string config = text_of(world.model_folder() / "config.json");
  std::vector<std::byte> picture = bytes_of(world.picture(0));
  const Model model(ModelBytes{.weights = weights, .config = config, .name = "embedded"});
  // Nothing is referred to afterwards.
  std::fill(weights.begin(), weights.end(), std::byte{0xff});
  std::fill(config.begin(), config.end(), 'x');
  EXPECT_EQ(model.name(), "embedded");
  EXPECT_EQ(model.label(3), "class 3");
  Session session(model), expected{Model(world.model())};
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(session.features(world.picture(i)).values,
              expected.features(world.picture(i)).values);
  EXPECT_EQ(session.classify(picture).top.front().logit,
            expected.classify(picture).top.front().logit);
}

TEST(ApiModel, TheBundledModelsAreTheSameFromMemory) {
  for (const char* name : {"scenes", "photos"}) {
    const std::filesystem::path folder =
        std::filesystem::path(VITRAIL_SOURCE_DIR) / "models" / name;
    const SmallWorld world;
    const std::vector<std::byte> weights = bytes_of(folder / "model.safetensors");
    const std::string config = text_of(folder / "config.json");
    std::vector<std::byte> rejection;
    if (std::filesystem::exists(folder / "rejection.safetensors"))
      rejection = bytes_of(folder / "rejection.safetensors");
    const Model model(
        ModelBytes{.weights = weights, .config = config, .rejection = rejection, .name = name});
    const Model bundled(name);
    EXPECT_EQ(model.rejection_threshold(), bundled.rejection_threshold());
    const Classification a = Session(model).classify(world.picture(0));
    const Classification b = Session(bundled).classify(world.picture(0));
    EXPECT_EQ(a.top.front().logit, b.top.front().logit);
    EXPECT_EQ(a.certainty, b.certainty);
    EXPECT_EQ(a.none, b.none);
  }
}

TEST(ApiModel, BytesThatAreNoModelAreRefused) {
  const SmallWorld world;
  const std::vector<std::byte> weights = bytes_of(world.model_folder() / "model.safetensors");
  const std::string config = text_of(world.model_folder() / "config.json");
  EXPECT_REFUSED(Model(ModelBytes{}), bad_input, "memory: is empty");
  EXPECT_REFUSED(Model(ModelBytes{.weights = weights, .config = "{"}), bad_input, "config.json");
  EXPECT_REFUSED(Model(ModelBytes{.weights = weights, .config = "[1, 2]"}), bad_input, "");
  for (size_t size = 0; size < weights.size(); size += 997)
    EXPECT_REFUSED(Model(ModelBytes{.weights = std::span(weights).first(size), .config = config}),
                   bad_input, "memory");
  EXPECT_REFUSED(Model(ModelBytes{.weights = weights, .config = config},
                       {.settings = {{"adapter", "/somewhere"}}}),
                 bad_input, "lies in memory");
  EXPECT_REFUSED(Model(ModelBytes{.weights = weights, .config = config},
                       {.settings = {{"state_dict", "ema"}}}),
                 bad_input, "torch.save");
  const std::string hdf5("\x89HDF\r\n\x1a\n", 8);
  EXPECT_REFUSED(Model(ModelBytes{.weights = std::as_bytes(std::span(hdf5)), .config = config}),
                 unsupported, "HDF5");
}

// What a file leaves open is asked for by the API's names, each field as it would be written.
TEST(ApiModel, OpenFieldsAreAskedForByTheNamesOfTheApi) {
  const std::filesystem::path timm =
      std::filesystem::path(VITRAIL_SOURCE_DIR) / "tests/golden/models/timm/augreg";
  const std::vector<std::byte> weights = bytes_of(timm / "model.safetensors");
  const testing::Refusal refusal =
      testing::refusal_of([&] { Model model(ModelBytes{.weights = weights}); });
  EXPECT_NE(refusal.message.find("say ModelOptions::settings {{\""), std::string::npos)
      << refusal.message;
  EXPECT_NE(refusal.message.find("{\"num_heads\", \"...\"}"), std::string::npos) << refusal.message;
}

TEST(ApiModel, OptionsSetSizeAndNames) {
  const SmallWorld world;
  const Model larger(world.model(), {.size = PictureSize{48, 64}});
  EXPECT_EQ(larger.input_size().height, 48);
  EXPECT_EQ(larger.preprocessing().size.width, 64);
  Session session(larger);
  const Features patches =
      session.features(world.picture(0), {.kind = FeatureOptions::Kind::patches});
  EXPECT_EQ(patches.shape, (std::vector<std::int64_t>{6, 8, 24}));

  const std::vector<std::string> names{"a", "b", "c", "d", "e", "f", "g"};
  EXPECT_EQ(Model(world.model(), {.label_names = names}).label(6), "g");
  std::ofstream(world / "names.txt") << "a\nb\nc\nd\ne\nf\nh\n";
  EXPECT_EQ(Model(world.model(), {.labels = world / "names.txt"}).label(6), "h");
  EXPECT_REFUSED(Model(world.model(), {.labels = world / "names.txt", .label_names = names}),
                 bad_input, "both");
}

TEST(ApiModel, ProgressEndsWithAllWeights) {
  const SmallWorld world;
  std::int64_t last = 0, of = -1;
  const Model model(world.model(), {.progress = [&](std::int64_t done, std::int64_t total) {
                      EXPECT_EQ(done, last + 1);
                      last = done;
                      of = total;
                    }});
  EXPECT_EQ(last, of);
  EXPECT_GT(of, 20);
}

TEST(ApiModel, PrecisionIsTheSessions) {
  const SmallWorld world;
  const auto logits = [&](Precision precision) {
    Session session(Model(world.model()), {.precision = precision});
    std::vector<float> values(7);
    for (const Prediction& p : session.classify(world.picture(0), {.top = 7}).top)
      values[static_cast<size_t>(p.index)] = p.logit;
    return values;
  };
  const std::vector<float> exact = logits(Precision::f32);
  EXPECT_EQ(logits(Precision::model), exact);
  for (const Precision precision : {Precision::bf16, Precision::int8}) {
    const std::vector<float> rounded = logits(precision);
    EXPECT_NE(rounded, exact);
    for (size_t i = 0; i < exact.size(); ++i) EXPECT_NEAR(rounded[i], exact[i], 0.05);
  }
  // What is fastest here is one of them, and is said.
  std::string said;
  set_log_callback([&](LogLevel, const std::string& message) { said += message + "\n"; });
  const std::vector<float> fastest = logits(Precision::automatic);
  set_log_callback({});
  EXPECT_TRUE(fastest == exact || fastest == logits(Precision::bf16));
  EXPECT_NE(said.find("precision auto is "), std::string::npos) << said;
  const size_t line = said.find("precision auto is ");
  testing::expect_well_said(said.substr(line, said.find('\n', line) - line));
  // The weights of one Model are packed once.
  const Model model(world.model());
  const Session first(model, {.precision = Precision::bf16});
  EXPECT_NO_THROW(Session(model, {.precision = Precision::bf16}));
  EXPECT_REFUSED(Session(model, {.precision = Precision::f32}), bad_input, "load the model again");
}

TEST(ApiModel, TopNamesSoManyClasses) {
  const SmallWorld world;
  Session session{Model(world.model())};
  EXPECT_EQ(session.classify(world.picture(0)).top.size(), 5u);
  EXPECT_EQ(session.classify(world.picture(0), {.top = 1}).top.size(), 1u);
  EXPECT_EQ(session.classify(world.picture(0), {.top = 1000}).top.size(), 7u);
  double sum = 0;
  for (const Prediction& p : session.classify(world.picture(0), {.top = 7}).top)
    sum += p.probability;
  EXPECT_NEAR(sum, 1, 1e-6);
}

}  // namespace
}  // namespace vit
