// VisionTransformer: the plain Vision Transformer with a classifier's head, or without classes the
// backbone and its pooling alone.
#pragma once

#include "models/backbones/vit_backbone.h"
#include "models/classifier.h"

namespace vitrail {

class VisionTransformer : public Classifier {
 public:
  // Parameters have no values yet: initialise() them or load a checkpoint. Error: the config's.
  explicit VisionTransformer(const VitConfig& config);

  const VitConfig& config() const { return as_vit(Network::config()); }
  const VitBackbone& backbone() const override { return backbone_; }

 protected:
  VitBackbone& own_backbone() override { return backbone_; }

 private:
  VitBackbone backbone_;
};

}  // namespace vitrail
