// What a pass of a network takes, estimated before anything is allocated: a configuration may ask
// for an input that no machine holds, or that takes hours.
#pragma once

#include <cstdint>

#include "image/preprocess/preprocess.h"
#include "models/network.h"

namespace vitrail {

struct PassSize {
  int64_t batch = 1;
  PictureSize picture;
  bool keeps_attention = false;  // queries, keys and values of every block, to be asked later
  bool prepares_ahead = false;   // the next batch is in memory beside this one
  bool operator==(const PassSize&) const = default;
};

struct PassLimits {
  uint64_t memory = 0;  // bytes; 0: half of the machine's memory
  bool slow = false;    // whether a pass may take as long as it likes
};

// Scores of attention, tokens by tokens in all heads and blocks, that a picture may have: some
// minutes on two cores. The largest published ViT has 5 billion at 518 pixels.
inline constexpr double kMaxAttentionScores = 100e9;

// Bytes of pictures and activations at their largest, the weights not counted.
uint64_t pass_bytes(const Network& network, const PassSize& size);

// Error: a size that the network does not take, more memory than the limit, more work.
void check_pass(const Network& network, const PassSize& size, const PassLimits& limits);

}  // namespace vitrail
