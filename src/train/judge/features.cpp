#include "train/judge/features.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "models/heads/classifier_head.h"
#include "train/judge/picture_rows.h"

namespace vitrail {
namespace {

bool has_second_head(const Network& model) {
  return model.head().distillation_linear() != nullptr;
}

// What the heads read: the pooled vector, and for DeiT's second head the distillation token.
void copy_features(const Network& model, const NetworkOutput& output, int64_t i, float* out) {
  const int64_t width = output.pooled.size(1);
  std::copy_n(output.pooled.value().f32() + i * width, width, out);
  if (!has_second_head(model)) return;
  const Tensor& tokens = output.tokens().value();
  std::copy_n(tokens.f32() + (i * tokens.size(1) + 1) * tokens.size(2), tokens.size(2),
              out + width);
}

// Numbers of a label: one, or a class each where a picture may show several.
int64_t label_width(const Tensor& labels) {
  return labels.rank() == 2 ? labels.size(1) : 1;
}

// From rows of features and then `labels` numbers that are the label. several: [N, labels] of them.
Features features_from(const PictureRows& rows, int64_t labels, bool several) {
  check(rows.size() > 0, "features", "no picture could be read");
  const int64_t width = rows.width - labels, count = rows.size();
  Features features{.values = Tensor::empty({count, width}),
                    .labels = several ? Tensor::empty({count, labels}, DType::i64)
                                      : Tensor::empty({count}, DType::i64)};
  for (int64_t i = 0; i < count; ++i) {
    const float* row = rows.values.data() + i * rows.width;
    std::copy_n(row, width, features.values.f32() + i * width);
    for (int64_t k = 0; k < labels; ++k)
      features.labels.data<int64_t>()[i * labels + k] = static_cast<int64_t>(row[width + k]);
  }
  return features;
}

void check_nobody_stopped(bool stopped, GradientExchange* exchange) {
  std::array<double, 1> anybody{stopped ? 1.0 : 0.0};
  if (exchange != nullptr) exchange->sum(anybody);
  if (anybody[0] > 0)
    fail(ErrorCode::cancelled, "stop", "the work was asked to stop, and has, between two pictures");
}

}  // namespace

int64_t feature_width(const Network& model) {
  return model.head().pooled_dim() + (has_second_head(model) ? model.backbone().embed_dim() : 0);
}

Features features_of(const Network& model, Queue& queue, Loader& loader,
                     const FeatureOptions& options) {
  const int64_t width = feature_width(model);
  const bool several = loader.multi_label();
  const int64_t labels = several ? loader.num_classes() : 1;
  PictureRows rows{.width = width + labels};
  const Context context(queue);
  Batch batch;
  loader.start(0);
  bool stopped = false;
  const auto asked_to_stop = [&] { return stopped = options.stop && options.stop(); };
  while (rows.size() < options.limit && !asked_to_stop() && loader.next(batch)) {
    const NetworkOutput output = model.forward(context, batch.images);
    const int64_t count = std::min(batch.images.size(0), options.limit - rows.size());
    const size_t before = rows.values.size();
    rows.values.resize(before + static_cast<size_t>(count * rows.width));
    for (int64_t i = 0; i < count; ++i) {
      float* row = rows.values.data() + before + i * rows.width;
      copy_features(model, output, i, row);
      // Exact: classes are fewer than the whole numbers of a float.
      for (int64_t k = 0; k < labels; ++k)
        row[width + k] = static_cast<float>(batch.labels.data<int64_t>()[i * labels + k]);
    }
    rows.indices.insert(rows.indices.end(), batch.indices.begin(), batch.indices.begin() + count);
  }
  loader.stop();
  check_nobody_stopped(stopped, options.exchange);
  return features_from(options.exchange != nullptr ? gather(rows, *options.exchange) : rows, labels,
                       several);
}

Features rows_of(const Features& features, const std::vector<int64_t>& rows) {
  check(!rows.empty(), "features", "no picture could be read");
  const int64_t width = features.values.size(1), labels = label_width(features.labels);
  const auto count = static_cast<int64_t>(rows.size());
  Features chosen{.values = Tensor::empty({count, width}),
                  .labels = features.labels.rank() == 2 ? Tensor::empty({count, labels}, DType::i64)
                                                        : Tensor::empty({count}, DType::i64)};
  for (int64_t i = 0; i < count; ++i) {
    const int64_t row = rows[static_cast<size_t>(i)];
    std::copy_n(features.values.f32() + row * width, width, chosen.values.f32() + i * width);
    std::copy_n(features.labels.data<int64_t>() + row * labels, labels,
                chosen.labels.data<int64_t>() + i * labels);
  }
  return chosen;
}

}  // namespace vitrail
