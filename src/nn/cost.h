// What a network takes, counted by the modules themselves: each says beside its forward() what one
// picture costs it, so that nobody computes it again from a configuration.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "nn/registry.h"

namespace vitrail {

// Counts are of one picture.
struct LayerCost {
  std::string path;  // "patch_embed", "blocks.0.attn", "head"
  Shape output;
  int64_t multiply_adds = 0;  // of matrix products and convolutions
  int64_t values = 0;         // numbers that are in memory at once while it runs
  double scores = 0;          // of attention: a query by a key, of every head
  int64_t qkv_values = 0;     // of attention: what stays in memory when its rows are asked for
  int64_t parameters = 0;     // below this path: CostCounter fills it in
};

struct ModelCost {
  std::vector<LayerCost> layers;  // in the order in which they run
  int64_t parameters = 0;
  int64_t multiply_adds = 0;
  int64_t tokens = 0;  // of the last stage

  int64_t largest_values() const {
    int64_t largest = 0;
    for (const LayerCost& layer : layers) largest = std::max(largest, layer.values);
    return largest;
  }
  double scores() const { return sum(&LayerCost::scores); }
  int64_t qkv_values() const { return sum(&LayerCost::qkv_values); }

 private:
  template <typename Count>
  Count sum(Count LayerCost::*field) const {
    Count total = 0;
    for (const LayerCost& layer : layers) total += layer.*field;
    return total;
  }
};

class CostCounter {
 public:
  explicit CostCounter(const ParameterRegistry& parameters) : parameters_(parameters) {}

  // A layer without a count of values holds what goes in, what comes out and what is between, each
  // as large as what comes out.
  void add(LayerCost layer) {
    if (layer.values == 0) layer.values = 3 * layer.output.numel();
    layer.parameters = parameters_below(layer.path);
    cost_.multiply_adds += layer.multiply_adds;
    cost_.layers.push_back(std::move(layer));
  }

  ModelCost finish(int64_t tokens) {
    cost_.parameters = parameters_.num_elements();
    cost_.tokens = tokens;
    return std::move(cost_);
  }

 private:
  int64_t parameters_below(const std::string& path) const {
    int64_t count = 0;
    for (const auto& parameter : parameters_.all())
      if (parameter->kind() == Parameter::Kind::weight && parameter->path().starts_with(path + "."))
        count += parameter->shape().numel();
    return count;
  }

  const ParameterRegistry& parameters_;
  ModelCost cost_;
};

}  // namespace vitrail
