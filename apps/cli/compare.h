// A model's activations beside those that another program wrote to a file.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "infer/session.h"

namespace vitrail::cli {

struct LayerComparison {
  std::string name;  // as the file has it
  double error = 0;  // max |a - b| / max |b|; infinite when shapes differ
  std::string note;  // "" or why the error is infinite
  bool agrees = true;
};

struct Comparison {
  std::string file;
  double tolerance = 0;
  std::vector<LayerComparison> layers;  // in the order in which the model runs
  std::optional<std::string> first_divergence;
  std::vector<std::string> ignored;  // tensors of the file that name no activation
};

// Runs the file's `input` [B, C, H, W] and compares 'patch_embed', 'tokens', 'blocks.i' (or
// 'block.i'), 'norm', 'pooled' and 'logits' (or 'head'), whichever the file holds.
// Error: no input, or nothing to compare with it.
Comparison compare_with_reference(Session& session, const std::string& file, double tolerance);

void print_comparison(const Comparison& comparison);
nlohmann::ordered_json comparison_json(const Comparison& comparison);

}  // namespace vitrail::cli
