#include "data/batch_maker.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/error.h"

namespace vitrail {
namespace {

// Moves the rows that have a picture to the front, and drops the others.
void close_gaps(Tensor& tensor, const std::vector<char>& left_out, int64_t kept) {
  const size_t row = tensor.bytes() / left_out.size();
  auto* bytes = static_cast<std::byte*>(tensor.raw());
  std::byte* to = bytes;
  for (size_t i = 0; i < left_out.size(); ++i) {
    if (left_out[i]) continue;
    if (to != bytes + i * row) std::memcpy(to, bytes + i * row, row);
    to += row;
  }
  tensor = tensor.rows(0, kept);
}

}  // namespace

BatchMaker::BatchMaker(const Dataset& dataset, const LoaderOptions& options)
    : dataset_(dataset), options_(options) {
  for (const ViewOptions& view : options.views)
    crops_.emplace_back(view.augment, options.preprocess, view.size);
  if (crops_.empty())
    crops_.emplace_back(options.augment, options.preprocess, fixed_output_size(options.preprocess));
}

int64_t BatchMaker::num_batches() const {
  const int64_t size = dataset_.size(), batch = options_.batch_size;
  if (options_.drop_last) return size / batch / options_.ranks;
  const int64_t all = (size + batch - 1) / batch;
  return (all - options_.rank + options_.ranks - 1) / options_.ranks;
}

int64_t BatchMaker::batch_bytes() const {
  int64_t values = 0;
  for (const Augmenter& crop : crops_) values += int64_t{crop.size().height} * crop.size().width;
  return values * options_.preprocess.channels * options_.batch_size *
         static_cast<int64_t>(sizeof(float));
}

int64_t BatchMaker::max_broken() const {
  return static_cast<int64_t>(options_.max_broken * static_cast<double>(dataset_.size()));
}

std::unique_ptr<BatchDraft> BatchMaker::begin(std::shared_ptr<const EpochOrder> order,
                                              int64_t number) const {
  auto draft = std::make_unique<BatchDraft>();
  draft->number = number * options_.ranks + options_.rank;
  draft->first = draft->number * options_.batch_size;
  const int64_t count = std::min(options_.batch_size, dataset_.size() - draft->first);
  draft->order = std::move(order);
  Batch& batch = draft->batch;
  batch.number = number;
  batch.indices.resize(static_cast<size_t>(count));
  batch.labels = dataset_.multi_label() ? Tensor::empty({count, dataset_.num_classes()}, DType::i64)
                                        : Tensor::empty({count}, DType::i64);
  std::vector<Tensor> pictures;
  for (const Augmenter& crop : crops_)
    pictures.push_back(Tensor::empty(
        {count, options_.preprocess.channels, crop.size().height, crop.size().width}));
  batch.images = pictures[0];
  if (!options_.views.empty()) batch.views = std::move(pictures);
  draft->left_out.resize(static_cast<size_t>(count));
  return draft;
}

void BatchMaker::prepare(const Sample& sample, const AugmentKey& key, BatchDraft& draft,
                         int64_t row) const {
  const int channels = options_.preprocess.channels;
  Image converted;
  const Image* image = &sample.image;
  if (image->channels != channels) {
    converted = channels == 1 ? to_grey(*image) : to_rgb(*image);
    image = &converted;
  }
  AugmentKey view_key = key;
  for (size_t i = 0; i < crops_.size(); ++i) {
    Tensor& to = options_.views.empty() ? draft.batch.images : draft.batch.views[i];
    view_key.view = static_cast<int64_t>(i);
    crops_[i].write(*image, view_key, to.f32() + row * (to.numel() / to.size(0)));
  }
}

void BatchMaker::write_labels(const Sample& sample, int64_t index, const Tensor& labels,
                              int64_t row) const {
  if (!dataset_.multi_label()) {
    labels.data<int64_t>()[row] = sample.label;
    return;
  }
  int64_t* classes = labels.data<int64_t>() + row * labels.size(1);
  std::fill_n(classes, labels.size(1), int64_t{0});
  for (const int64_t label : dataset_.labels(index)) classes[label] = 1;
}

bool BatchMaker::try_position(BatchDraft& draft, int64_t position, int64_t row) const {
  const int64_t repeats = options_.augment.repeats;
  const int64_t index = draft.order->pictures[static_cast<size_t>(position / repeats)];
  try {
    const Sample sample = dataset_.get(index);
    try {
      prepare(sample, {options_.seed, draft.order->epoch, index, position % repeats}, draft, row);
    } catch (const Error& error) {
      fail("data", "{}: {}", sample.id, error.what());
    }
    draft.batch.indices[static_cast<size_t>(row)] = index;
    write_labels(sample, index, draft.batch.labels, row);
    return true;
  } catch (const Error& error) {
    const std::lock_guard lock(draft.mutex);
    draft.broken.push_back({index, dataset_.id(index), error.what()});
    return false;
  }
}

void BatchMaker::picture(BatchDraft& draft, int64_t row) const {
  const int64_t size = dataset_.size(), repeats = options_.augment.repeats;
  int64_t position = draft.first + row;
  if (try_position(draft, position, row)) return;
  if (options_.shuffle) {
    // Beyond the limit the loader stops with an error, so there is no need to look further.
    for (int64_t tries = std::min(max_broken(), size - 1); tries > 0; --tries) {
      position = (position / repeats + 1) * repeats;  // the next one that is another picture
      if (position >= size) position = 0;
      if (try_position(draft, position, row)) return;
    }
  }
  draft.left_out[static_cast<size_t>(row)] = 1;
}

void BatchMaker::finish(BatchDraft& draft) const {
  std::ranges::sort(draft.broken, {}, &BrokenPicture::index);
  Batch& batch = draft.batch;
  const auto gaps = std::ranges::count(draft.left_out, char{1});
  if (gaps > 0) {
    const int64_t kept = batch.labels.size(0) - gaps;
    if (kept == 0) {
      batch = Batch{.number = batch.number};
      return;
    }
    for (Tensor& view : batch.views) close_gaps(view, draft.left_out, kept);
    if (batch.views.empty())
      close_gaps(batch.images, draft.left_out, kept);
    else
      batch.images = batch.views[0];
    close_gaps(batch.labels, draft.left_out, kept);
    size_t row = 0;
    std::erase_if(batch.indices, [&](int64_t) { return draft.left_out[row++] != 0; });
  }
  if (!options_.mix.enabled()) return;
  const std::vector<MixDraw> draws =
      draw_mix(options_.mix, {options_.seed, draft.order->epoch, draft.number},
               batch.labels.size(0), crops_[0].size().height, crops_[0].size().width);
  mix_images(batch.images, draws);
  batch.targets =
      mix_targets(batch.labels, dataset_.num_classes(), options_.mix.label_smoothing, draws);
}

}  // namespace vitrail
