#include <fstream>

#include "image/golden.h"
#include "image/preprocess/preprocess.h"

namespace vitrail {
namespace {

using nlohmann::json;

TEST(PreprocessConfig, OwnBlockRoundTrips) {
  for (const auto& entry : golden_json("preprocess.json")) {
    const Preprocess read =
        entry.at("kind") == "timm" ? from_timm(entry.at("config")) : from_hf(entry.at("config"));
    EXPECT_EQ(from_json(json::parse(to_json(read).dump())), read) << entry.at("config").dump();
  }
}

TEST(PreprocessConfig, TimmDefaults) {
  const Preprocess p = from_timm(json::object());
  EXPECT_EQ(p.resize, ResizeMode::shortest_edge);
  EXPECT_EQ(p.resize_to, (PictureSize{256, 256}));
  EXPECT_EQ(p.crop_to, (PictureSize{224, 224}));
  EXPECT_EQ(p.filter, Filter::bicubic);
  EXPECT_DOUBLE_EQ(p.mean[0], 0.485);
  EXPECT_EQ(p.exif, ExifPolicy::ignore);
  EXPECT_EQ(from_timm(json::parse(R"({"pretrained_cfg": {"crop_pct": 0.9}})")).resize_to.height,
            248);
}

TEST(PreprocessConfig, HfClassDefaults) {
  const auto of = [](const char* type) { return from_hf(json{{"image_processor_type", type}}); };
  EXPECT_EQ(of("ViTImageProcessor").filter, Filter::bilinear);
  EXPECT_EQ(of("ViTImageProcessor").crop, CropRule::none);
  EXPECT_EQ(of("DeiTImageProcessorFast").resize_to, (PictureSize{256, 256}));
  EXPECT_EQ(of("DeiTImageProcessorFast").crop_to, (PictureSize{224, 224}));
  EXPECT_DOUBLE_EQ(of("DeiTImageProcessorFast").mean[2], 0.5);
  EXPECT_EQ(of("BitImageProcessor").resize, ResizeMode::shortest_edge);
  EXPECT_DOUBLE_EQ(of("CLIPImageProcessor").std[1], 0.26130258);
  EXPECT_TRUE(of("DINOv3ViTImageProcessorFast").rescale_first);
  EXPECT_EQ(of("ViTImageProcessor").exif, ExifPolicy::apply);
  EXPECT_EQ(
      from_hf(json{{"feature_extractor_type", "ViTFeatureExtractor"}, {"size", 384}}).resize_to,
      (PictureSize{384, 384}));
  EXPECT_EQ(from_hf(json::object(), hf_image_processor_type("dinov2")).resize,
            ResizeMode::shortest_edge);
  EXPECT_EQ(hf_image_processor_type("bert"), "");
  // Null is Python's None: the class default.
  EXPECT_EQ(from_hf(json::parse(R"({"image_processor_type": "ViTImageProcessor", "size": null})")),
            of("ViTImageProcessor"));
}

struct BadConfig {
  const char* text;
  const char* part;
};

TEST(PreprocessConfig, NamesTheBadField) {
  for (const BadConfig& bad : std::initializer_list<BadConfig>{
           {R"([])", "expected an object"},
           {R"({"input_size": 224})", "pretrained_cfg.input_size"},
           {R"({"input_size": [3, 224]})", "pretrained_cfg.input_size"},
           {R"({"input_size": [2, 224, 224]})", "pretrained_cfg.input_size"},
           {R"({"input_size": [3, 1e9, 224]})", "pretrained_cfg.input_size"},
           {R"({"mean": [0.5, 0.5]})", "pretrained_cfg.mean has 2 numbers"},
           {R"({"mean": "0.5"})", "pretrained_cfg.mean"},
           {R"({"std": [0, 1, 1]})", "std holds 0"},
           {R"({"interpolation": "random"})", "unknown filter 'random'"},
           {R"({"interpolation": 3})", "pretrained_cfg.interpolation"},
           {R"({"crop_pct": -1})", "pretrained_cfg.crop_pct"},
           {R"({"crop_pct": 1e-9})", "pretrained_cfg.crop_pct"},
           {R"({"crop_mode": "middle"})", "pretrained_cfg.crop_mode"},
           {R"({"input_size": [1, 28, 28]})", "pretrained_cfg.mean and std are missing"}}) {
    const std::string message = error_if_any([&] { from_timm(json::parse(bad.text)); });
    EXPECT_NE(message.find(bad.part), std::string::npos) << bad.text << " gives " << message;
  }
  for (const BadConfig& bad : std::initializer_list<BadConfig>{
           {R"({})", "image_processor_type is missing"},
           {R"({"image_processor_type": "DetrImageProcessor"})", "'DetrImageProcessor'"},
           {R"({"image_processor_type": 5})", "image_processor_type is 5"},
           {R"({"image_processor_type": "ViTImageProcessor", "size": {"longest_edge": 3}})",
            "preprocessor_config.size"},
           {R"({"image_processor_type": "a\nb"})", "expected a text on one line"},
           {R"({"image_processor_type": "ViTImageProcessor", "size": 0})",
            "preprocessor_config.size is 0"},
           {R"({"image_processor_type": "ViTImageProcessor", "size": "224"})",
            "preprocessor_config.size"},
           {R"({"image_processor_type": "ViTImageProcessor", "resample": 6})",
            "preprocessor_config.resample is 6"},
           {R"({"image_processor_type": "ViTImageProcessor", "do_resize": 1})",
            "preprocessor_config.do_resize is 1"},
           {R"({"image_processor_type": "ViTImageProcessor", "do_center_crop": true})",
            "preprocessor_config.crop_size is missing"},
           {R"({"image_processor_type": "ViTImageProcessor", "rescale_factor": -1})",
            "rescale_factor is -1"},
           {R"({"image_processor_type": "ViTImageProcessor", "do_pad": true})", "do_pad"}}) {
    const std::string message = error_if_any([&] { from_hf(json::parse(bad.text)); });
    EXPECT_NE(message.find(bad.part), std::string::npos) << bad.text << " gives " << message;
  }
}

// Every field that the library's processors have, as they list it themselves.
TEST(PreprocessConfig, FieldsOfImageProcessorsAreAClosedList) {
  std::ifstream file(std::string(VITRAIL_SOURCE_DIR) + "/tests/golden/models/closed_lists.json");
  const json lists = json::parse(file);
  EXPECT_EQ(lists.at("processors").size(), 8u);
  for (const auto& [name, fields] : lists.at("processors").items()) {
    SCOPED_TRACE(name);
    EXPECT_NO_THROW(from_hf(fields));
    const auto with = [&fields = fields](const char* key, const json& value) {
      json changed = fields;
      changed[key] = value;
      return error_if_any([&] { from_hf(changed); });
    };
    for (const auto& [key, value] : std::initializer_list<std::pair<const char*, json>>{
             {"do_sharpen", true},
             {"do_pad", true},
             {"pad_size", {{"height", 9}, {"width", 9}}},
             {"size_divisor", 32},
             {"crop_pct", 0.9},
             {"do_flip_channel_order", true},
             {"ensure_multiple_of", 14},
             {"auto_map", {{"AutoImageProcessor", "mine.Mine"}}},
             {"size", {{"height", 9}, {"width", 9}, {"depth", 9}}},
             {"size", {{"height", 9}, {"width", 9}, {"longest_edge", 9}}}})
      EXPECT_NE(with(key, value).find(key), std::string::npos) << key << ": " << with(key, value);
  }
}

TEST(PreprocessConfig, SurvivesDeepNesting) {
  std::string text = R"({"image_processor_type": "ViTImageProcessor", "size": )";
  for (int i = 0; i < 100000; ++i) text += R"({"a":)";
  text += "1" + std::string(100001, '}');
  expect_clear(error_if_any([&] { from_hf(json::parse(text)); }), "preprocess",
               "preprocessor_config.size.a is not a known field");
}

TEST(PreprocessConfig, OwnBlockIsStrict) {
  const json block = json::parse(to_json(Preprocess{}).dump());
  for (const auto& [key, value] : block.items()) {
    json without = block;
    without.erase(key);
    expect_clear(error_if_any([&] { from_json(without); }), "preprocess", key + " is missing");
  }
  json extra = block;
  extra["gamma"] = 2;
  expect_clear(error_if_any([&] { from_json(extra); }), "preprocess", "gamma is not a known field");
  json wrong = block;
  wrong["resize"]["mode"] = "stretch";
  expect_clear(error_if_any([&] { from_json(wrong); }), "preprocess",
               "preprocess.resize.mode is 'stretch'");
}

// There and back changes nothing that the families can express.
TEST(PreprocessConfig, TranslatesThereAndBack) {
  for (const double pct : {0.875, 0.9, 0.95, 0.965, 1.0, 1.2})
    for (const int side : {224, 240, 384, 518}) {
      const json config{
          {"input_size", {3, side, side}}, {"crop_pct", pct}, {"crop_mode", "center"}};
      const Preprocess p = from_timm(config);
      const TranslatedPreprocess back = to_timm(p);
      EXPECT_EQ(from_timm(json::parse(back.config.dump())), p) << config.dump();
      EXPECT_TRUE(back.differences.empty());
    }
  EXPECT_DOUBLE_EQ(to_timm(from_timm(json{{"crop_pct", 0.9}})).config["crop_pct"], 0.9);
  for (const char* type : {"ViTImageProcessor", "DeiTImageProcessor", "BitImageProcessor",
                           "DINOv3ViTImageProcessorFast"}) {
    const Preprocess p = from_hf(json{{"image_processor_type", type}});
    const TranslatedPreprocess back = to_hf(p);
    EXPECT_EQ(from_hf(json::parse(back.config.dump())), p) << type;
    EXPECT_TRUE(back.differences.empty());
  }
}

TEST(PreprocessConfig, TranslatesAcrossFamilies) {
  // HF's ViT in timm's words keeps the geometry; what differs is said.
  const Preprocess vit = from_hf(json{{"image_processor_type", "ViTImageProcessor"}});
  const TranslatedPreprocess timm = to_timm(vit);
  EXPECT_EQ(timm.config["crop_mode"], "squash");
  EXPECT_EQ(timm.differences.size(), 2u);
  const Image image = drawn(50, 37, 3);
  EXPECT_EQ(apply_geometry(image, from_timm(json::parse(timm.config.dump()))).pixels,
            apply_geometry(image, vit).pixels);

  const Preprocess augreg = from_timm(json{{"crop_pct", 0.9}});
  const TranslatedPreprocess hf = to_hf(augreg);
  EXPECT_EQ(hf.config["size"]["shortest_edge"], 248);
  EXPECT_EQ(hf.differences.size(), 3u);
}

TEST(PreprocessConfig, RefusesWhatTheTargetCannotExpress) {
  Preprocess p;
  p.rescale_factor = 1.0 / 127.5;
  expect_clear(error_if_any([&] { to_timm(p); }), "preprocess", "cannot express a rescale factor");
  p = {};
  p.resize = ResizeMode::longest_edge;
  expect_clear(error_if_any([&] { to_hf(p); }), "preprocess", "cannot express this resize mode");
  p = from_timm(json{{"crop_mode", "border"}});
  expect_clear(error_if_any([&] { to_hf(p); }), "preprocess", "cannot express");
  p = {};
  p.std = {0, 1, 1};
  expect_clear(error_if_any([&] { to_json(p); }), "preprocess", "std holds 0");
}

}  // namespace
}  // namespace vitrail
