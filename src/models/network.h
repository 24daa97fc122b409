// Network: what every model is to those who load, pack, run, train, save and look at it. They ask
// it for what they need and never for which model it is.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "models/backbone.h"
#include "models/network_config.h"

namespace vitrail {

struct NetworkOutput {
  Variable logits;  // [B, classes]; undefined when the network has no head
  // Of the two heads of a network with a distillation token, whose mean `logits` is; else
  // undefined.
  Variable class_logits, distillation_logits;
  Variable pooled;                // [B, pooled_dim]: what the head reads
  std::vector<Feature> features;  // of the backbone, by stage; the last one was pooled

  const Variable& tokens() const { return features.back().tokens; }
  const TokenLayout& layout() const { return features.back().layout; }
};

// How weights are made ready for inference.
struct Packing {
  PrecisionPlan precision = {};
  // One batch will run and no more: f32 projections are read where they are, a panel at a time,
  // which costs that batch less than packing costs the start.
  bool single_pass = false;
};

class ClassifierHead;

class Network {
 public:
  virtual ~Network() = default;
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  ParameterRegistry& parameters() { return *registry_; }
  const ParameterRegistry& parameters() const { return *registry_; }

  // images as pictures() says; another size may be taken, as layout() says. context.observer is
  // told each named activation: those of the backbone, "pooled" and "head". Error: channels or a
  // size that do not fit.
  virtual NetworkOutput forward(const Context& context, const Variable& images) const = 0;

  const NetworkConfig& config() const { return config_; }
  PictureInput pictures() const { return config_.pictures(); }
  ClassAnswer class_answer() const { return config_.class_answer(); }
  virtual const Backbone& backbone() const = 0;
  // What makes classes of the features; it is there without classes, too, for it pools.
  virtual ClassifierHead& head() = 0;
  virtual const ClassifierHead& head() const = 0;

  // The projections that may be replaced by an adapter, in the order in which they run.
  virtual void visit_linears(const VisitLinear& visit) = 0;
  // The same to look at.
  void visit_linears(const std::function<void(const LinearSlot& slot)>& visit) const;

  // Of the last stage. Error: a size that the network does not take.
  TokenLayout layout(int64_t picture_height, int64_t picture_width) const {
    return backbone().layout(picture_height, picture_width);
  }
  // For one picture of this size. Error: as of layout().
  ModelCost cost(int64_t picture_height, int64_t picture_width) const;

  // For inference: packs every projection in its precision, one on each thread, and gives its
  // source back, so that the weights are in memory once. Weights of our own memory cannot be read
  // or saved afterwards. Batch normalisation is folded into the products before it (nn/registry.h).
  // `fill`, where there is one, gives a parameter its value when its turn comes, from any thread;
  // so no more sources than threads are in memory.
  void pack_for_inference(Queue& queue, const Packing& packing = {},
                          const std::function<void(Parameter&)>& fill = nullptr);

 protected:
  // Error: the configuration's.
  explicit Network(NetworkConfig config)
      : config_(std::move(config)), registry_(std::make_unique<ParameterRegistry>()) {
    config_.validate();
  }
  // What the head takes, behind the backbone.
  virtual void count_head(CostCounter& counter, const TokenLayout& layout) const = 0;

 private:
  NetworkConfig config_;
  std::unique_ptr<ParameterRegistry> registry_;  // outlives the modules that refer into it
};

}  // namespace vitrail
