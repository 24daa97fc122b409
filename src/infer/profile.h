// Profile: where the time of a pass goes, operation by operation, measured while the model runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "infer/session.h"

namespace vitrail {

struct ProfileRow {
  std::string path;       // "blocks.3.attn.qkv"; "blocks.*.attn.qkv" of a kind; "" of what has none
  std::string operation;  // "linear", "layer_norm", "attention", ...; kBetween
  Precision precision = Precision::f32;
  int64_t calls = 0;          // in one pass
  int64_t multiply_adds = 0;  // in one pass
  double seconds = 0;         // in one pass, without operations inside that have their own row
};

// The time that belongs to no operation: memory, checks, the walk through the modules.
inline constexpr const char* kBetween = "between";

struct Profile {
  int passes = 0;      // that the times are means of
  double seconds = 0;  // a whole pass; the sum of either list
  // By path and operation, in the order in which they run; the last row is what lies between.
  std::vector<ProfileRow> layers;
  // The same with equal layers of all blocks together, the longest first.
  std::vector<ProfileRow> kinds;
};

// Runs the pictures `runs` times after one pass to warm up, and takes the faster half: a mean adds
// up, and what other programs do to a pass falls away with the slower ones. runs >= 1.
Profile profile(Session& session, const Tensor& images, int runs);

}  // namespace vitrail
