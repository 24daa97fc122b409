// Files that are not what they seem, and fields that nobody reads: refused by name. What the
// libraries have is in tests/golden/models/closed_lists.json, as they list it themselves.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <vector>

#include "models/families/convert.h"
#include "models/families/published.h"
#include "models/families/timm/timm_form.h"
#include "models/family_fixtures.h"
#include "models/vit.h"

namespace vitrail {
namespace {

using testing::answer_error;
using testing::answer_of;
using testing::random_weights;
using testing::read;
using testing::renamed;
using testing::timm_json;
using testing::tiny_config;

const Json& lists() {
  static const Json json = read_json(std::filesystem::path(VITRAIL_SOURCE_DIR) /
                                     "tests/golden/models/closed_lists.json");
  return json;
}

Json with(Json config, const std::string& pointer, Json value) {
  config[Json::json_pointer(pointer)] = std::move(value);
  return config;
}

TEST(ClosedTimm, EveryNameOfTimmIsKnownOrRefusedByName) {
  const NamedTensors tensors = random_weights(tiny_config());
  int plain = 0, others = 0, refused = 0;
  for (const auto& [name, is_plain] : lists().at("timm_names").items()) {
    SCOPED_TRACE(name);
    if (is_plain.get<bool>()) {
      ++plain;
      EXPECT_NE(find_published(name), nullptr);
      EXPECT_EQ(missing_of_timm(name), nullptr);
      continue;
    }
    if (const Family* family = family_of_model(name)) {
      ++others;
      EXPECT_EQ(missing_of_timm(name), nullptr);
      EXPECT_EQ(family->published_model(name).config.architecture(), name);
      continue;
    }
    if (find_published(name) != nullptr) {  // of another constructor, or with options
      ++others;
      EXPECT_EQ(missing_of_timm(name), nullptr);
      continue;
    }
    ++refused;
    EXPECT_NE(missing_of_timm(name), nullptr);
    // Neither by itself nor under another name, with tags or without.
    EXPECT_ERROR(read(tensors, timm_json(name)), "'" + name + "'");
    EXPECT_ERROR(
        read(tensors, timm_json(name + ".some_tag"), {{"architecture", "vit_tiny_patch16_224"}}),
        "'" + name + "'");
    EXPECT_ERROR(read(tensors, nullptr, {{"architecture", name}}), "'" + name + "'");
  }
  EXPECT_GT(plain, 150);
  EXPECT_GT(others, 80);
  EXPECT_GT(refused, 100);
}

TEST(ClosedTimm, AnUnknownNameIsRefusedUntilADefinitionIsNamed) {
  const NamedTensors tensors = random_weights(tiny_config());
  EXPECT_ERROR(read(tensors, timm_json("my_model")), "'my_model'");
  const Settings said = {{"architecture", "vit_base_patch16_224"}};
  EXPECT_EQ(
      as_vit(read(tensors, timm_json("my_model"), said).info.config).block.attention.num_heads, 2);
  // A definition whose tensors these are not.
  EXPECT_ERROR(read(tensors, timm_json("my_model"), {{"architecture", "vit_small_patch14_dinov2"}}),
               "layer_scale true, and the tensors have false");
  EXPECT_ERROR(read(tensors, with(timm_json(), "/architecture", nullptr)), "names no architecture");
}

TEST(ClosedTimm, EveryFieldOfTheLibraryIsListed) {
  const NamedTensors tensors = random_weights(tiny_config());
  for (const auto& [name, value] : lists().at("timm_pretrained").items()) {
    SCOPED_TRACE(name);
    if (timm_json().at("pretrained_cfg").contains(name) || name == "architecture") continue;
    // Its own default, apart from what has another meaning in a model of five classes.
    const Json config = with(timm_json(), "/pretrained_cfg/" + name, value);
    EXPECT_NO_THROW(read(tensors, config));
  }
  for (const auto& [name, value] : lists().at("timm_arguments").items()) {
    SCOPED_TRACE(name);
    if (timm_json().at("model_args").contains(name) || name == "num_classes") continue;
    EXPECT_NO_THROW(read(tensors, with(timm_json(), "/model_args/" + name, value)));
  }
  for (const char* pointer : {"/rotary", "/model_args/rotary", "/pretrained_cfg/rotary"})
    EXPECT_ERROR(read(tensors, with(timm_json(), pointer, true)), "'rotary'");
}

TEST(ClosedTimm, ValuesThatAreNotImplementedAreRefusedByName) {
  const NamedTensors tensors = random_weights(tiny_config());
  struct Bad {
    const char* pointer;
    Json value;
    const char* part;
  };
  for (const Bad& bad : std::initializer_list<Bad>{
           {"/model_args/norm_layer", "rmsnorm", "norms that are rms_norm"},
           {"/model_args/norm_layer", "simplenorm", "norm_layer 'simplenorm'"},
           {"/model_args/norm_layer", 5, "norm_layer"},
           {"/model_args/act_layer", "tanh", "act_layer 'tanh'"},
           {"/model_args/global_pool", "avgmax", "global_pool 'avgmax'"},
           {"/model_args/global_pool", "prr", "global_pool 'prr'"},
           {"/model_args/dynamic_img_pad", true, "dynamic_img_pad is true"},
           {"/model_args/use_naflex", true, "use_naflex is true"},
           {"/model_args/attn_layer", "diff", "differential_attention true"},
           {"/model_args/attn_layer", "rope", "attn_layer 'rope'"},
           {"/model_args/block_fn", "ParallelScalingBlock", "block_fn"},
           {"/model_args/embed_norm_layer", "layernorm", "patch_output_norm true"},
           {"/model_args/embed_norm_layer", "rmsnorm", "embed_norm_layer"},
           {"/model_args/drop_rate", "0.1", "drop_rate"},
           {"/model_args/dynamic_img_size", 1, "dynamic_img_size is 1"},
           {"/pretrained_cfg/label_offset", 1, "label_offset is 1"}})
    EXPECT_ERROR(read(tensors, with(timm_json(), bad.pointer, bad.value)), bad.part);
}

TEST(ClosedTimm, ArgumentsMustBeTrueOfTheTensors) {
  const NamedTensors tensors = random_weights(tiny_config());
  struct Bad {
    const char* name;
    Json value;
    const char* part;
  };
  for (const Bad& bad : std::initializer_list<Bad>{
           {"embed_dim", 48, "embed_dim 48, and the tensors have 24"},
           {"depth", 3, "depth 3, and the tensors have 2"},
           {"mlp_ratio", 4, "MLP of width 96, and the tensors have 48"},
           {"patch_size", 8, "patches of height 8, and the tensors have 4"},
           {"qkv_bias", false, "qkv_bias false, and the tensors have true"},
           {"qk_norm", true, "qk_norm true, and the tensors have false"},
           {"proj_bias", false, "projection_bias false"},
           {"init_values", 1e-5, "layer_scale true"},
           {"class_token", false, "class_token false"},
           {"reg_tokens", 4, "register_tokens 4"},
           {"pre_norm", true, "patch_bias false"},
           {"pos_embed", "none", "positions false, and the tensors have true"},
           {"num_classes", 7, "num_classes 7, and the tensors have 5"},
           {"in_chans", 1, "in_chans 1, and the tensors have 3"}})
    EXPECT_ERROR(
        read(tensors, with(timm_json(), std::string("/model_args/") + bad.name, bad.value)),
        bad.part);
}

// Without model_args the definition alone speaks; it does not of tensors of another width.
TEST(ClosedTimm, ADefinitionOfOtherTensorsSettlesNothing) {
  const NamedTensors tensors = random_weights(tiny_config());
  Json config = timm_json("vit_tiny_patch16_224");
  config.erase("model_args");
  const std::string message = testing::error_of([&] { read(tensors, config); });
  EXPECT_NE(message.find("num_heads"), std::string::npos) << message;
  EXPECT_NE(message.find("'vit_tiny_patch16_224', which has embed_dim 192"), std::string::npos)
      << message;
  const Checkpoint said =
      read(tensors, config, {{"num_heads", "4"}, {"eps", "1e-5"}, {"activation", "relu"}});
  EXPECT_EQ(as_vit(said.info.config).block.attention.num_heads, 4);
  EXPECT_EQ(as_vit(said.info.config).head.pooling, Pooling::class_token);
  // Nor do its published weights say how another's pictures are prepared.
  config = timm_json();
  config["pretrained_cfg"].erase("mean");
  EXPECT_ERROR(read(tensors, config), "mean");
}

TEST(ClosedTimm, PreprocessingOfANameThatHasSeveralIsAskedFor) {
  VitConfig config = published_config(*find_published("vit_small_patch16_224"));
  config.num_classes = 0;
  NamedTensors tensors;
  const VisionTransformer model(config);
  for (const auto& parameter : model.parameters().all())
    tensors.emplace_back(parameter->path(), Tensor::zeros(parameter->shape()).to(DType::f16));
  // The default weights halve, DINO's have ImageNet's mean.
  const std::string message = testing::error_of([&] {
    read(tensors, nullptr, {{"architecture", "vit_small_patch16_224"}});
  });
  EXPECT_NE(message.find("mean"), std::string::npos) << message;
  EXPECT_EQ(message.find("num_heads"), std::string::npos) << message;
}

TEST(ClosedTimm, WhatTensorsCannotShowIsAskedFor) {
  const Settings rest = {
      {"heads", "2"},  {"eps", "1e-6"}, {"activation", "gelu"}, {"pooling", "mean"},
      {"mean", "0.5"}, {"std", "0.5"},  {"crop_pct", "1"},      {"interpolation", "bicubic"}};
  const auto plus = [&](const char* name, const char* value) {
    Settings settings = rest;
    settings.emplace_back(name, value);
    return settings;
  };
  VitConfig c = tiny_config();
  c.head.pooling = Pooling::mean;
  // As timm's rpn: its norms follow attention and MLP.
  c.tokens.class_token = c.block.attention.qkv_bias = c.final_norm = false;
  c.head.norm = true;
  c.position.prefix = 0;
  EXPECT_ERROR(read(random_weights(c), nullptr, rest), "norm_placement");
  EXPECT_EQ(as_vit(read(random_weights(c), nullptr, plus("norm_placement", "res_post")).info.config)
                .block.norms,
            NormPlacement::res_post);
  // As its rotary models: no table of positions.
  c = tiny_config();
  c.head.pooling = Pooling::mean;
  c.position.kind = Position::none;
  Settings sized = rest;
  sized.emplace_back("image_size", "16");
  EXPECT_ERROR(read(random_weights(c), nullptr, sized), "rotary ViTs");
  sized.emplace_back("position", "none");
  EXPECT_EQ(as_vit(read(random_weights(c), nullptr, sized).info.config).position.kind,
            Position::none);
  // As its perception encoders: a table, and rotary positions beside it.
  c = tiny_config();
  c.pre_norm = true;
  c.patches.bias = false;
  c.head.pooling = Pooling::map;
  Settings mapped = rest;
  std::erase_if(mapped, [](const auto& setting) { return setting.first == "pooling"; });
  EXPECT_ERROR(read(random_weights(c), nullptr, mapped), "rotary ViTs");
  mapped.emplace_back("position", "learned");
  // Whether attention pools the class token, too, no name says; without one there is no question.
  EXPECT_ERROR(read(random_weights(c), nullptr, mapped), "pooling");
  for (const auto& [word, pooling] :
       {std::pair{"map", Pooling::map}, std::pair{"map_all", Pooling::map_all}}) {
    Settings said = mapped;
    said.emplace_back("pooling", word);
    EXPECT_EQ(as_vit(read(random_weights(c), nullptr, said).info.config).head.pooling, pooling);
  }
  c.tokens.class_token = c.pre_norm = false;
  c.position.prefix = 0;
  c.patches.bias = true;
  EXPECT_EQ(as_vit(read(random_weights(c), nullptr, mapped).info.config).head.pooling,
            Pooling::map);
}

TEST(ClosedTimm, OneChannelTakesTheMeanOfThree) {
  VitConfig c = tiny_config();
  c.in_channels = 1;
  Json config = with(timm_json(), "/model_args/in_chans", 1);
  config["pretrained_cfg"]["mean"] = {0.25, 0.5, 0.75};
  config["pretrained_cfg"]["std"] = {0.5, 0.25, 0.75};
  const Checkpoint checkpoint = read(random_weights(c), config);
  // timm's data.loader.adapt_to_chs, and its reading of in_chans beside input_size.
  EXPECT_EQ(checkpoint.info.preprocess.at("input_size"), Json({1, 16, 16}));
  EXPECT_EQ(checkpoint.info.preprocess.at("mean"), Json::array({0.5}));
  EXPECT_EQ(checkpoint.info.preprocess.at("std"), Json::array({0.5}));
  const Checkpoint said = read(random_weights(c), config, {{"mean", "0.1"}, {"std", "0.3"}});
  EXPECT_EQ(said.info.preprocess.at("mean"), Json::array({0.1}));
}

TEST(ClosedTimm, TensorsOfNoPartAreRefusedAndThoseOfTrainingLeftOut) {
  NamedTensors tensors = random_weights(tiny_config());
  for (const char* name : {"pre_logits.conv.weight", "decoder_something.weight", "rope.freqs"}) {
    tensors.emplace_back(name, Tensor::zeros({3}));
    EXPECT_ERROR(read(tensors, timm_json()), std::string("'") + name + "'");
    tensors.pop_back();
  }
  for (const char* name : {"mask_token", "masked_embed", "decoder_blocks.0.norm1.weight",
                           "decoder_pos_embed", "decoder_pred.bias"})
    tensors.emplace_back(name, Tensor::zeros({1, 1, 3}));
  EXPECT_EQ(read(tensors, timm_json()).info.left_out.size(), 5u);
}

// timm until 0.6, and the first ViTs: head(tanh(pre_logits.fc(class token))), in double precision
// from the vector that the same weights pool.
TEST(ClosedTimm, ALayerBeforeTheHeadIsPartOfTheAnswer) {
  VitConfig config = tiny_config();
  config.head.pre_logits_dim = 7;
  const NamedTensors tensors = random_weights(config);
  NamedTensors bare;
  std::map<std::string, Tensor> last;
  for (const auto& [name, tensor] : tensors)
    if (name.starts_with("head.") || name.starts_with("pre_logits."))
      last[name] = tensor;
    else
      bare.emplace_back(name, tensor);
  Json config_json = timm_json();
  config_json["num_features"] = 7;
  config_json["num_classes"] = config.num_classes;
  const Checkpoint checkpoint = read(tensors, config_json);
  EXPECT_EQ(as_vit(checkpoint.info.config).head.pre_logits_dim, 7);
  const Tensor pooled = answer_of(read(bare, timm_json()));

  const auto product = [&](const std::string& module, const std::vector<double>& x, int64_t row) {
    double sum = last.at(module + ".bias").f32()[row];
    for (size_t i = 0; i < x.size(); ++i)
      sum += x[i] * last.at(module + ".weight").f32()[static_cast<size_t>(row) * x.size() + i];
    return sum;
  };
  std::vector<double> x(pooled.values().begin(), pooled.values().end()), hidden;
  for (int64_t row = 0; row < 7; ++row)
    hidden.push_back(std::tanh(product("pre_logits.fc", x, row)));
  Tensor logits = Tensor::empty({config.num_classes});
  for (int64_t row = 0; row < config.num_classes; ++row)
    logits.f32()[row] = static_cast<float>(product("head", hidden, row));
  EXPECT_LT(answer_error(answer_of(checkpoint), logits), 1e-5);
  EXPECT_ERROR(adapt(config, MemoryTensors(tensors), timm_family()), "tanh before the head");
}

// ---- transformers ----

struct HfClass {
  const char* config;
  const Family* family;
  const char* type;
};
const HfClass kHfClasses[] = {
    {"ViTConfig", hf_vit_family(), "vit"},
    {"DeiTConfig", hf_deit_family(), "deit"},
    {"Dinov2Config", hf_dinov2_family(), "dinov2"},
    {"Dinov2WithRegistersConfig", hf_dinov2_family(), "dinov2_with_registers"}};

VitConfig tiny_hf(const HfClass& given) {
  VitConfig c = tiny_config();
  if (given.family == hf_deit_family()) {
    c.tokens.distillation_token = true;
    c.position.prefix = 2;
  }
  if (given.family != hf_dinov2_family()) return c;
  c.block.layer_scale = true;
  c.head.pooling = Pooling::class_and_mean;
  if (given.type != std::string("dinov2")) c.tokens.register_tokens = 4;
  return c;
}

NamedTensors hf_tensors(const HfClass& given) {
  const VitConfig c = tiny_hf(given);
  return renamed(c, spelling_for(given.family, c));
}

// The library's own default configuration, of our size.
Json hf_json(const HfClass& given) {
  Json config = lists().at("configs").at(given.config);
  config["hidden_size"] = 24;
  config["num_hidden_layers"] = 2;
  config["num_attention_heads"] = 2;
  if (config.contains("intermediate_size")) config["intermediate_size"] = 48;
  if (config.contains("mlp_ratio")) config["mlp_ratio"] = 2;
  config["image_size"] = 16;
  config["patch_size"] = 4;
  config.erase("id2label");
  return config;
}

TEST(ClosedHf, EveryFieldOfTheLibrarysConfigurationsIsListed) {
  for (const HfClass& given : kHfClasses) {
    SCOPED_TRACE(given.config);
    const Json processor = Json::object();
    const NamedTensors tensors = hf_tensors(given);
    EXPECT_EQ(read(tensors, hf_json(given), {}, processor).info.family, given.family);
    for (const char* name : {"rope_theta", "use_absolute_position_embeddings", "hidden_size2"})
      EXPECT_ERROR(read(tensors, with(hf_json(given), std::string("/") + name, 1), {}, processor),
                   std::string("'") + name + "'");
  }
}

TEST(ClosedHf, ValuesThatAreNotImplementedAreRefusedByName) {
  const Json processor = Json::object();
  struct Bad {
    const char* name;
    Json value;
  };
  for (const HfClass& given : kHfClasses) {
    SCOPED_TRACE(given.config);
    const NamedTensors tensors = hf_tensors(given);
    for (const Bad& bad : std::initializer_list<Bad>{{"hidden_act", "mish"},
                                                     {"hidden_act", 3},
                                                     {"qkv_bias", false},
                                                     {"qkv_bias", "yes"},
                                                     {"layer_norm_eps", "small"},
                                                     {"hidden_dropout_prob", "none"},
                                                     {"is_decoder", true},
                                                     {"pruned_heads", {{"0", {1}}}},
                                                     {"quantization_config", {{"bits", 8}}},
                                                     {"auto_map", {{"AutoModel", "m.My"}}},
                                                     {"_attn_implementation", "linear"},
                                                     {"head_dim", 7},
                                                     {"num_labels", 3},
                                                     {"hidden_size", 48},
                                                     {"num_hidden_layers", 5},
                                                     {"num_channels", 4},
                                                     {"architectures", {"MyViT"}},
                                                     {"model_type", "donut-swin"},
                                                     {"model_type", nullptr}})
      EXPECT_ERROR(read(tensors, with(hf_json(given), std::string("/") + bad.name, bad.value), {},
                        processor),
                   bad.name);
    const std::vector<Bad> of_dinov2 = {{"use_swiglu_ffn", true},
                                        {"mlp_ratio", 4},
                                        {"apply_layernorm", false},
                                        {"use_mask_token", "no"}};
    const std::vector<Bad> of_vit = {
        {"pooler_act", "relu"}, {"encoder_stride", "16"}, {"intermediate_size", 47}};
    for (const Bad& bad : given.family == hf_dinov2_family() ? of_dinov2 : of_vit) {
      if (bad.name == std::string("use_mask_token") && given.type != std::string("dinov2"))
        continue;  // no field of the model with registers, which always has one
      EXPECT_ERROR(read(tensors, with(hf_json(given), std::string("/") + bad.name, bad.value), {},
                        processor),
                   bad.name);
    }
  }
}

TEST(ClosedHf, AConfigurationOfAnotherModelIsNoMatchForTheTensors) {
  const Json processor = Json::object();
  for (const HfClass& tensors : kHfClasses)
    for (const HfClass& config : kHfClasses)
      if (tensors.config != config.config) {
        SCOPED_TRACE(std::string(tensors.config) + " as " + config.config);
        EXPECT_ANY_THROW(read(hf_tensors(tensors), hf_json(config), {}, processor));
      }
  // Of another library.
  EXPECT_ERROR(read(hf_tensors(kHfClasses[0]), timm_json(), {}, processor), "is timm's");
  EXPECT_ERROR(read(random_weights(tiny_config()), hf_json(kHfClasses[0])), "is transformers'");
  EXPECT_ERROR(read(hf_tensors(kHfClasses[0]), nullptr, {{"architecture", "vit_base_patch16_224"}},
                    processor),
               "hf_vit");
}

TEST(ClosedFamily, AnotherModelIsNamedBeforeItsTensorsAreLookedAt) {
  const NamedTensors other = {{"conv1.weight", Tensor::zeros({3})}};
  EXPECT_ERROR(read(other, {{"model_type", "swinv9"}}), "model_type 'swinv9'; of transformers'");
  for (const auto& [type, missing] : std::initializer_list<std::pair<const char*, const char*>>{
           {"videomae", "'videomae', a model with frames of videos"},
           {"detr", "a head that detects objects"},
           {"mask2former", "a head that segments pictures"},
           {"vision-encoder-decoder", "a tower or a decoder of texts"},
           {"convnextv2", "convolutional stages"}})
    EXPECT_ERROR(read(other, {{"model_type", type}}), missing);
  EXPECT_ERROR(read(other, {{"architecture", "swinv2_cr_tiny_224"}}), "'swinv2_cr_tiny_224'");
  EXPECT_ERROR(read(other, {{"architectures", {"SwinModel"}}}), "no model_type");
  EXPECT_ERROR(read(random_weights(tiny_config()), {{"lr", 1}}), "neither architecture nor");
}

// ---- vit-pytorch and original DINOv2 ----

VitConfig tiny_vit_pytorch(int64_t channels, int64_t patch) {
  VitConfig c = tiny_config();
  c.in_channels = channels;
  c.patch_embedding = PatchEmbedding::linear;
  c.patches.patch_height = c.patches.patch_width = patch;
  c.image_height = c.image_width = 4 * patch;
  c.patches.norms = true;
  c.block.attention.qkv_bias = false;
  c.layer_norm_epsilon = 1e-5;
  return c;
}

const Settings kVitPytorch = {
    {"heads", "2"}, {"activation", "gelu"}, {"pooling", "class_token"},  {"mean", "0.5"},
    {"std", "0.5"}, {"crop_pct", "1"},      {"interpolation", "bicubic"}};

Checkpoint read_vit_pytorch(const VitConfig& c, Settings more = {}, const Json& config = nullptr) {
  more.insert(more.end(), kVitPytorch.begin(), kVitPytorch.end());
  return read(renamed(c, spelling_for(vit_pytorch_family(), c)), config, more);
}

TEST(ClosedVitPytorch, GreyPatchesThatMayBeOfFourChannelsAreAskedFor) {
  EXPECT_ERROR(read_vit_pytorch(tiny_vit_pytorch(4, 8)), "in_channels");
  EXPECT_ERROR(read_vit_pytorch(tiny_vit_pytorch(1, 16)), "in_channels");
  const Checkpoint grey = read_vit_pytorch(tiny_vit_pytorch(1, 16), {{"channels", "1"}});
  EXPECT_EQ(as_vit(grey.info.config).patches.patch_width, 16);
  EXPECT_EQ(as_vit(read_vit_pytorch(tiny_vit_pytorch(3, 16)).info.config).in_channels, 3);
  EXPECT_EQ(as_vit(read_vit_pytorch(tiny_vit_pytorch(1, 4)).info.config).in_channels, 1);
}

TEST(ClosedVitPytorch, NamesThatOtherModelsShareAreAskedFor) {
  VitConfig c = tiny_vit_pytorch(3, 4);
  c.final_norm = false;
  c.head.norm = true;
  EXPECT_ERROR(read_vit_pytorch(c), "ats_vit");
  EXPECT_EQ(as_vit(read_vit_pytorch(c, {{"architecture", "vit"}}).info.config).depth, 2);
  EXPECT_ERROR(read_vit_pytorch(c, {{"architecture", "ats_vit"}}), "'ats_vit'");
}

TEST(ClosedVitPytorch, ItsArgumentsBesideTheFileAreReadOrRefused) {
  const Json config = {{"image_size", 16}, {"patch_size", 4}, {"num_classes", 5}, {"dim", 24},
                       {"depth", 2},       {"heads", 3},      {"mlp_dim", 48},    {"pool", "mean"},
                       {"dim_head", 8},    {"dropout", 0.1}};
  VitConfig c = tiny_vit_pytorch(3, 4);
  const Settings rest = {{"activation", "gelu"},
                         {"mean", "0.5"},
                         {"std", "0.5"},
                         {"crop_pct", "1"},
                         {"interpolation", "bicubic"}};
  const NamedTensors tensors = renamed(c, spelling_for(vit_pytorch_family(), c));
  const Checkpoint checkpoint = read(tensors, config, rest);
  EXPECT_EQ(as_vit(checkpoint.info.config).block.attention.num_heads, 3);
  EXPECT_EQ(as_vit(checkpoint.info.config).head.pooling, Pooling::mean_all);
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, Json>>{
           {"depth", 3}, {"patch_size", 8}, {"dim_head", 7}, {"pool", "max"}, {"registers", 4}})
    EXPECT_ERROR(read(tensors, with(config, std::string("/") + name, value), rest), name);
}

TEST(ClosedDinov2, HeadsAndPreprocessingAreAskedForAndANameSettlesThem) {
  VitConfig c = published_config(*find_published("dinov2_vits14"));
  NamedTensors tensors;
  const VisionTransformer model(c);
  for (const auto& [name, tensor] : [&] {
         NamedTensors all;
         for (const auto& parameter : model.parameters().all())
           all.emplace_back(parameter->path(), Tensor::zeros(parameter->shape()).to(DType::f16));
         return all;
       }())
    tensors.emplace_back(names_in(spelling_for(dinov2_family(), c), name).front(), tensor);
  tensors.emplace_back("mask_token", Tensor::zeros({1, 384}));
  const std::string message = testing::error_of([&] { read(tensors, nullptr); });
  EXPECT_NE(message.find("num_heads"), std::string::npos) << message;
  EXPECT_NE(message.find("mean"), std::string::npos) << message;
  EXPECT_NE(message.find("dinov2_vits14"), std::string::npos) << message;
  const Checkpoint named = read(tensors, nullptr, {{"architecture", "dinov2_vits14"}});
  EXPECT_EQ(as_vit(named.info.config).block.attention.num_heads, 6);
  EXPECT_ERROR(read(tensors, nullptr, {{"architecture", "dinov2_vits14_reg4"}}), "register_tokens");
  EXPECT_ERROR(read(tensors, {{"heads", 6}}), "'heads'");
}

// ---- our own ----

TEST(ClosedOwn, FieldsAreListed) {
  const Json config = {{"model_type", "vitrail"}, {"model", to_json(tiny_config())}, {"rope", 1}};
  EXPECT_ERROR(read(random_weights(tiny_config()), config), "'rope'");
  const Json other = {{"family", "dinov2"}, {"model", to_json(tiny_config())}};
  EXPECT_ERROR(read(random_weights(tiny_config()), other), "family 'dinov2'");
}

// ---- labels ----

TEST(ConfigLabels, GapsNumbersAndOtherNames) {
  const HfClass vit = kHfClasses[0];
  const Json processor = Json::object();
  const auto labels_of = [&](const Json& id2label) {
    return read(hf_tensors(vit), with(hf_json(vit), "/id2label", id2label), {}, processor)
        .info.labels;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(labels_of({{"0", 3}, {"1", "cat"}, {"2", 1.5}, {"3", nullptr}, {"4", "dog"}}),
            (Names{"3", "cat", "1.5", "", "dog"}));
  EXPECT_EQ(labels_of({{"1", "cat"}, {"4", "dog"}}), (Names{"", "cat", "", "", "dog"}));
  // As many names as classes, which is what transformers counts.
  EXPECT_EQ(labels_of({{"0", "a"}, {"1", "b"}, {"2", "c"}, {"5", "f"}, {"6", "g"}}),
            (Names{"a", "b", "c", "", ""}));
  EXPECT_ERROR(labels_of({{"0", "a"}, {"1", "b"}}), "names 2 classes");
  EXPECT_ERROR(labels_of({{"0", "a"}, {"00", "b"}}), "named twice");
  EXPECT_ERROR(labels_of({{"0", {1}}}), "class 0 is named [1]");
  // Names of one's own replace them, whatever they are.
  const Checkpoint replaced =
      read_checkpoint(std::make_shared<MemoryTensors>(hf_tensors(vit)),
                      {.config = with(hf_json(vit), "/id2label", {{"0", {1}}}),
                       .preprocessor = processor,
                       .labels_file = {}},
                      {.settings = {}, .require_preprocess = true, .read_labels = false});
  EXPECT_TRUE(replaced.info.labels.empty());
}

}  // namespace
}  // namespace vitrail
