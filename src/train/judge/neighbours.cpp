#include "train/judge/neighbours.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "core/error.h"
#include "kernels/gemm.h"
#include "ops/l2_normalize.h"

namespace vitrail {
namespace {

// The class that the neighbours of one picture vote for; `similarity` to each training picture.
int64_t vote(const float* similarity, std::span<const int64_t> labels, int64_t classes,
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

}  // namespace

Evaluation vote_of_neighbours(Queue& queue, const Features& train, const Features& judged,
                              const NeighbourOptions& options) {
  check(train.pictures() > 0 && judged.pictures() > 0, "features",
        "{} pictures cannot say what {} are", train.pictures(), judged.pictures());
  const Context context(queue);
  const Tensor known = l2_normalize(context, train.values).value();
  const Tensor asked = l2_normalize(context, judged.values).value();
  const int64_t count = known.size(0), dim = known.size(1), rows = asked.size(0);
  const auto labels_of = [](const Features& features) {
    return std::span<const int64_t>(features.labels.data<int64_t>(),
                                    static_cast<size_t>(features.pictures()));
  };
  const std::span<const int64_t> labels = labels_of(train), truth = labels_of(judged);
  const int64_t classes = std::ranges::max(labels) + 1;
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
      right[row] = vote(similarity.f32() + i * count, labels, classes, options) == truth[row];
    });
  }
  const auto correct = std::accumulate(right.begin(), right.end(), int64_t{0});
  return {.loss = 0,
          .accuracy = static_cast<double>(correct) / static_cast<double>(rows),
          .pictures = rows};
}

}  // namespace vitrail
