// The crops of self-distillation (DINO, Caron et al., ICCV 2021): two large ones of a picture, and
// small ones of small parts of it, each changed in its own way.
#pragma once

#include <vector>

#include "data/loader.h"

namespace vitrail {

struct MultiCropOptions {
  PictureSize global_size;
  PictureSize local_size;  // of parts of the picture; a side of about 0.43 of the global one
  int64_t local_crops = 6;
  double global_min_scale = 0.4;  // shares of the area; global crops go up to 1
  double local_min_scale = 0.05, local_max_scale = 0.4;
  // Colour jitter over DINO's own (0.4 of brightness and contrast, 0.2 of saturation, 0.1 of hue;
  // 0 to 5), and the share of crops that are grey: where colours alone would tell one picture's
  // crops from another's, more of both leaves the shapes to tell.
  double jitter = 1, grey_probability = 0.2;
  // Of the Gaussian blur, in pixels. DINO's 0.1 to 2 is for crops of 224 pixels.
  double blur_min_radius = 0.1, blur_max_radius = 2;
};

// For LoaderOptions::views: the two global crops, then the local ones, changed as DINO's published
// recipe does. Error: sizes, scales or radii out of range.
std::vector<ViewOptions> multi_crop(const MultiCropOptions& options);

}  // namespace vitrail
