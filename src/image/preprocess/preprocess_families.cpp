// What timm's pretrained_cfg and transformers' preprocessor_config.json mean. Defaults are those
// of timm/data (resolve_data_config, transforms_imagenet_eval) and of transformers' image
// processor classes.
#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "core/error.h"
#include "image/preprocess/config_fields.h"
#include "image/preprocess/preprocess.h"

namespace vitrail {
namespace {

constexpr std::array<double, 3> kImageNetMean{0.485, 0.456, 0.406};
constexpr std::array<double, 3> kImageNetStd{0.229, 0.224, 0.225};
constexpr std::array<double, 3> kHalf{0.5, 0.5, 0.5};
constexpr std::array<double, 3> kClipMean{0.48145466, 0.4578275, 0.40821073};
constexpr std::array<double, 3> kClipStd{0.26862954, 0.26130258, 0.27577711};

std::array<double, 3> channel_values(const ConfigFields& fields, const char* key, int channels,
                                     const std::array<double, 3>& otherwise) {
  if (!fields.has(key)) return otherwise;
  std::vector<double> values;
  if (fields.at(key).is_number())
    values = {fields.number(key)};
  else
    values = fields.numbers(key);
  if (values.size() == 1) values.resize(static_cast<size_t>(channels), values[0]);
  if (static_cast<int>(values.size()) != channels)
    fail("preprocess", "{} has {} numbers, expected {}, one a channel", fields.path(key),
         values.size(), channels);
  std::array<double, 3> read = kHalf;
  std::copy(values.begin(), values.end(), read.begin());
  return read;
}

// ---- timm ----

int timm_resize_side(const ConfigFields& fields, int input, double crop_pct) {
  const double side = std::floor(input / crop_pct);
  if (!(side >= 1 && side <= kMaxPreprocessSide))
    fail("preprocess", "{} is {}: an input of {} would be resized to {:.0f}, expected 1 to {}",
         fields.path("crop_pct"), crop_pct, input, side, kMaxPreprocessSide);
  return static_cast<int>(side);
}

void set_timm_geometry(Preprocess& p, const ConfigFields& fields, double crop_pct) {
  const std::string mode = fields.text("crop_mode", "center");
  p.resize_to = {timm_resize_side(fields, p.crop_to.height, crop_pct),
                 timm_resize_side(fields, p.crop_to.width, crop_pct)};
  p.crop = CropRule::torchvision;
  if (mode == "squash") {
    p.resize = ResizeMode::squash;
  } else if (mode == "border") {
    p.resize = ResizeMode::fit;
    for (size_t i = 0; i < 3; ++i)  // Python's round: half to even
      p.fill[i] = static_cast<uint8_t>(std::clamp(std::nearbyint(255 * p.mean[i]), 0.0, 255.0));
  } else if (mode == "center") {
    p.resize =
        p.resize_to.height == p.resize_to.width ? ResizeMode::shortest_edge : ResizeMode::cover;
  } else {
    fail("preprocess", "{} is '{}', expected center, squash or border", fields.path("crop_mode"),
         mode);
  }
}

// ---- transformers ----

// The one that turns the order of the channels round.
constexpr const char* kMobileVitProcessor = "MobileViTImageProcessor";
// The one that pads.
constexpr const char* kSamProcessor = "SamImageProcessor";

struct HfDefaults {
  const char* type;  // without the endings Fast and Pil
  Filter filter;
  const std::array<double, 3>& mean;
  const std::array<double, 3>& std;
  ResizeMode resize;
  PictureSize size;
  bool default_to_square;  // what a plain integer for the size means
  std::optional<PictureSize> crop_size;
  bool do_center_crop;
  bool rescale_first;
};

const HfDefaults kHfDefaults[] = {
    {"ViTImageProcessor",
     Filter::bilinear,
     kHalf,
     kHalf,
     ResizeMode::squash,
     {224, 224},
     true,
     {},
     false,
     false},
    {"DeiTImageProcessor",
     Filter::bicubic,
     kHalf,
     kHalf,
     ResizeMode::squash,
     {256, 256},
     true,
     PictureSize{224, 224},
     true,
     false},
    {"BitImageProcessor",
     Filter::bicubic,
     kClipMean,
     kClipStd,
     ResizeMode::shortest_edge,
     {224, 224},
     false,
     PictureSize{224, 224},
     true,
     false},
    {"CLIPImageProcessor",
     Filter::bicubic,
     kClipMean,
     kClipStd,
     ResizeMode::shortest_edge,
     {224, 224},
     false,
     PictureSize{224, 224},
     true,
     false},
    {"ChineseCLIPImageProcessor",
     Filter::bicubic,
     kClipMean,
     kClipStd,
     ResizeMode::shortest_edge,
     {224, 224},
     false,
     PictureSize{224, 224},
     true,
     false},
    {"BlipImageProcessor",
     Filter::bicubic,
     kClipMean,
     kClipStd,
     ResizeMode::squash,
     {384, 384},
     true,
     {},
     false,
     false},
    {"OwlViTImageProcessor",
     Filter::bicubic,
     kClipMean,
     kClipStd,
     ResizeMode::squash,
     {768, 768},
     true,
     PictureSize{768, 768},
     false,
     false},
    {"GotOcr2ImageProcessor",
     Filter::bicubic,
     kClipMean,
     kClipStd,
     ResizeMode::squash,
     {384, 384},
     true,
     {},
     false,
     false},
    {"SiglipImageProcessor",
     Filter::bicubic,
     kHalf,
     kHalf,
     ResizeMode::squash,
     {224, 224},
     false,
     {},
     false,
     false},
    {"Siglip2ImageProcessor",
     Filter::bilinear,
     kHalf,
     kHalf,
     ResizeMode::patches,
     {16, 256},
     false,
     {},
     false,
     false},
    {"BeitImageProcessor",
     Filter::bicubic,
     kHalf,
     kHalf,
     ResizeMode::squash,
     {224, 224},
     true,
     PictureSize{224, 224},
     false,
     false},
    {"SegformerImageProcessor",
     Filter::bilinear,
     kImageNetMean,
     kImageNetStd,
     ResizeMode::squash,
     {512, 512},
     true,
     {},
     false,
     false},
    {"PvtImageProcessor",
     Filter::bicubic,
     kImageNetMean,
     kImageNetStd,
     ResizeMode::squash,
     {224, 224},
     true,
     {},
     false,
     false},
    {kMobileVitProcessor,
     Filter::bicubic,
     kHalf,
     kHalf,
     ResizeMode::shortest_edge,
     {224, 224},
     false,
     PictureSize{256, 256},
     true,
     false},
    {"DINOv3ViTImageProcessor",
     Filter::bilinear,
     kImageNetMean,
     kImageNetStd,
     ResizeMode::squash,
     {224, 224},
     true,
     {},
     false,
     true},
    {kSamProcessor,
     Filter::bilinear,
     kImageNetMean,
     kImageNetStd,
     ResizeMode::longest_edge,
     {1024, 1024},
     true,
     PictureSize{1024, 1024},
     false,
     false},
    {"LevitImageProcessor",
     Filter::bicubic,
     kImageNetMean,
     kImageNetStd,
     ResizeMode::shortest_edge,
     {224, 224},
     false,
     PictureSize{224, 224},
     true,
     false},
    {"ConvNextImageProcessor",
     Filter::bicubic,
     kHalf,
     kHalf,
     ResizeMode::shortest_edge,
     {384, 384},
     false,
     {},
     false,
     false},
};

// How the processors of some models resize to a shortest edge. LeViT's makes it 256/224 longer;
// ConvNeXt's, which CvT has too, resizes to edge / crop_pct and crops, or, from 384 on, squashes.
void apply_shortest_edge_rule(Preprocess& p, const ConfigFields& fields, const std::string& type) {
  constexpr double kEdgeOverCrop = 256.0 / 224.0;
  const int edge = p.resize_to.height;
  const auto resize_edge = [&](double to) {
    const int side = static_cast<int>(to);
    if (side < 1 || side > kMaxPreprocessSide)
      fail("preprocess", "{} makes an edge of {}, which is beyond 1 to {}", fields.path("size"), to,
           kMaxPreprocessSide);
    p.resize_to = {side, side};
  };
  const bool edged = p.resize == ResizeMode::shortest_edge;
  if (type == "LevitImageProcessor" && edged) resize_edge(kEdgeOverCrop * edge);
  if (type != "ConvNextImageProcessor" || p.resize == ResizeMode::none) return;
  if (!edged)
    fail("preprocess", "{} of a ConvNextImageProcessor must have a shortest_edge",
         fields.path("size"));
  const double crop_pct = fields.number("crop_pct", 224.0 / 256.0);
  if (!(crop_pct > 0 && crop_pct <= 1))
    fail("preprocess", "{} is {}; it must lie in (0, 1]", fields.path("crop_pct"), crop_pct);
  constexpr int kSquashedFrom = 384;
  if (edge >= kSquashedFrom) {
    p.resize = ResizeMode::squash;
    return;
  }
  if (p.crop != CropRule::none)
    fail(ErrorCode::unsupported, "preprocess",
         "{} is true beside a crop_pct, and Vitrail crops once", fields.path("do_center_crop"));
  resize_edge(edge / crop_pct);
  p.crop = CropRule::huggingface;
  p.crop_to = {edge, edge};
}

// Older files name a feature extractor; newer ones may name a backend.
std::string plain_type(std::string type) {
  for (const std::string ending : {"Fast", "Pil"})
    if (type.ends_with(ending)) type.resize(type.size() - ending.size());
  const std::string old_ending = "FeatureExtractor";
  if (type.ends_with(old_ending))
    type = type.substr(0, type.size() - old_ending.size()) + "ImageProcessor";
  return type;
}

const HfDefaults& defaults_of(const std::string& type) {
  std::string known;
  for (const HfDefaults& row : kHfDefaults) {
    if (plain_type(type) == row.type) return row;
    known += known.empty() ? row.type : std::string(", ") + row.type;
  }
  if (type.empty())
    fail("preprocess", "preprocessor_config.image_processor_type is missing, expected one of {}",
         known);
  fail("preprocess", "preprocessor_config.image_processor_type is '{}', expected one of {}", type,
       known);
}

// Every field that the image processors of transformers write, of today and of versions 4; some of
// them may hold nothing but what means "off".
void refuse_unknown_fields(const ConfigFields& fields, const std::string& type) {
  const bool reads_crop_pct = type == "ConvNextImageProcessor", pads = type == kSamProcessor;
  fields.refuse_others(
      {"image_processor_type", "feature_extractor_type", "do_resize", "size", "default_to_square",
       "resample", "do_center_crop", "crop_size", "do_rescale", "rescale_factor", "do_normalize",
       "image_mean", "image_std", "do_pad", "do_flip_channel_order",
       // off, or refused below
       "pad_size", "size_divisor", "crop_pct", "do_color_quantize", "do_align_long_axis",
       "do_thumbnail", "keep_aspect_ratio", "ensure_multiple_of", "auto_map", "crop_to_patches",
       // without effect on the values of a picture
       "processor_class", "_processor_class", "do_convert_rgb", "do_reduce_labels", "reduce_labels",
       "data_format", "input_data_format", "return_tensors", "device", "disable_grouping",
       "image_seq_length", "_valid_processor_keys", "name_or_path", "_name_or_path",
       // of crop_to_patches
       "min_patches", "max_patches",
       // of the masks that SamImageProcessor prepares
       "mask_size", "mask_pad_size",
       // of Siglip2ImageProcessor, refused elsewhere
       "patch_size", "max_num_patches"});
  for (const char* off : {"do_pad", "do_color_quantize", "do_align_long_axis", "do_thumbnail",
                          "keep_aspect_ratio", "crop_to_patches"})
    if (fields.boolean(off, false) && !(pads && std::string_view(off) == "do_pad"))
      fail(ErrorCode::unsupported, "preprocess", "{} is true, which Vitrail does not implement",
           fields.path(off));
  for (const std::string absent : {"pad_size", "size_divisor", "crop_pct", "auto_map"})
    if (fields.has(absent.c_str()) && !(reads_crop_pct && absent == "crop_pct") &&
        !(pads && absent == "pad_size"))
      fail(ErrorCode::unsupported, "preprocess", "{} is {}, which Vitrail does not implement",
           fields.path(absent.c_str()), ConfigFields::shown(fields.at(absent.c_str())));
  if (fields.has("ensure_multiple_of") && fields.number("ensure_multiple_of") != 1)
    fail(ErrorCode::unsupported, "preprocess", "{} is not 1, which Vitrail does not implement",
         fields.path("ensure_multiple_of"));
}

PictureSize read_pair(const ConfigFields& fields, const char* key) {
  const std::vector<int> pair = fields.integers(key, 1, kMaxPreprocessSide);
  if (pair.size() != 2)
    fail("preprocess", "{} has {} numbers, expected height and width", fields.path(key),
         pair.size());
  return {pair[0], pair[1]};
}

PictureSize read_height_width(const ConfigFields& size) {
  size.refuse_others(
      {"height", "width", "shortest_edge", "longest_edge", "max_height", "max_width"});
  return {size.integer("height", 1, kMaxPreprocessSide),
          size.integer("width", 1, kMaxPreprocessSide)};
}

// SAM's: the long side is resized to one length, and zeros fill the rest of a square.
void set_sam_geometry(Preprocess& p, const ConfigFields& fields, const HfDefaults& defaults) {
  p.resize_to = defaults.size;
  p.crop_to = *defaults.crop_size;
  if (fields.has("size")) {
    const ConfigFields size = fields.object("size");
    size.refuse_others({"longest_edge"});
    const int side = size.integer("longest_edge", 1, kMaxPreprocessSide);
    p.resize_to = {side, side};
  }
  p.resize = fields.boolean("do_resize", true) ? ResizeMode::longest_edge : ResizeMode::none;
  if (fields.boolean("do_center_crop", false))
    fail(ErrorCode::unsupported, "preprocess", "{} is true, which Vitrail does not implement here",
         fields.path("do_center_crop"));
  if (!fields.boolean("do_pad", true)) return;
  if (fields.has("pad_size")) {
    const ConfigFields size = fields.object("pad_size");
    size.refuse_others({"height", "width"});
    p.crop_to = {size.integer("height", 1, kMaxPreprocessSide),
                 size.integer("width", 1, kMaxPreprocessSide)};
  }
  if (p.resize != ResizeMode::longest_edge ||
      p.resize_to.height > std::min(p.crop_to.height, p.crop_to.width))
    fail("preprocess", "{} of {}x{} does not hold every picture resized to a long side of {}",
         fields.path("pad_size"), p.crop_to.height, p.crop_to.width, p.resize_to.height);
  p.crop = CropRule::corner;
}

void set_hf_size(Preprocess& p, const ConfigFields& fields, const HfDefaults& defaults) {
  p.resize = defaults.resize;
  p.resize_to = defaults.size;
  const bool patches = defaults.resize == ResizeMode::patches;
  for (const char* key : {"patch_size", "max_num_patches"})
    if (fields.has(key) && !patches)
      fail(ErrorCode::unsupported, "preprocess", "{} is no field of {}", fields.path(key),
           defaults.type);
  if (fields.has("patch_size"))
    p.resize_to.height = fields.integer("patch_size", 1, kMaxPreprocessSide);
  if (fields.has("max_num_patches"))
    p.resize_to.width = fields.integer("max_num_patches", 1, kMaxPreprocessSide);
  // Siglip2ImageProcessor keeps a size that is given, and does not read it.
  if (patches || !fields.has("size")) return;
  const auto& size = fields.at("size");
  if (size.is_number()) {
    const int side = fields.integer("size", 1, kMaxPreprocessSide);
    const bool square = fields.boolean("default_to_square", defaults.default_to_square);
    p.resize = square ? ResizeMode::squash : ResizeMode::shortest_edge;
    p.resize_to = {side, side};
  } else if (size.is_array()) {
    p.resize = ResizeMode::squash;
    p.resize_to = read_pair(fields, "size");
  } else {
    const ConfigFields parts = fields.object("size");
    parts.refuse_others(
        {"height", "width", "shortest_edge", "longest_edge", "max_height", "max_width"});
    const bool bounded = parts.has("max_height") || parts.has("max_width");
    const bool edged = parts.has("shortest_edge") || parts.has("longest_edge");
    if (!bounded && !edged && parts.has("height") && parts.has("width")) {
      p.resize = ResizeMode::squash;
      p.resize_to = read_height_width(parts);
    } else if (!bounded && parts.has("shortest_edge") && !parts.has("longest_edge") &&
               !parts.has("height") && !parts.has("width")) {
      const int side = parts.integer("shortest_edge", 1, kMaxPreprocessSide);
      p.resize = ResizeMode::shortest_edge;
      p.resize_to = {side, side};
    } else {
      fail("preprocess", "{} is {} with other fields than height and width, or shortest_edge alone",
           fields.path("size"), ConfigFields::shown(size));
    }
  }
}

PictureSize read_crop_size(const ConfigFields& fields, const HfDefaults& defaults) {
  if (!fields.has("crop_size")) {
    if (!defaults.crop_size) fail("preprocess", "{} is missing", fields.path("crop_size"));
    return *defaults.crop_size;
  }
  const auto& size = fields.at("crop_size");
  if (size.is_array()) return read_pair(fields, "crop_size");
  if (size.is_object()) return read_height_width(fields.object("crop_size"));
  const int side = fields.integer("crop_size", 1, kMaxPreprocessSide);
  return {side, side};
}

// All others': a resize, and a crop of the centre.
void set_centred_geometry(Preprocess& p, const ConfigFields& fields, const HfDefaults& defaults) {
  set_hf_size(p, fields, defaults);
  if (!fields.boolean("do_resize", true)) p.resize = ResizeMode::none;
  if (fields.boolean("do_center_crop", defaults.do_center_crop)) {
    p.crop = CropRule::huggingface;
    p.crop_to = read_crop_size(fields, defaults);
  }
  apply_shortest_edge_rule(p, fields, defaults.type);
}

}  // namespace

Preprocess from_timm(const nlohmann::json& pretrained_cfg) {
  const ConfigFields outer(pretrained_cfg, "config");
  const ConfigFields fields = outer.has("pretrained_cfg")
                                  ? outer.object("pretrained_cfg")
                                  : ConfigFields(pretrained_cfg, "pretrained_cfg");
  Preprocess p;
  p.crop_to = {224, 224};
  if (fields.has("input_size")) {
    const std::vector<int> input = fields.integers("input_size", 1, kMaxPreprocessSide);
    if (input.size() != 3 || (input[0] != 1 && input[0] != 3))
      fail("preprocess", "{} is {}, expected channels (1 or 3), height and width",
           fields.path("input_size"), fields.at("input_size").dump().substr(0, 80));
    p.channels = input[0];
    p.crop_to = {input[1], input[2]};
  }
  if (p.channels == 1 && !(fields.has("mean") && fields.has("std")))
    fail("preprocess", "{} and std are missing: timm has no default for one channel",
         fields.path("mean"));
  p.mean = channel_values(fields, "mean", p.channels, kImageNetMean);
  p.std = channel_values(fields, "std", p.channels, kImageNetStd);
  p.filter = filter_of(fields.text("interpolation", "bicubic"));
  double crop_pct = fields.number("crop_pct", 0);
  if (crop_pct == 0) crop_pct = 0.875;  // timm's default also stands for zero
  set_timm_geometry(p, fields, crop_pct);
  p.arithmetic = Arithmetic::torchvision;
  p.exif = ExifPolicy::ignore;
  p.source = "timm pretrained_cfg";
  check_preprocess(p);
  return p;
}

Preprocess from_hf(const nlohmann::json& config, const std::string& default_type) {
  const ConfigFields fields(config, "preprocessor_config");
  const std::string type =
      fields.text("image_processor_type", fields.text("feature_extractor_type", default_type));
  const HfDefaults& defaults = defaults_of(type);
  const std::string kind = defaults.type;
  refuse_unknown_fields(fields, kind);

  Preprocess p;
  // The one hint at grey pictures: a mean for a single channel.
  if (fields.has("image_mean") && fields.at("image_mean").is_array() &&
      fields.at("image_mean").size() == 1)
    p.channels = 1;
  p.filter = defaults.filter;
  if (fields.has("resample"))
    p.filter = static_cast<Filter>(fields.integer("resample", 0, 5));  // Pillow's codes
  if (kind == kSamProcessor)
    set_sam_geometry(p, fields, defaults);
  else
    set_centred_geometry(p, fields, defaults);
  p.do_rescale = fields.boolean("do_rescale", true);
  p.rescale_factor = fields.number("rescale_factor", 1.0 / 255.0);
  p.rescale_first = defaults.rescale_first && p.do_rescale;
  p.do_normalize = fields.boolean("do_normalize", true);
  if (plain_type(type) == kMobileVitProcessor) {
    p.do_normalize = false;  // it knows the field and does not look at it
    p.bgr = p.channels == 3 && fields.boolean("do_flip_channel_order", true);
  } else if (fields.boolean("do_flip_channel_order", false)) {
    fail(ErrorCode::unsupported, "preprocess", "{} is true, which Vitrail does not implement",
         fields.path("do_flip_channel_order"));
  }
  p.mean = channel_values(fields, "image_mean", p.channels, defaults.mean);
  p.std = channel_values(fields, "image_std", p.channels, defaults.std);
  p.arithmetic = Arithmetic::huggingface;
  p.exif = ExifPolicy::apply;
  p.source = "preprocessor_config.json of " + std::string(defaults.type);
  check_preprocess(p);
  return p;
}

std::string hf_image_processor_type(const std::string& model_type) {
  static constexpr std::pair<const char*, const char*> kTypes[] = {
      // clang-format off
      {"vit", "ViTImageProcessor"},
      {"vit_mae", "ViTImageProcessor"},
      {"vit_msn", "ViTImageProcessor"},
      {"deit", "DeiTImageProcessor"},
      {"dinov2", "BitImageProcessor"},
      {"dinov2_with_registers", "BitImageProcessor"},
      {"ijepa", "ViTImageProcessor"},
      {"clip", "CLIPImageProcessor"},
      {"aimv2_vision_model", "CLIPImageProcessor"},
      {"metaclip_2", "CLIPImageProcessor"},
      {"metaclip_2_vision_model", "CLIPImageProcessor"},
      {"chinese_clip", "ChineseCLIPImageProcessor"},
      {"chinese_clip_vision_model", "ChineseCLIPImageProcessor"},
      {"owlvit_vision_model", "OwlViTImageProcessor"},
      {"blip_vision_model", "BlipImageProcessor"},
      {"blip_2_vision_model", "BlipImageProcessor"},
      {"internvl_vision", "GotOcr2ImageProcessor"},
      {"clip_vision_model", "CLIPImageProcessor"},
      {"siglip", "SiglipImageProcessor"},
      {"siglip_vision_model", "SiglipImageProcessor"},
      {"siglip2", "Siglip2ImageProcessor"},
      {"siglip2_vision_model", "Siglip2ImageProcessor"},
      {"beit", "BeitImageProcessor"},
      {"data2vec-vision", "BeitImageProcessor"},
      {"segformer", "SegformerImageProcessor"},
      {"sam", kSamProcessor},
      {"sam_vision_model", kSamProcessor},
      {"dinov3_vit", "DINOv3ViTImageProcessor"},
      {"pvt", "PvtImageProcessor"},
      {"pvt_v2", "PvtImageProcessor"},
      {"swin", "ViTImageProcessor"},
      {"swinv2", "ViTImageProcessor"},
      {"mobilevit", kMobileVitProcessor},
      {"mobilevitv2", kMobileVitProcessor},
      {"levit", "LevitImageProcessor"},
      {"cvt", "ConvNextImageProcessor"},
      // clang-format on
  };
  for (const auto& [model, type] : kTypes)
    if (model_type == model) return type;
  return "";
}

}  // namespace vitrail
