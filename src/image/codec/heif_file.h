#pragma once

#include <string>

#include "image/codec/heif_items.h"

namespace vitrail {

// A HEIF of this coded item alone, number 1, with those of its properties that an answer depends
// on: what libheif is given.
std::string heif_of(const HeifItem& item);

}  // namespace vitrail
