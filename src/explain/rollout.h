// Attention rollout (Abnar and Zuidema 2020): how much of each input token reaches an output token
// through all layers, residual paths included, assuming that tokens keep their identity.
//
//   A_l = fuse over heads (P_l),  discard the smallest weights,
//   A~_l = (A_l + I) / 2, rows normalised to sum 1,  R = A~_L ... A~_1,  answer: s R,
//
// where s says which tokens the answer is read from: one-hot for a class token, uniform for a mean
// (models/heads/classifier_head.h: pooling_weights).
//
// Head fusion (mean, max, min) and the discard ratio are those of Gildenblat's vit-explain; there
// the class token's weight on itself, element (0, 0), is never discarded. Rows are normalised as
// the paper says.
//
// Only s R is wanted, so s is multiplied from the last layer backwards, a block of rows
// of P at a time: O(N) memory for a row and a block, never N x N.
#pragma once

#include <cstdint>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "nn/token_layout.h"
#include "ops/attention_probe.h"

namespace vitrail {

enum class HeadFusion : uint8_t { mean, max, min };
// "mean", "max", "min". Error: another word.
HeadFusion head_fusion_from_name(const std::string& name);
const char* name_of(HeadFusion fusion);

struct RolloutOptions {
  HeadFusion fusion = HeadFusion::mean;
  double discard_ratio = 0;  // share of a layer's fused weights set to zero, smallest first; [0, 1)
  std::stop_token stop = {};  // asked between layers
};

// Error: options out of range.
void check_rollout(const RolloutOptions& options);

// s R for sample `sample` of the batch: [N]. The probe must have kept every layer of one encoder,
// in order, all with the same number of tokens. Error: it has not; options out of range.
std::vector<float> attention_rollout(Queue& queue, const AttentionProbe& probe, int64_t sample,
                                     std::span<const double> start,
                                     const RolloutOptions& options = {});

}  // namespace vitrail
