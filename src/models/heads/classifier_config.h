// ClassifierConfig: how tokens become one vector, and classes of it.
#pragma once

#include "models/class_answer.h"
#include "models/pooling.h"
#include "nn/norm.h"
#include "nn/pooling.h"

namespace vitrail {

struct ClassifierConfig {
  int64_t embed_dim = 0;  // of the tokens
  Pooling pooling = Pooling::class_token;
  MapPoolConfig map = {};  // of map pooling
  bool norm = false;       // fc_norm: of the pooled vector
  double epsilon = 1e-6;
  NormKind norm_kind = NormKind::layer;
  int64_t pre_logits_dim = 0;  // width of a layer with tanh in front of the head; 0: none
  ClassAnswer answer;
  bool bias = true;  // of the head
  // A second head, "head_dist", that reads the pooled vector, too: the answer is the mean of both
  // (LeViT, EfficientFormer, which distil without a token of their own).
  bool pooled_distillation = false;
  bool head_norm = false;  // batch normalisation in front of each head, head.{bn, linear} (LeViT)

  int64_t pooling_dim() const {
    return pooling == Pooling::class_and_mean ? 2 * embed_dim : embed_dim;
  }
  // What the head reads.
  int64_t pooled_dim() const { return pre_logits_dim > 0 ? pre_logits_dim : pooling_dim(); }
  bool operator==(const ClassifierConfig&) const = default;
};

}  // namespace vitrail
