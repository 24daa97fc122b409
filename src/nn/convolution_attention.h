// Attention whose queries, keys and values are convolved before they are projected: each by a
// depth-wise convolution with batch normalisation, keys and values with a stride, so that they are
// fewer (Wu et al., "CvT", 2021, section 3.2). A class token is not convolved.
#pragma once

#include <string>

#include "nn/cost.h"
#include "nn/linear.h"
#include "nn/normed_convolution.h"

namespace vitrail {

struct ConvolutionAttentionConfig {
  int64_t embed_dim = 0, num_heads = 1;
  int64_t kernel = 3;                       // odd; queries keep the grid
  int64_t key_stride = 2, key_padding = 1;  // of keys and values
  bool class_token = false;                 // in front of the grid's tokens
  bool qkv_bias = true;
};

class ConvolutionAttention {
 public:
  // Parameters: conv_proj_{q, k, v}.{conv.weight, bn.*}, proj_{q, k, v}.*, proj.*.
  ConvolutionAttention(const Scope& scope, const ConvolutionAttentionConfig& config);
  // x [B, prefix + height * width, D], already normalised; the epilogue rides on the output
  // projection.
  Variable forward(const Context& context, const Variable& x, int64_t height, int64_t width,
                   const LinearEpilogue& epilogue) const;
  LayerCost cost(int64_t height, int64_t width) const;
  int64_t heads() const { return config_.num_heads; }
  // Whether its keys are the tokens of the grid, each once.
  bool of_its_tokens() const {
    return config_.key_stride == 1 && 2 * config_.key_padding == config_.kernel - 1;
  }
  const std::string& path() const { return path_; }
  void visit_linears(const VisitLinear& visit) {
    for (LinearSlot* slot : {&proj_q_, &proj_k_, &proj_v_, &proj_}) visit(*slot);
  }

 private:
  ConvolutionAttentionConfig config_;
  std::string path_;
  NormedConvolution conv_q_, conv_k_, conv_v_;
  LinearSlot proj_q_, proj_k_, proj_v_, proj_;
};

}  // namespace vitrail
