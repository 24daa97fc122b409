// ClassifierOf: the network of a backbone that is built from its configuration alone.
#pragma once

#include "models/classifier.h"

namespace vitrail {

template <typename OwnBackbone, typename Config>
class ClassifierOf : public Classifier {
 public:
  ClassifierOf(const Config& config, const ClassifierConfig& head)
      : Classifier(config), backbone_(Scope(parameters()), config) {
    make_head(head);
  }
  const OwnBackbone& backbone() const override { return backbone_; }

 protected:
  OwnBackbone& own_backbone() override { return backbone_; }

 private:
  OwnBackbone backbone_;
};

}  // namespace vitrail
