// Training pictures as people see them: batches turned back into bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/loader.h"
#include "image/image.h"
#include "train/run/config.h"

namespace vitrail {

// Picture i of images [B, C, H, W], rescaled and normalised by `preprocess`, as bytes. What lies
// outside of 0 to 255 is clipped.
Image picture_of(const Tensor& images, int64_t i, const Preprocess& preprocess);

// How much of a picture's target is a class: all of it, unless pictures were mixed.
struct LabelShare {
  int64_t label = 0;
  double share = 1;
};

struct SamplePicture {
  Image picture;
  std::vector<LabelShare> labels;  // the largest first; of mixed pictures at most two
};
// The first pictures of a run's first epoch, as augmented: the loader itself prepares them.
// Pictures that cannot be read are passed over.
std::vector<SamplePicture> sample_pictures(const TrainConfig& config, const Dataset& training,
                                           int64_t count);

// Pictures of one size in rows of `columns`, a pixel apart.
Image contact_sheet(const std::vector<SamplePicture>& samples, int columns);

}  // namespace vitrail
