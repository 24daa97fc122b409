// Random changes to training pictures, on bytes, before normalisation. What happens to a picture
// depends on (seed, epoch, index, repetition, view) alone: neither on threads nor on the order of
// the pictures.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "data/auto_augment.h"
#include "image/augment/erase.h"
#include "image/augment/geometric.h"
#include "image/preprocess/preprocess.h"

namespace vitrail {

// Everything off by default. The steps run in this order.
struct AugmentOptions {
  // Random resized crop (Szegedy et al., "Going deeper with convolutions", 2015; defaults as
  // torchvision): a box of random area and aspect ratio, resized to the input size. It replaces
  // the preprocessing's own resize and crop.
  bool random_resized_crop = false;
  double min_scale = 0.08;  // of the picture's area
  double max_scale = 1.0;
  double min_ratio = 3.0 / 4.0;  // width / height
  double max_ratio = 4.0 / 3.0;
  // Of the crop and of auto_augment's turns: bicubic, bilinear, ..., or "random", which is bilinear
  // or bicubic by chance (timm).
  std::string crop_filter = "bicubic";

  // Random shift: so many pixels on every side of the picture at input size, then a crop of that
  // size at a random place.
  int64_t crop_padding = 0;
  bool reflect_padding = false;  // else black

  double flip_probability = 0;  // left to right
  double vertical_flip_probability = 0;

  // A policy (data/auto_augment.h): "rand-m9-mstd0.5-inc1" and the like, "3a", "cifar10".
  std::string auto_augment;

  // Colour jitter (torchvision's ColorJitter): factors from [1 - x, 1 + x], the hue's shift from
  // [-x, x], in random order.
  double jitter_brightness = 0, jitter_contrast = 0, jitter_saturation = 0, jitter_hue = 0;
  double jitter_probability = 1;
  double grey_probability = 0;
  double blur_probability = 0, blur_min_radius = 0.1, blur_max_radius = 2;
  double solarize_probability = 0, solarize_threshold = 128;

  // Random erasing (timm's RandomErasing), after normalisation: 1 to erase_count boxes, together
  // of these shares of the area, filled with "const" (zero), "rand" or "pixel".
  double erase_probability = 0;
  std::string erase_mode = "const";
  double erase_min_area = 0.02, erase_max_area = 1.0 / 3.0;
  double erase_min_ratio = 0.3;  // of the sides; at most 1 / erase_min_ratio
  int64_t erase_count = 1;

  // Repeated augmentation (Hoffer et al., CVPR 2020): a picture stands so many times in a row in
  // the order of the epoch, which keeps its length and so meets that part of the set alone.
  int64_t repeats = 1;

  bool operator==(const AugmentOptions&) const = default;
};

struct AugmentKey {
  uint64_t seed = 0;
  int64_t epoch = 0;
  int64_t index = 0;   // of the picture in its set
  int64_t repeat = 0;  // which of its repetitions
  int64_t view = 0;    // which of its crops
};

// Error naming the field that is out of range.
void check_augment(const AugmentOptions& options);
// Every field by its name, flat; from_json takes the fields that it finds and leaves others alone;
// set_field is false for a name that is no field. Error: a value that the field cannot have.
nlohmann::json to_json(const AugmentOptions& options);
void from_json(const nlohmann::json& in, AugmentOptions& options);
bool set_field(AugmentOptions& options, const std::string& name, const std::string& value);

// Single steps. A picture of width x height:
Image random_resized_crop(const Image& image, const AugmentOptions& options, const AugmentKey& key,
                          int width, int height);
// The size stays.
void shift_and_flip(Image& image, const AugmentOptions& options, const AugmentKey& key);
void jitter_colors(Image& image, const AugmentOptions& options, const AugmentKey& key);
void erase_boxes(const FloatPicture& picture, const AugmentOptions& options, const AugmentKey& key);

// All of it, for pictures of one size.
class Augmenter {
 public:
  Augmenter(const AugmentOptions& options, const Preprocess& preprocess, PictureSize size);

  const PictureSize& size() const { return size_; }
  // The changed picture before normalisation and erasing. `image` has the channels of the
  // preprocessing.
  Image changed(const Image& image, const AugmentKey& key) const;
  // Writes [channels, height, width], normalised.
  void write(const Image& image, const AugmentKey& key, float* out) const;

 private:
  AugmentOptions options_;
  Preprocess preprocess_, after_;  // after_: what is left to do with a picture of the right size
  PictureSize size_;
  std::optional<AutoAugment> policy_;
  std::array<uint8_t, 3> fill_{};  // beyond the edges: the mean colour
  bool changes_bytes_;
};

}  // namespace vitrail
