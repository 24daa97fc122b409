#include "train/features.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"

namespace vitrail {
namespace {

const Parameter* second_head(const VisionTransformer& model) {
  return model.parameters().find("head_dist.weight");
}

// What the heads read: the pooled vector, and for DeiT's second head the distillation token.
void copy_features(const VisionTransformer& model, const VitOutput& output, int64_t i, float* out) {
  const int64_t width = output.pooled.size(1);
  std::copy_n(output.pooled.value().f32() + i * width, width, out);
  if (second_head(model) == nullptr) return;
  const Tensor& tokens = output.tokens.value();
  std::copy_n(tokens.f32() + (i * tokens.size(1) + 1) * tokens.size(2), tokens.size(2),
              out + width);
}

// Rows as they were computed, each with its picture's index.
struct Rows {
  int64_t width = 0;
  std::vector<float> values;
  std::vector<int64_t> labels, indices;
  int64_t size() const { return static_cast<int64_t>(labels.size()); }
};

Features features_from(const Rows& rows) {
  check(rows.size() > 0, "features", "no picture could be read");
  Features features{.values = Tensor::from(rows.values, {rows.size(), rows.width}),
                    .labels = Tensor::empty({rows.size()}, DType::i64)};
  std::ranges::copy(rows.labels, features.labels.data<int64_t>());
  return features;
}

// Every process's rows, for each process, sorted by picture. A row travels as numbers that the
// others add nothing to: its index, its label, its features.
Rows gather(const Rows& mine, GradientExchange& exchange) {
  const auto rank = static_cast<size_t>(exchange.rank());
  std::vector<double> counts(static_cast<size_t>(exchange.ranks()));
  counts[rank] = static_cast<double>(mine.size());
  exchange.sum(counts);
  const auto before = static_cast<int64_t>(
      std::accumulate(counts.begin(), counts.begin() + static_cast<std::ptrdiff_t>(rank), 0.0));
  const auto total = static_cast<int64_t>(std::accumulate(counts.begin(), counts.end(), 0.0));

  Rows all{.width = mine.width};
  constexpr int64_t kRows = 1024;  // at a time: memory for so many rows in double
  const int64_t row_size = mine.width + 2;
  for (int64_t begin = 0; begin < total; begin += kRows) {
    const int64_t end = std::min(begin + kRows, total);
    std::vector<double> part(static_cast<size_t>((end - begin) * row_size));
    for (int64_t i = std::max(begin, before); i < std::min(end, before + mine.size()); ++i) {
      const auto own = static_cast<size_t>(i - before);
      double* row = part.data() + (i - begin) * row_size;
      row[0] = static_cast<double>(mine.indices[own]);
      row[1] = static_cast<double>(mine.labels[own]);
      std::copy_n(mine.values.data() + static_cast<int64_t>(own) * mine.width, mine.width, row + 2);
    }
    exchange.sum(part);
    for (const double* row = part.data(); row != part.data() + part.size(); row += row_size) {
      all.indices.push_back(static_cast<int64_t>(row[0]));
      all.labels.push_back(static_cast<int64_t>(row[1]));
      for (int64_t j = 0; j < mine.width; ++j) all.values.push_back(static_cast<float>(row[2 + j]));
    }
  }

  std::vector<size_t> order(all.labels.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t i) { return all.indices[i]; });
  Rows sorted{.width = all.width};
  for (const size_t i : order) {
    const auto from = all.values.begin() + static_cast<std::ptrdiff_t>(i) * all.width;
    sorted.values.insert(sorted.values.end(), from, from + all.width);
    sorted.labels.push_back(all.labels[i]);
    sorted.indices.push_back(all.indices[i]);
  }
  return sorted;
}

}  // namespace

int64_t feature_width(const VisionTransformer& model) {
  return model.config().pooled_dim() +
         (second_head(model) != nullptr ? model.config().embed_dim : 0);
}

Features features_of(const VisionTransformer& model, Queue& queue, Loader& loader,
                     const FeatureOptions& options) {
  Rows rows{.width = feature_width(model)};
  const Context context(queue);
  Batch batch;
  loader.start(0);
  while (rows.size() < options.limit && loader.next(batch)) {
    const VitOutput output = model.forward(context, batch.images);
    const int64_t count = std::min(batch.images.size(0), options.limit - rows.size());
    const size_t before = rows.values.size();
    rows.values.resize(before + static_cast<size_t>(count * rows.width));
    for (int64_t i = 0; i < count; ++i)
      copy_features(model, output, i, rows.values.data() + before + i * rows.width);
    const auto* labels = batch.labels.data<int64_t>();
    rows.labels.insert(rows.labels.end(), labels, labels + count);
    rows.indices.insert(rows.indices.end(), batch.indices.begin(), batch.indices.begin() + count);
  }
  loader.stop();
  return features_from(options.exchange != nullptr ? gather(rows, *options.exchange) : rows);
}

Features rows_of(const Features& features, const std::vector<int64_t>& rows) {
  Rows chosen{.width = features.values.size(1)};
  for (const int64_t row : rows) {
    const float* from = features.values.f32() + row * chosen.width;
    chosen.values.insert(chosen.values.end(), from, from + chosen.width);
    chosen.labels.push_back(features.labels.data<int64_t>()[row]);
  }
  return features_from(chosen);
}

}  // namespace vitrail
