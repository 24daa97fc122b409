// ClassifierHead: the tokens of the last stage made one vector, and classes of it.
#pragma once

#include <optional>
#include <vector>

#include "models/heads/classifier_config.h"
#include "models/network.h"
#include "nn/batch_norm.h"
#include "nn/norm.h"
#include "nn/pooling.h"

namespace vitrail {

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
