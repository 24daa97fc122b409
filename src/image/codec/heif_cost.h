// What decoding a HEIF will take, found from its boxes before anything is decoded: the canvases of
// pictures that are made of others stand in their data, where no header shows them, and one coded
// picture may be named thousands of times.
#pragma once

#include <cstdint>
#include <map>

#include "image/codec/heif_items.h"

namespace vitrail {

class HeifCost {
 public:
  struct Cost {
    uint64_t bytes = 0;    // in use at once
    uint64_t decoded = 0;  // pixels decoded or laid out in all
    uint64_t canvas = 0;   // pixels of the picture itself; of a coded one, with what a crop hides
  };
  // Error: what cannot be known, circles, other codecs, more pixels than are allowed.
  HeifCost(const PictureSource& picture, const HeifItems& items);
  // Of the primary picture.
  const Cost& cost() const { return cost_; }

 private:
  Cost of(uint32_t number, int depth);
  Cost of_coded(const HeifItem& item);
  Cost of_derived(const HeifItem& item, int depth);

  const PictureSource& picture_;
  const HeifItems& items_;
  std::map<uint32_t, Cost> known_;
  uint64_t data_bytes_ = 0;
  Cost cost_;
};

}  // namespace vitrail
