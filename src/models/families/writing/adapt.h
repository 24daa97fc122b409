// A plain Vision Transformer bent to what a family can say, without changing an answer.
#pragma once

#include "models/families/convert.h"

namespace vitrail {

class VitFamily;

// Error naming what the family cannot express.
Adapted adapt_vit(const VitConfig& config, const TensorSource& canonical, const VitFamily& target);

}  // namespace vitrail
