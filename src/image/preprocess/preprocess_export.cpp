// Preprocessing in other families' words, for models that are converted to them.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>

#include "core/error.h"
#include "image/preprocess/preprocess.h"

namespace vitrail {
namespace {

template <typename... Args>
void require(bool condition, const char* target, fmt::format_string<Args...> format,
             Args&&... args) {
  if (!condition)
    fail("preprocess", "{} cannot express {}", target,
         fmt::format(format, std::forward<Args>(args)...));
}

std::vector<double> channel_list(const std::array<double, 3>& values, int channels) {
  return {values.begin(), values.begin() + channels};
}

bool crop_may_pad(const Preprocess& p) {
  return p.resize == ResizeMode::none || p.resize == ResizeMode::fit ||
         p.resize == ResizeMode::longest_edge || p.crop_to.height > p.resize_to.height ||
         p.crop_to.width >
             (p.resize == ResizeMode::shortest_edge ? p.resize_to.height : p.resize_to.width);
}

// The rules differ where an odd number of pixels is cut away: by one pixel at most.
bool crop_rules_may_differ(const Preprocess& p) {
  if (p.resize != ResizeMode::squash) return true;
  const int spare_height = p.resize_to.height - p.crop_to.height;
  const int spare_width = p.resize_to.width - p.crop_to.width;
  return spare_height % 2 != 0 || spare_width % 2 != 0;
}

// The shortest crop_pct that timm's floor(crop / crop_pct) turns into each resized side.
std::optional<double> crop_pct_for(const Preprocess& p) {
  const double ratio = static_cast<double>(p.crop_to.height) / p.resize_to.height;
  const auto fits = [&p](double pct) {
    return pct > 0 && std::floor(p.crop_to.height / pct) == p.resize_to.height &&
           std::floor(p.crop_to.width / pct) == p.resize_to.width;
  };
  constexpr int kMaxDigits = 17;
  for (int digits = 0; digits <= kMaxDigits; ++digits) {
    const double scale = std::pow(10.0, digits);
    for (const double rounded : {std::nearbyint(ratio * scale), std::floor(ratio * scale)}) {
      // Through text, so that 0.9 is the double that a config holds.
      const double pct =
          std::strtod(fmt::format("{:.{}f}", rounded / scale, digits).c_str(), nullptr);
      if (fits(pct)) return pct;
    }
  }
  return std::nullopt;
}

bool plain_rescale(const Preprocess& p) {
  return p.do_rescale && std::abs(p.rescale_factor * 255.0 - 1.0) < 1e-12;
}

}  // namespace

TranslatedPreprocess to_timm(const Preprocess& p) {
  check_preprocess(p);
  const char* target = "timm's pretrained_cfg";
  require(plain_rescale(p), target, "a rescale factor other than 1/255");
  require(p.do_normalize, target, "pixels that are not normalised");
  require(!p.rescale_first, target, "rescaling before the resize");
  require(!p.bgr, target, "channels in the order blue, green, red");

  require(p.crop != CropRule::corner, target, "padding behind the picture");

  Preprocess q = p;
  if (q.crop == CropRule::none) {
    require(q.resize == ResizeMode::squash, target, "an output size that depends on the picture");
    q.crop_to = q.resize_to;
  }
  const char* mode = "center";
  if (q.resize == ResizeMode::squash) {
    mode = "squash";
  } else if (q.resize == ResizeMode::fit) {
    mode = "border";
    for (size_t i = 0; i < static_cast<size_t>(q.channels); ++i)
      require(q.fill[i] == std::clamp(std::nearbyint(255 * q.mean[i]), 0.0, 255.0), target,
              "a border of another colour than the mean");
  } else {
    require(q.resize == ResizeMode::shortest_edge || q.resize == ResizeMode::cover, target,
            "this resize mode");
    if (q.resize == ResizeMode::shortest_edge) q.resize_to.width = q.resize_to.height;
    // timm takes the short side for a square target and covers any other.
    require((q.resize == ResizeMode::shortest_edge) == (q.resize_to.height == q.resize_to.width) &&
                (q.resize != ResizeMode::shortest_edge || q.crop_to.height == q.crop_to.width),
            target, "a crop of {}x{} from a short side of {}", q.crop_to.height, q.crop_to.width,
            q.resize_to.height);
  }
  if (q.resize != ResizeMode::fit && crop_may_pad(q))
    require(std::all_of(q.fill.begin(), q.fill.begin() + q.channels, [](int v) { return v == 0; }),
            target, "padding that is not black");
  const std::optional<double> crop_pct = crop_pct_for(q);
  require(crop_pct.has_value(), target, "a resize to {}x{} before a crop of {}x{}",
          q.resize_to.height, q.resize_to.width, q.crop_to.height, q.crop_to.width);

  TranslatedPreprocess out;
  out.config["input_size"] = {q.channels, q.crop_to.height, q.crop_to.width};
  out.config["interpolation"] = name_of(q.filter);
  out.config["mean"] = channel_list(q.mean, q.channels);
  out.config["std"] = channel_list(q.std, q.channels);
  out.config["crop_pct"] = *crop_pct;
  out.config["crop_mode"] = mode;
  if (p.crop == CropRule::huggingface && crop_rules_may_differ(p))
    out.differences.push_back("timm rounds the crop's offset half to even, not down: one pixel");
  if (p.arithmetic != Arithmetic::torchvision)
    out.differences.push_back("timm divides by 255 in float32: the last bit of some values");
  if (p.exif != ExifPolicy::ignore)
    out.differences.push_back("timm's loaders ignore EXIF's orientation");
  return out;
}

TranslatedPreprocess to_hf(const Preprocess& p) {
  check_preprocess(p);
  const char* target = "an image processor of transformers";
  const bool pads = p.crop == CropRule::corner;
  require((p.resize == ResizeMode::longest_edge) == pads && p.resize != ResizeMode::cover &&
              p.resize != ResizeMode::fit,
          target, "this resize mode");
  require(
      !p.bgr || (!p.do_normalize && !p.rescale_first), target,
      "channels in the order blue, green, red that are normalised or rescaled before the resize");
  require(!pads || (!p.rescale_first && !p.bgr), target,
          "padding behind the picture beside a rescale before the resize or blue first");
  const bool crops = p.crop != CropRule::none && !pads;
  if (crops && crop_may_pad(p))
    require(std::all_of(p.fill.begin(), p.fill.begin() + p.channels, [](int v) { return v == 0; }),
            target, "padding that is not black");
  const bool shortest = p.resize == ResizeMode::shortest_edge;
  const bool patches = p.resize == ResizeMode::patches;
  require(!patches || !crops, target, "a crop of whole patches");
  TranslatedPreprocess out;
  auto& config = out.config;
  if (patches) {
    config["patch_size"] = p.resize_to.height;
    config["max_num_patches"] = p.resize_to.width;
  } else if (p.resize != ResizeMode::none) {
    if (shortest || pads)
      config["size"] = {{shortest ? "shortest_edge" : "longest_edge", p.resize_to.height}};
    else
      config["size"] = {{"height", p.resize_to.height}, {"width", p.resize_to.width}};
  }
  config["do_resize"] = p.resize != ResizeMode::none;
  config["resample"] = static_cast<int>(p.filter);
  config["do_center_crop"] = crops;
  if (crops) config["crop_size"] = {{"height", p.crop_to.height}, {"width", p.crop_to.width}};
  if (pads) {
    config["do_pad"] = true;
    config["pad_size"] = {{"height", p.crop_to.height}, {"width", p.crop_to.width}};
  }
  config["do_rescale"] = p.do_rescale;
  config["rescale_factor"] = p.rescale_factor;
  config["do_normalize"] = p.do_normalize;
  config["image_mean"] = channel_list(p.mean, p.channels);
  config["image_std"] = channel_list(p.std, p.channels);
  if (shortest) config["do_convert_rgb"] = p.channels == 3;
  if (p.bgr) config["do_flip_channel_order"] = true;
  config["image_processor_type"] = p.bgr             ? "MobileViTImageProcessor"
                                   : p.rescale_first ? "DINOv3ViTImageProcessorFast"
                                   : patches         ? "Siglip2ImageProcessor"
                                   : pads            ? "SamImageProcessor"
                                   : shortest        ? "BitImageProcessor"
                                   : crops           ? "DeiTImageProcessor"
                                                     : "ViTImageProcessor";
  if (p.crop == CropRule::torchvision && crop_rules_may_differ(p))
    out.differences.push_back(
        "transformers rounds the crop's offset down, not half to even: one pixel");
  if (p.arithmetic != Arithmetic::huggingface)
    out.differences.push_back(
        "transformers multiplies by the factor in float64: the last bit of some values");
  if (p.exif != ExifPolicy::apply)
    out.differences.push_back("transformers' load_image applies EXIF's orientation");
  return out;
}

}  // namespace vitrail
