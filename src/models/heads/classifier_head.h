// ClassifierHead: the tokens of the last stage made one vector, and classes of it.
#pragma once

#include <optional>
#include <vector>

#include "models/network.h"
#include "models/pooling.h"
#include "nn/batch_norm.h"
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
};

class ClassifierHead {
 public:
  // Parameters: sequence_pool.*, attn_pool.*, fc_norm.*, pre_logits.fc.*, head.*, head_dist.*; with
  // norms in front of the heads head.{bn, linear}.*.
  ClassifierHead(const Scope& root, const ClassifierConfig& config);

  // The observer is told "pooled" and "head".
  NetworkOutput forward(const Context& context, std::vector<Feature> features) const;

  const ClassAnswer& class_answer() const { return config_.answer; }
  int64_t pooled_dim() const { return config_.pooled_dim(); }
  // Null without classes.
  Linear* linear() const { return head_.get(); }
  // The head of a distillation token, which stands behind the class token, or the second one of the
  // pooled vector; null without one.
  Linear* distillation_linear() const { return head_dist_.get(); }

  // How much each token of the last stage weighs in the pooled vector, where that is a fixed mean;
  // learned pooling counts as the mean of what it pools. Sums to 1.
  std::vector<double> pooling_weights(const TokenLayout& layout) const;

  void count(CostCounter& counter, const TokenLayout& layout) const;

 private:
  Variable pool(const Context& context, const Feature& feature) const;
  void classify(const Context& context, NetworkOutput& output) const;

  ClassifierConfig config_;
  std::optional<SequencePool> sequence_pool_;
  std::optional<MapPool> map_pool_;
  std::optional<LayerNorm> norm_;
  LinearSlot pre_logits_, head_, head_dist_;
  std::optional<BatchNorm> head_bn_, head_dist_bn_;  // in front of them
};

}  // namespace vitrail
