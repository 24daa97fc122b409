// The registry of a model's parameters, and the scopes through which modules name them.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "autograd/parameter.h"
#include "core/queue.h"
#include "core/rng.h"

namespace vitrail {

// How a parameter starts its life when no checkpoint gives it a value.
struct Initializer {
  enum class Kind : uint8_t { constant, truncated_normal, uniform, values };
  Kind kind = Kind::constant;
  double value = 0;    // the constant; the standard deviation, cut at two of them; the bound
  Tensor values = {};  // copied as they stand: a fixed table of positions

  static Initializer zeros() { return {}; }
  static Initializer constant(double value) { return {Kind::constant, value}; }
  static Initializer truncated_normal(double deviation) {
    return {Kind::truncated_normal, deviation};
  }
  static Initializer uniform(double bound) { return {Kind::uniform, bound}; }
  static Initializer table(Tensor values) { return {Kind::values, 0, std::move(values)}; }
  // Uniform with variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010, eq. 16).
  static Initializer xavier_uniform(int64_t fan_in, int64_t fan_out);
  // torch.nn.Linear's and Conv2d's default: uniform within 1 / sqrt(fan_in).
  static Initializer torch_uniform(int64_t fan_in);
};

// A product's weight and the batch normalisation behind it. In training it is an operation of its
// own. Where the statistics are constants, and nothing but answers is wanted, the two are one
// product: network.h folds them when it packs the weights.
struct BatchNormFold {
  Parameter& weight;  // [N, ...], of a product
  Parameter* bias;    // [N], of the product itself; null: it has none
  Parameter &gamma, &beta, &running_mean, &running_variance;  // [N]
  double epsilon = 1e-5;
  bool folded = false;  // the weight's rows are scaled, and beta is the product's bias

  std::vector<Parameter*> vectors() const {
    std::vector<Parameter*> all{&gamma, &beta, &running_mean, &running_variance};
    if (bias != nullptr) all.push_back(bias);
    return all;
  }
};

class ParameterRegistry {
 public:
  // Error: the path is taken.
  Parameter& add(const std::string& path, const Shape& shape, Initializer initializer,
                 const ParameterRole& role, Parameter::Kind kind = Parameter::Kind::weight);
  // The same parameter under a second path (tied weights): found by it, listed and trained once.
  void tie(const std::string& path, Parameter& parameter);
  // Lists the other's parameters as well, under their paths: a model and what is trained with it.
  // They are shared, not copied. Error: a path is taken.
  void include(const ParameterRegistry& other);
  // How a parameter listed here starts from now on.
  void set_initializer(const Parameter& parameter, Initializer initializer);

  // Says that a product and a normalisation can be folded.
  BatchNormFold& add(const BatchNormFold& fold) {
    return *folds_.emplace_back(std::make_unique<BatchNormFold>(fold));
  }
  const std::vector<std::unique_ptr<BatchNormFold>>& folds() const { return folds_; }

  // Forgets a parameter, which nobody may use afterwards (an adapter that was merged).
  void remove(const std::string& path);

  Parameter* find(const std::string& path) const;  // null when there is none
  // Error naming the nearest path when there is none.
  Parameter& at(const std::string& path) const;
  // In the order of construction.
  const std::vector<std::shared_ptr<Parameter>>& all() const { return parameters_; }
  int64_t num_elements() const;  // of the weights; buffers are not counted, as in torch

  // Gives every parameter its initial value; each draws from a stream that seed and path fix.
  void initialise(uint64_t seed);
  // The same for one parameter: a new head on a loaded model.
  void initialise(uint64_t seed, Parameter& parameter);
  void clear_gradients();

 private:
  std::vector<std::shared_ptr<Parameter>> parameters_;
  std::unordered_map<std::string, Parameter*> by_path_;
  std::unordered_map<const Parameter*, Initializer> initializers_;
  std::vector<std::unique_ptr<BatchNormFold>> folds_;
};

// A place in the tree of names, and in the model:
// Scope(registry).child("blocks").child(3).in_block(3).parameter("ls1.gamma", ...)
class Scope {
 public:
  explicit Scope(ParameterRegistry& registry) : registry_(&registry) {}
  Scope child(const std::string& name) const;
  Scope child(int64_t index) const { return child(std::to_string(index)); }
  // The same names elsewhere in the model; children inherit it.
  Scope in(ParameterPlace::Section section) const { return at({.section = section}); }
  Scope in_block(int64_t index) const {
    return at({.section = ParameterPlace::Section::block, .block = index, .hidden = true});
  }
  // A block that is trained beside the model: a decoder's.
  Scope in_auxiliary_block() const { return at({.hidden = true}); }

  // A matrix in a block is one of Muon's.
  Parameter& parameter(const std::string& name, const Shape& shape, Initializer initializer,
                       ParameterRole::Kind kind) const;
  Parameter& filter(const std::string& name, const Shape& shape, Initializer initializer,
                    ParameterRole::Muon muon) const;
  // A running statistic.
  Parameter& buffer(const std::string& name, const Shape& shape, Initializer initializer) const;
  BatchNormFold& add(const BatchNormFold& fold) const { return registry_->add(fold); }
  const std::string& path() const { return path_; }

 private:
  Scope(ParameterRegistry& registry, std::string path, const ParameterPlace& place)
      : registry_(&registry), path_(std::move(path)), place_(place) {}
  Scope at(const ParameterPlace& place) const { return {*registry_, path_, place}; }
  std::string join(const std::string& name) const {
    return path_.empty() ? name : path_ + "." + name;
  }
  ParameterRegistry* registry_;
  std::string path_;
  ParameterPlace place_;
};

}  // namespace vitrail
