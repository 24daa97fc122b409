// Products with batch normalisation behind them (Ioffe and Szegedy 2015), as networks between
// convolutions and transformers have them. In inference they are one product (nn/registry.h says
// how); in training, and beside an adapter, the normalisation is an operation of its own.
#pragma once

#include "nn/linear.h"
#include "ops/batch_norm.h"

namespace vitrail {

// Its four vectors.
class BatchNorm {
 public:
  struct Options {
    double epsilon = 1e-5;
    double first_weight = 1;  // gamma's first value
  };
  // Parameters: weight, bias; buffers: running_mean, running_var.
  BatchNorm(const Scope& scope, int64_t channels, const Options& options);
  BatchNorm(const Scope& scope, int64_t channels) : BatchNorm(scope, channels, Options()) {}
  // [B, ..., C].
  Variable forward(const Context& context, const Variable& x) const {
    return batch_norm(context, x, {gamma_, beta_, running_mean_, running_variance_, epsilon_});
  }
  // What folds it into the product of this weight, and of a bias that the product has.
  BatchNormFold fold_into(Parameter& weight, Parameter* bias = nullptr) const {
    return {weight, bias, gamma_, beta_, running_mean_, running_variance_, epsilon_};
  }
  Parameter& bias() const { return beta_; }

 private:
  Parameter &gamma_, &beta_, &running_mean_, &running_variance_;
  double epsilon_;
};

// Multiplies the weight's rows by gamma / sqrt(variance + epsilon) and makes beta the bias, that of
// the product in it.
void fold(BatchNormFold& fold);

// Where the parameters of a product and of its normalisation are named, below the scope.
struct NormedNames {
  const char* product = "linear";
  const char* norm = "bn";
};

// A projection without bias, normalised.
class NormedLinear {
 public:
  struct Options {
    NormedNames names;
    bool pointwise = false;  // as Linear's
    BatchNorm::Options norm;
  };
  NormedLinear(const Scope& scope, int64_t inputs, int64_t outputs, const Options& options);
  // [..., inputs] to [..., outputs]; the epilogue follows the normalisation.
  Variable forward(const Context& context, const Variable& x,
                   const LinearEpilogue& epilogue = {}) const;
  void visit_linears(const VisitLinear& visit) { visit(linear_); }

 private:
  LinearSlot linear_;
  BatchNorm norm_;
  const BatchNormFold& fold_;
};

}  // namespace vitrail
