// A projection with its weight and bias. Modules hold it through LinearSlot, so that something else
// (a low-rank adapter around it) can take its place later.
#pragma once

#include <functional>
#include <memory>

#include "nn/registry.h"
#include "ops/linear.h"

namespace vitrail {

class Linear {
 public:
  struct Options {
    bool bias = true;
    bool pointwise = false;  // the weight has the shape of a 1x1 convolution's, [N, K, 1, 1]
    Initializer weight = Initializer::truncated_normal(0.02);
    Initializer bias_value = Initializer::zeros();
  };
  Linear(const Scope& scope, int64_t inputs, int64_t outputs, const Options& options)
      : weight_(scope.parameter(
            "weight", options.pointwise ? Shape{outputs, inputs, 1, 1} : Shape{outputs, inputs},
            options.weight, ParameterRole::Kind::matrix)),
        bias_(options.bias ? &scope.parameter("bias", {outputs}, options.bias_value,
                                              ParameterRole::Kind::bias)
                           : nullptr) {
    weight_.set_read_packed();
  }
  Linear(const Scope& scope, int64_t inputs, int64_t outputs)
      : Linear(scope, inputs, outputs, Options()) {}
  virtual ~Linear() = default;
  Linear(const Linear&) = delete;
  Linear& operator=(const Linear&) = delete;

  // [..., inputs] to [..., outputs].
  virtual Variable forward(const Context& context, const LinearInput& input,
                           const LinearEpilogue& epilogue = {}) const {
    return linear(context, input, weight_, bias_, epilogue);
  }
  Parameter& weight() const { return weight_; }
  Parameter* bias() const { return bias_; }

 protected:
  // For a layer that wraps another projection: it has the same parameters.
  Linear(Parameter& weight, Parameter* bias) : weight_(weight), bias_(bias) {}

 private:
  Parameter& weight_;
  Parameter* bias_;
};

// Where a module keeps a Linear: called like one, replaceable by anything derived from it.
class LinearSlot {
 public:
  LinearSlot() = default;
  LinearSlot(const Scope& scope, int64_t inputs, int64_t outputs,
             const Linear::Options& options = {})
      : linear_(std::make_unique<Linear>(scope, inputs, outputs, options)) {}
  // Puts `replacement` in the place of what was there, and returns the latter (to be wrapped).
  std::unique_ptr<Linear> replace(std::unique_ptr<Linear> replacement) {
    std::swap(linear_, replacement);
    return replacement;
  }
  bool present() const { return linear_ != nullptr; }
  Linear* operator->() const { return linear_.get(); }
  Linear* get() const { return linear_.get(); }

 private:
  std::unique_ptr<Linear> linear_;
};

// Told each projection of a module, so that something may take its place.
using VisitLinear = std::function<void(LinearSlot& slot)>;

}  // namespace vitrail
