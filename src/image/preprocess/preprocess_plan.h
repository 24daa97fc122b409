// The geometry of one picture's preprocessing.
#pragma once

#include "image/preprocess/preprocess.h"

namespace vitrail {

struct PreprocessPlan {
  int resized_width, resized_height;
  int width, height;
  int left, top;  // of the output within the resized picture
};

// Error: as preprocess_geometry.
PreprocessPlan preprocess_plan(int width, int height, const Preprocess& preprocess);
PreprocessResult result_of(const PreprocessPlan& plan, int width, int height);

}  // namespace vitrail
