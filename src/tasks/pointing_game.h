// The pointing game (Zhang et al., "Top-down neural attention by excitation backprop", ECCV 2016):
// whether a map's highest point lies on an object. Here the map is the attention of the class token
// in the last layer, and the objects are those of scenes, whose masks are known.
#pragma once

#include <cstdint>
#include <vector>

#include "data/dataset.h"
#include "data/scenes.h"
#include "infer/session.h"

namespace vitrail {

struct PointingResult {
  int64_t pictures = 0;
  int64_t hits = 0;                // of the mean over heads
  std::vector<int64_t> head_hits;  // of each head
  double chance = 0;               // what pointing anywhere would hit
  double accuracy() const { return share(hits); }
  std::vector<double> head_accuracies() const {
    std::vector<double> shares;
    for (const int64_t count : head_hits) shares.push_back(share(count));
    return shares;
  }

 private:
  double share(int64_t count) const {
    return pictures == 0 ? 0 : static_cast<double>(count) / static_cast<double>(pictures);
  }
};

// The first `count` pictures of a split. A point is the middle of the patch with the highest
// attention; a hit if any object of the scene is seen there. Error: a model without a class token,
// or whose preprocessing crops.
PointingResult pointing_game(Session& session, const SceneOptions& options, Split split,
                             int64_t count);

}  // namespace vitrail
