// Preprocess: from a picture to the tensor that a model family expects, as plain data. Every
// family's rule is a row of values here; none is guessed.
//
// Order: resize, crop (or pad), rescale, normalise; with rescale_first, rescale comes first and
// the resize works on floats. Sizes and offsets round as the family's library does, and floats are
// computed in its order, in float32.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "image/codec/codec.h"
#include "image/image.h"
#include "image/resize.h"

namespace vitrail {

enum class ResizeMode : uint8_t {
  none,
  squash,         // exactly height x width
  shortest_edge,  // short side = height; the long one int(height * long / short)
  longest_edge,   // long side = height; the short one int(short * height / long + 0.5)
  cover,          // at least height x width, the ratio kept; round half to even (timm)
  patches,  // sides that are whole patches of `height` pixels, at most `width` patches in all,
            // the ratio kept as nearly as that allows (SigLIP 2's NaFlex)
  fit,      // at most height x width, the ratio kept; round half to even (timm's border)
};

// Where a centred crop starts, and where a picture too small is laid on the padding.
enum class CropRule : uint8_t {
  none,
  torchvision,  // int(round((size - crop) / 2.0)), half to even; padding: floor before
  huggingface,  // floor((size - crop) / 2); padding: ceil before
  corner,       // at the top left; padding, all behind it, is 0 after normalising (SAM)
};

// How a byte becomes a float, each step rounded to float32.
enum class Arithmetic : uint8_t {
  torchvision,  // u8 / 255, then (x - mean) / std
  huggingface,  // float64(u8) * rescale_factor, to float32, then (x - mean) / std (transformers'
                // PIL image processors, which resize with Pillow)
};

// The longest side that a resize or crop may ask for.
inline constexpr int kMaxPreprocessSide = 16384;

struct PictureSize {
  int height = 0;
  int width = 0;
  bool operator==(const PictureSize&) const = default;
};

struct Preprocess {
  int channels = 3;  // 3: RGB, 1: grey

  ResizeMode resize = ResizeMode::squash;
  PictureSize resize_to{224, 224};  // the edge modes read height alone
  Filter filter = Filter::bicubic;
  PassOrder passes = PassOrder::horizontal_first;

  CropRule crop = CropRule::none;
  PictureSize crop_to{224, 224};
  std::array<uint8_t, 3> fill{};  // the padding's colour, before rescaling

  bool bgr = false;  // the output's channels are blue, green, red; only of three channels

  bool do_rescale = true;
  double rescale_factor = 1.0 / 255.0;
  bool rescale_first = false;
  bool do_normalize = true;
  std::array<double, 3> mean{0.5, 0.5, 0.5};  // the first `channels` count: red, green, blue
  std::array<double, 3> std{0.5, 0.5, 0.5};
  Arithmetic arithmetic = Arithmetic::torchvision;

  // What the family's own loader does: timm and torchvision ignore EXIF's orientation,
  // transformers' load_image applies it.
  ExifPolicy exif = ExifPolicy::ignore;

  std::string source;  // where this came from, for people

  bool operator==(const Preprocess&) const = default;

  // Which plane of the output a channel of the picture fills.
  int plane_of(int channel) const { return bgr ? 2 - channel : channel; }
  DecodeOptions decode_options() const;  // exif and colour; limits are the defaults
};

// What became of a picture's geometry.
struct PreprocessResult {
  int height = 0, width = 0;                  // of the output
  int resized_height = 0, resized_width = 0;  // between resize and crop
  // The output's edges in pixels of the original picture; beyond it where padding was added.
  SourceBox box;
};

// Error: a crop without sizes, ... : a Preprocess that cannot be applied names its field.
void check_preprocess(const Preprocess& preprocess);

// The geometry alone. Error: the resized or padded picture would exceed kMaxPicturePixels.
PreprocessResult preprocess_geometry(int width, int height, const Preprocess& preprocess);
// The size of the output for every picture, where it does not depend on the picture: {0, 0} else.
PictureSize fixed_output_size(const Preprocess& preprocess);

// The same preparation for outputs of another size: resize and crop in the same proportion, and
// what crops covers (the short side, so that no padding comes in; a long side fits into both).
// Error: a preprocessing that gives each picture a size of its own.
Preprocess at_size(const Preprocess& preprocess, PictureSize size);

// Writes [channels, height, width] floats. `image` may be grey or RGB, whichever is asked for.
PreprocessResult apply(const Image& image, const Preprocess& preprocess, float* out);
// The same floats as apply() of the decoded file, without the picture in memory: rows are decoded,
// resized and normalised as they come, and what the crop leaves out is skipped. Error: also what
// load_picture refuses.
PreprocessResult apply_file(const std::filesystem::path& path, const Preprocess& preprocess,
                            float* out);
// The same of a file's bytes; `name` stands for the picture in messages.
PreprocessResult apply_encoded(std::span<const std::byte> bytes, const Preprocess& preprocess,
                               const std::string& name, float* out);
// The picture that the model saw: resized and cropped, before rescaling.
Image apply_geometry(const Image& image, const Preprocess& preprocess);

// ---- Configurations of the families. Error names the field and what would be right. ----

// timm's pretrained_cfg (an object holding one is accepted too), as its eval transform reads it:
// resize to floor(input_size / crop_pct); missing fields have timm's defaults.
Preprocess from_timm(const nlohmann::json& pretrained_cfg);
// transformers' preprocessor_config.json. Missing fields have the defaults of its
// image_processor_type (or feature_extractor_type), or else of `default_type`.
Preprocess from_hf(const nlohmann::json& config, const std::string& default_type = "");
// The image processor that transformers takes for a config.json's model_type; "" if unknown here.
std::string hf_image_processor_type(const std::string& model_type);

// Vitrail's own block: every field, explicitly.
nlohmann::ordered_json to_json(const Preprocess& preprocess);
Preprocess from_json(const nlohmann::json& block);

// Another family's configuration, with what it cannot say exactly (a rounding rule, the EXIF
// policy) in words. Error: what would change the picture's geometry or scale.
struct TranslatedPreprocess {
  nlohmann::ordered_json config;
  std::vector<std::string> differences;
};
TranslatedPreprocess to_timm(const Preprocess& preprocess);
TranslatedPreprocess to_hf(const Preprocess& preprocess);

}  // namespace vitrail
