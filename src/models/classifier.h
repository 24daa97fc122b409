// Classifier: a backbone with a classifier's head, which is what most networks are.
#pragma once

#include <optional>

#include "models/heads/classifier_head.h"
#include "models/network.h"

namespace vitrail {

// Whoever derives from it makes the backbone and then the head, so that parameters come in the
// order in which they are used.
class Classifier : public Network {
 public:
  using Network::visit_linears;

  NetworkOutput forward(const Context& context, const Variable& images) const override {
    return head_->forward(context, backbone().forward(context, images));
  }
  ClassifierHead& head() override { return *head_; }
  const ClassifierHead& head() const override { return *head_; }
  void visit_linears(const VisitLinear& visit) override { own_backbone().visit_linears(visit); }

 protected:
  using Network::Network;
  virtual Backbone& own_backbone() = 0;
  void make_head(const ClassifierConfig& config) { head_.emplace(Scope(parameters()), config); }
  void count_head(CostCounter& counter, const TokenLayout& layout) const override {
    head_->count(counter, layout);
  }

 private:
  std::optional<ClassifierHead> head_;
};

// The classifier of a backbone that has no more to it.
template <typename Body>
class ClassifierOf final : public Classifier {
 public:
  template <typename Config>
  ClassifierOf(const Config& config, const ClassifierConfig& head)
      : Classifier(config), backbone_(Scope(parameters()), config) {
    make_head(head);
  }
  const Body& backbone() const override { return backbone_; }

 protected:
  Body& own_backbone() override { return backbone_; }

 private:
  Body backbone_;
};

}  // namespace vitrail
