#include "train/feature_probe.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "kernels/gemm.h"
#include "ops/l2_normalize.h"

namespace vitrail {
namespace {

// The class that the neighbours of one picture vote for; `similarity` to each training picture.
int64_t vote(const float* similarity, const std::vector<int64_t>& labels, int64_t classes,
             const NeighbourOptions& options) {
  std::vector<int64_t> order(labels.size());
  std::iota(order.begin(), order.end(), 0);
  const auto k = std::min(order.size(), static_cast<size_t>(options.neighbours));
  const auto last = order.begin() + static_cast<std::ptrdiff_t>(k);
  std::partial_sort(order.begin(), last, order.end(), [&](int64_t a, int64_t b) {
    return similarity[a] != similarity[b] ? similarity[a] > similarity[b] : a < b;
  });
  std::vector<double> votes(static_cast<size_t>(classes));
  for (size_t i = 0; i < k; ++i)
    votes[static_cast<size_t>(labels[static_cast<size_t>(order[i])])] +=
        std::exp(similarity[order[i]] / options.temperature);
  return std::ranges::max_element(votes) - votes.begin();
}

void check_pictures(const LabelledFeatures& train, const LabelledFeatures& judged) {
  check(!train.labels.empty() && !judged.labels.empty(), "features",
        "{} pictures cannot say what {} are", train.labels.size(), judged.labels.size());
}

Evaluation share_of(const std::vector<uint8_t>& right) {
  const auto correct = std::accumulate(right.begin(), right.end(), int64_t{0});
  return {.loss = 0,
          .accuracy = static_cast<double>(correct) / static_cast<double>(right.size()),
          .pictures = static_cast<int64_t>(right.size())};
}

// Features less their mean and over their deviation, as the training pictures have them; a last
// one stands at 1.
class Standard {
 public:
  explicit Standard(const Tensor& features)
      : mean_(static_cast<size_t>(features.size(1))), factor_(mean_.size()) {
    const auto count = static_cast<double>(features.size(0));
    const size_t dim = mean_.size();
    for (int64_t i = 0; i < features.numel(); ++i)
      mean_[static_cast<size_t>(i) % dim] += features.f32()[i] / count;
    for (int64_t i = 0; i < features.numel(); ++i) {
      const double difference = features.f32()[i] - mean_[static_cast<size_t>(i) % dim];
      factor_[static_cast<size_t>(i) % dim] += difference * difference / count;
    }
    for (double& value : factor_) value = 1 / std::sqrt(value + 1e-12);
  }
  int64_t dim() const { return static_cast<int64_t>(mean_.size()) + 1; }
  void row(const Tensor& features, int64_t index, double* out) const {
    const float* from = features.f32() + index * features.size(1);
    for (size_t j = 0; j < mean_.size(); ++j) out[j] = (from[j] - mean_[j]) * factor_[j];
    out[mean_.size()] = 1;
  }

 private:
  std::vector<double> mean_, factor_;
};

// b = a^-1 b for a positive definite a [n, n], of which the lower triangle counts, and b [n, m]:
// Cholesky's decomposition.
void solve_positive(std::vector<double>& a, std::vector<double>& b, int64_t n, int64_t m) {
  const auto at = [n](int64_t i, int64_t j) { return static_cast<size_t>(i * n + j); };
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j <= i; ++j) {
      double sum = a[at(i, j)];
      for (int64_t k = 0; k < j; ++k) sum -= a[at(i, k)] * a[at(j, k)];
      a[at(i, j)] = i == j ? std::sqrt(sum) : sum / a[at(j, j)];
    }
  for (int64_t c = 0; c < m; ++c) {
    const auto of = [&](int64_t i) -> double& { return b[static_cast<size_t>(i * m + c)]; };
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t k = 0; k < i; ++k) of(i) -= a[at(i, k)] * of(k);
      of(i) /= a[at(i, i)];
    }
    for (int64_t i = n; i-- > 0;) {
      for (int64_t k = i + 1; k < n; ++k) of(i) -= a[at(k, i)] * of(k);
      of(i) /= a[at(i, i)];
    }
  }
}

}  // namespace

LabelledFeatures features_of(const VisionTransformer& model, Queue& queue, Loader& loader,
                             int64_t limit) {
  const Context context(queue);
  LabelledFeatures all;
  std::vector<float> values;
  Batch batch;
  loader.start(0);
  int64_t dim = 0;
  while (static_cast<int64_t>(all.labels.size()) < limit && loader.next(batch)) {
    const Tensor pooled = model.forward(context, batch.images).pooled.value();
    dim = pooled.size(1);
    const int64_t wanted =
        std::min(pooled.size(0), limit - static_cast<int64_t>(all.labels.size()));
    values.insert(values.end(), pooled.f32(), pooled.f32() + wanted * dim);
    all.labels.insert(all.labels.end(), batch.labels.data<int64_t>(),
                      batch.labels.data<int64_t>() + wanted);
  }
  all.features = Tensor::from(values, {static_cast<int64_t>(all.labels.size()), dim});
  return all;
}

Evaluation vote_of_neighbours(Queue& queue, const LabelledFeatures& train,
                              const LabelledFeatures& judged, const NeighbourOptions& options) {
  check_pictures(train, judged);
  const Context context(queue);
  const Tensor known = l2_normalize(context, train.features).value();
  const Tensor asked = l2_normalize(context, judged.features).value();
  const int64_t count = known.size(0), dim = known.size(1), rows = asked.size(0);
  const int64_t classes = *std::ranges::max_element(train.labels) + 1;
  const auto packed =
      kernels::pack(queue, kernels::Matrix::row_major(known.f32(), count, dim).transposed());
  constexpr int64_t kRows = 256;  // at a time: memory for so many rows of similarities
  std::vector<uint8_t> right(static_cast<size_t>(rows));
  for (int64_t begin = 0; begin < rows; begin += kRows) {
    const int64_t some = std::min(kRows, rows - begin);
    const Tensor similarity = Tensor::empty({some, count});
    kernels::gemm(queue, kernels::Matrix::row_major(asked.f32() + begin * dim, some, dim), packed,
                  {.data = similarity.f32(), .row_stride = count});
    queue.pool().parallel_for(some, [&](int64_t i, int) {
      const auto row = static_cast<size_t>(begin + i);
      right[row] =
          vote(similarity.f32() + i * count, train.labels, classes, options) == judged.labels[row];
    });
  }
  return share_of(right);
}

Evaluation linear_probe(Queue& queue, const LabelledFeatures& train, const LabelledFeatures& judged,
                        double ridge) {
  check_pictures(train, judged);
  const Standard standard(train.features);
  const int64_t count = train.features.size(0), dim = standard.dim();
  const int64_t classes = *std::ranges::max_element(train.labels) + 1;
  std::vector<double> x(static_cast<size_t>(count * dim));
  for (int64_t i = 0; i < count; ++i) standard.row(train.features, i, x.data() + i * dim);
  // The normal equations: (X^T X + ridge N) W = X^T Y.
  std::vector<double> gram(static_cast<size_t>(dim * dim)),
      weights(static_cast<size_t>(dim * classes));
  queue.pool().parallel_for(dim, [&](int64_t i, int) {
    for (int64_t n = 0; n < count; ++n) {
      const double* row = x.data() + n * dim;
      for (int64_t j = 0; j <= i; ++j) gram[static_cast<size_t>(i * dim + j)] += row[i] * row[j];
      weights[static_cast<size_t>(i * classes + train.labels[static_cast<size_t>(n)])] += row[i];
    }
    gram[static_cast<size_t>(i * dim + i)] += ridge * static_cast<double>(count);
  });
  solve_positive(gram, weights, dim, classes);
  std::vector<uint8_t> right(static_cast<size_t>(judged.features.size(0)));
  queue.pool().parallel_for(judged.features.size(0), [&](int64_t i, int) {
    std::vector<double> row(static_cast<size_t>(dim)), answer(static_cast<size_t>(classes));
    standard.row(judged.features, i, row.data());
    for (int64_t j = 0; j < dim; ++j)
      for (int64_t c = 0; c < classes; ++c)
        answer[static_cast<size_t>(c)] +=
            row[static_cast<size_t>(j)] * weights[static_cast<size_t>(j * classes + c)];
    right[static_cast<size_t>(i)] =
        std::ranges::max_element(answer) - answer.begin() == judged.labels[static_cast<size_t>(i)];
  });
  return share_of(right);
}

}  // namespace vitrail
