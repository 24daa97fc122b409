#include "models/class_gaussians.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/rows.h"

namespace vitrail {
namespace {

constexpr double kRidge = 1e-3;

// Square, of doubles, row by row.
struct Square {
  explicit Square(int64_t n) : side(n), values(static_cast<size_t>(n * n)) {}
  double& at(int64_t i, int64_t j) { return values[static_cast<size_t>(i * side + j)]; }
  double at(int64_t i, int64_t j) const { return values[static_cast<size_t>(i * side + j)]; }
  int64_t side;
  std::vector<double> values;
};

// L with L L^T = a, whose lower triangle is read: Cholesky's.
Square cholesky(const Square& a) {
  Square l(a.side);
  for (int64_t i = 0; i < a.side; ++i)
    for (int64_t j = 0; j <= i; ++j) {
      double sum = a.at(i, j);
      for (int64_t k = 0; k < j; ++k) sum -= l.at(i, k) * l.at(j, k);
      if (i == j) check(sum > 0, "rejection", "the features of the pictures do not vary");
      l.at(i, j) = i == j ? std::sqrt(sum) : sum / l.at(j, j);
    }
  return l;
}

// The inverse of a lower triangle, column by column by substitution.
Square inverse(const Square& l) {
  Square out(l.side);
  for (int64_t j = 0; j < l.side; ++j)
    for (int64_t i = j; i < l.side; ++i) {
      double sum = i == j ? 1 : 0;
      for (int64_t k = j; k < i; ++k) sum -= l.at(i, k) * out.at(k, j);
      out.at(i, j) = sum / l.at(i, i);
    }
  return out;
}

Tensor means_of(const Tensor& features, std::span<const int64_t> labels, int64_t classes) {
  const int64_t width = features.size(1);
  Square sums(std::max(classes, width));
  std::vector<int64_t> counts(static_cast<size_t>(classes));
  for (size_t n = 0; n < labels.size(); ++n) {
    ++counts[static_cast<size_t>(labels[n])];
    for (int64_t f = 0; f < width; ++f)
      sums.at(labels[n], f) += features.f32()[static_cast<int64_t>(n) * width + f];
  }
  Tensor means = Tensor::empty({classes, width});
  for (int64_t c = 0; c < classes; ++c) {
    const int64_t count = counts[static_cast<size_t>(c)];
    check(count > 0, "rejection", "there is no picture of class {} to learn from", c);
    for (int64_t f = 0; f < width; ++f)
      means.f32()[c * width + f] = static_cast<float>(sums.at(c, f) / static_cast<double>(count));
  }
  return means;
}

// Within the classes; the lower triangle.
Square covariance_of(const Tensor& features, std::span<const int64_t> labels, const Tensor& means) {
  const int64_t width = features.size(1);
  Square sum(width);
  std::vector<double> difference(static_cast<size_t>(width));
  for (size_t n = 0; n < labels.size(); ++n) {
    const auto x = row_of(features, static_cast<int64_t>(n)), mean = row_of(means, labels[n]);
    for (size_t f = 0; f < x.size(); ++f)
      difference[f] = static_cast<double>(x[f]) - static_cast<double>(mean[f]);
    for (int64_t i = 0; i < width; ++i)
      for (int64_t j = 0; j <= i; ++j)
        sum.at(i, j) += difference[static_cast<size_t>(i)] * difference[static_cast<size_t>(j)];
  }
  double trace = 0;
  for (double& value : sum.values) value /= static_cast<double>(labels.size());
  for (int64_t i = 0; i < width; ++i) trace += sum.at(i, i);
  for (int64_t i = 0; i < width; ++i) sum.at(i, i) += kRidge * trace / static_cast<double>(width);
  return sum;
}

}  // namespace

ClassGaussians::ClassGaussians(Tensor means, Tensor whitening)
    : means_(std::move(means)), whitening_(std::move(whitening)) {
  const bool fits = means_.dtype() == DType::f32 && whitening_.dtype() == DType::f32 &&
                    means_.shape().rank() == 2 && means_.size(0) > 0 &&
                    whitening_.shape() == Shape{means_.size(1), means_.size(1)};
  check(fits, "rejection", "means {} and whitening {} must be f32 [C, F] and [F, F]",
        means_.shape().str(), whitening_.shape().str());
  const auto finite = [](const Tensor& tensor) {
    return std::ranges::all_of(tensor.values(), [](float value) { return std::isfinite(value); });
  };
  check(finite(means_) && finite(whitening_), "rejection",
        "the classes' typical features hold a number that is not finite; calibrate anew");
  for (int64_t c = 0; c < classes(); ++c) whitened_means_.push_back(whitened(row_of(means_, c)));
}

ClassGaussians ClassGaussians::fit(const Tensor& features, std::span<const int64_t> labels,
                                   int64_t classes) {
  check(features.shape().rank() == 2 && features.size(0) == static_cast<int64_t>(labels.size()),
        "rejection", "features {} for {} labels", features.shape().str(), labels.size());
  const Tensor means = means_of(features, labels, classes);
  const Square whitening = inverse(cholesky(covariance_of(features, labels, means)));
  Tensor stored = Tensor::empty({whitening.side, whitening.side});
  std::ranges::transform(whitening.values, stored.f32(),
                         [](double value) { return static_cast<float>(value); });
  return {means, stored};
}

std::vector<double> ClassGaussians::whitened(std::span<const float> features) const {
  check(static_cast<int64_t>(features.size()) == width(), "rejection",
        "{} features where there are {}", features.size(), width());
  std::vector<double> out(features.size());
  for (size_t i = 0; i < out.size(); ++i) {
    const auto weights = row_of(whitening_, static_cast<int64_t>(i));
    for (size_t j = 0; j <= i; ++j)
      out[i] += static_cast<double>(weights[j]) * static_cast<double>(features[j]);
  }
  return out;
}

double ClassGaussians::typicality(std::span<const float> features) const {
  const std::vector<double> x = whitened(features);
  double nearest = std::numeric_limits<double>::infinity();
  for (const std::vector<double>& mean : whitened_means_) {
    double squares = 0;
    for (size_t i = 0; i < x.size(); ++i) squares += (x[i] - mean[i]) * (x[i] - mean[i]);
    nearest = std::min(nearest, squares);
  }
  return 1 / (1 + nearest / static_cast<double>(width()));
}

ClassGaussians ClassGaussians::from_tensors(const TensorSource& tensors) {
  return {tensors.tensor("means").clone(), tensors.tensor("whitening").clone()};
}

}  // namespace vitrail
