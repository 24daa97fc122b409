// Data-parallel training within one process, for tests.
#pragma once

#include <array>
#include <barrier>
#include <span>
#include <string>
#include <vector>

#include "train/run/gradient_exchange.h"

namespace vitrail::testing {

// Two ranks that are threads; sums are made by the last to arrive, as rank 0 + rank 1.
class PairExchange {
 public:
  class Rank : public GradientExchange {
   public:
    Rank(PairExchange& pair, int rank) : pair_(pair), rank_(rank) {}
    int rank() const override { return rank_; }
    int ranks() const override { return 2; }
    void ready(const Parameter& parameter, const Tensor& gradient) override {
      order.push_back(parameter.path());
      gradients_.push_back(gradient);
    }
    void finish() override {
      for (const Tensor& gradient : gradients_)
        pair_.add(rank_, gradient.f32(), static_cast<size_t>(gradient.numel()));
      gradients_.clear();
    }
    void sum(std::span<double> values) override { pair_.add(rank_, values.data(), values.size()); }
    std::vector<std::string> order;

   private:
    PairExchange& pair_;
    int rank_;
    std::vector<Tensor> gradients_;
  };

  Rank first{*this, 0}, second{*this, 1};

 private:
  template <typename Number>
  void add(int rank, Number* values, size_t count) {
    given_[static_cast<size_t>(rank)] = values;
    barrier_.arrive_and_wait();
    if (rank == 0) {
      auto* a = static_cast<Number*>(given_[0]);
      auto* b = static_cast<Number*>(given_[1]);
      for (size_t i = 0; i < count; ++i) a[i] = b[i] = a[i] + b[i];
    }
    barrier_.arrive_and_wait();
  }
  std::array<void*, 2> given_{};
  std::barrier<> barrier_{2};
};

}  // namespace vitrail::testing
