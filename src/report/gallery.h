// Pictures with their attention, small enough that a page holds many.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "image/image.h"
#include "infer/session.h"

namespace vitrail {

struct GalleryPicture {
  std::string id;
  Image picture;                  // what the model saw
  int64_t rows = 0, columns = 0;  // of its patches
  // What the answer was read from attends to, a value a patch: through all layers (rollout), and in
  // the last layer (mean of its heads), both exact. Empty where this model's cannot be computed.
  std::vector<float> rollout, last_layer;
  std::string remark;         // why there are none
  std::string label, answer;  // "" where there is none
  double label_probability = 0, answer_probability = 0;
};

// Error: what preprocessing refuses.
GalleryPicture gallery_picture(Session& session, const Image& photo);

// For src/report/web/run.js.
nlohmann::json gallery_data(const std::vector<GalleryPicture>& pictures);

// A picture for the page: PNG where it is small or few pixels count, else JPEG.
std::string picture_address(const Image& picture);

}  // namespace vitrail
