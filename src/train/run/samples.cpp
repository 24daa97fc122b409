#include "train/run/samples.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "image/preprocess/normalize.h"
#include "train/methods/loss.h"
#include "train/run/run_data.h"

namespace vitrail {
namespace {

std::vector<LabelShare> labels_of(const Batch& batch, int64_t i) {
  if (!batch.targets.defined() && batch.labels.rank() == 1)
    return {{.label = batch.labels.data<int64_t>()[i]}};
  const Tensor targets = batch.targets.defined() ? batch.targets : targets_of(batch.labels);
  constexpr double kShown = 0.02;
  constexpr size_t kMost = 2;
  const int64_t classes = targets.size(1);
  std::vector<LabelShare> labels;
  for (int64_t label = 0; label < classes; ++label)
    if (const double share = targets.f32()[i * classes + label]; share >= kShown)
      labels.push_back({label, share});
  std::stable_sort(labels.begin(), labels.end(),
                   [](const LabelShare& a, const LabelShare& b) { return a.share > b.share; });
  if (labels.size() > kMost && batch.targets.defined()) labels.resize(kMost);
  return labels;
}

}  // namespace

Image picture_of(const Tensor& images, int64_t i, const Preprocess& preprocess) {
  const PictureSize size{static_cast<int>(images.size(2)), static_cast<int>(images.size(3))};
  return denormalized(images.f32() + i * images.numel() / images.size(0), size, preprocess);
}

std::vector<SamplePicture> sample_pictures(const TrainConfig& config, const Dataset& training,
                                           int64_t count) {
  LoaderOptions options = training_loader(config, {.workers = 0}, training.size());
  options.batch_size = std::min({count, training.size(), options.batch_size});
  // Pictures are mixed in pairs.
  if (options.batch_size > 1) options.batch_size -= options.batch_size % 2;
  options.drop_last = false;
  options.on_broken = {};
  options.max_broken = 1;  // the run itself keeps count
  Loader loader(training, options);
  loader.start(0);
  std::vector<SamplePicture> samples;
  Batch batch;
  while (static_cast<int64_t>(samples.size()) < count && loader.next(batch))
    for (int64_t i = 0; i < batch.images.size(0); ++i)
      samples.push_back({.picture = picture_of(batch.images, i, options.preprocess),
                         .labels = labels_of(batch, i)});
  if (static_cast<int64_t>(samples.size()) > count) samples.resize(static_cast<size_t>(count));
  return samples;
}

Image contact_sheet(const std::vector<SamplePicture>& samples, int columns) {
  check(!samples.empty() && columns > 0, "samples", "there is no picture to lay out");
  const Image& first = samples.front().picture;
  const int count = static_cast<int>(samples.size());
  columns = std::min(columns, count);
  const int rows = (count + columns - 1) / columns;
  Image sheet(columns * (first.width + 1) - 1, rows * (first.height + 1) - 1, first.channels);
  for (int i = 0; i < count; ++i) {
    const Image& picture = samples[static_cast<size_t>(i)].picture;
    const int x = i % columns * (first.width + 1), y = i / columns * (first.height + 1);
    for (int row = 0; row < first.height; ++row)
      std::copy_n(picture.row(row), picture.row_bytes(),
                  sheet.row(y + row) + static_cast<size_t>(x) * first.channels);
  }
  return sheet;
}

}  // namespace vitrail
