// What a page can carry of the attention of a picture: everything in f32 where that fits, else q
// and k in f16, else fewer layers, else q and k averaged over cells of patches (of layers that all
// have the same tokens and add nothing to their scores).
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <vector>

#include "explain/explanation.h"

namespace vitrail {

struct StoragePlan {
  bool half = false;            // q and k in f16; log-sum-exp is always f32
  int64_t cell = 1;             // patches a side that share one query and one key
  std::vector<int64_t> layers;  // ascending; the first and the last one when there are two or more
};

// The first of these that fits into max_bytes of text. No layers when not even one of one cell
// does.
StoragePlan plan_storage(const Explanation& explanation, size_t max_bytes);

// The object "attention" of the page's data (src/report/web/explain.js reads it), with a note in
// words on what was stored and how far it is from exact.
nlohmann::json stored_attention(Queue& queue, const Explanation& explanation,
                                const StoragePlan& plan);

// q and k averaged over cells of cell x cell patches (fewer at the lower and right edges), prefix
// tokens kept; log-sum-exp over the averaged keys, each counted as often as it has patches, so that
// rows still sum to one.
LayerAttention pooled_layer(const LayerAttention& layer, const TokenLayout& layout, int64_t cell);

}  // namespace vitrail
