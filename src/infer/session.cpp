#include "infer/session.h"

#include <algorithm>

#include "autograd/context.h"
#include "core/error.h"

namespace vitrail {
namespace {

constexpr int kMaxThreads = 1024;
constexpr int kMaxBatch = 4096;

const SessionOptions& checked(const SessionOptions& options) {
  check(options.threads >= 0 && options.threads <= kMaxThreads, "session",
        "threads is {}; it must lie between 0 (all cores) and {}", options.threads, kMaxThreads);
  check(options.batch >= 1 && options.batch <= kMaxBatch, "session",
        "batch is {}; it must lie between 1 and {}", options.batch, kMaxBatch);
  return options;
}

}  // namespace

Session::Session(std::shared_ptr<Model> model, const SessionOptions& options)
    : model_(std::move(model)),
      options_(checked(options)),
      preprocess_(model_->preprocess),
      precision_(options_.precision.value_or(model_->precision)),
      queue_(options.threads) {
  if (options.exif) preprocess_.exif = *options.exif;
  check_preprocess(preprocess_);
  const int64_t channels = model_->network->config().in_channels;
  check(preprocess_.channels == channels, "session",
        "the preprocessing makes {} channels and the model takes {}", preprocess_.channels,
        channels);
  if (!options_.pack) return;
  std::call_once(model_->packing, [&] {
    model_->network->pack_for_inference(queue_, precision_);
    model_->packed = precision_;
  });
  check(model_->packed == precision_, "session",
        "the weights were packed for another precision; load the model again for this one");
}

PictureSize Session::input_size() const {
  const PictureSize size = fixed_output_size(preprocess_);
  check(size.height > 0, "session",
        "this model's preprocessing gives each picture a size of its own; name one with --size");
  return size;
}

PreparedBatch Session::prepare_count(int64_t count, const std::function<Image(int64_t)>& picture) {
  PreparedBatch batch;
  batch.geometry.resize(static_cast<size_t>(count));
  batch.errors.resize(static_cast<size_t>(count));
  PictureSize size = fixed_output_size(preprocess_);
  Image only;
  if (size.height == 0) {
    check(count == 1, "session", "pictures of sizes of their own go one by one, not {} at once",
          count);
    try {
      only = picture(0);
      const PreprocessResult geometry = preprocess_geometry(only.width, only.height, preprocess_);
      size = {geometry.height, geometry.width};
    } catch (const Error& error) {
      batch.errors[0] = error.what();
      return batch;
    }
  }
  const int64_t floats = int64_t{preprocess_.channels} * size.height * size.width;
  batch.images = Tensor::empty({count, preprocess_.channels, size.height, size.width});
  queue_.pool().parallel_for(count, [&](int64_t i, int) {
    float* out = batch.images.f32() + i * floats;
    const auto index = static_cast<size_t>(i);
    try {
      batch.geometry[index] = apply(only.pixels.empty() ? picture(i) : only, preprocess_, out);
    } catch (const Error& error) {
      batch.errors[index] = error.what();
      std::fill_n(out, floats, 0.0f);
    }
  });
  return batch;
}

PreparedBatch Session::prepare_files(std::span<const std::string> paths) {
  const DecodeOptions decode = preprocess_.decode_options();
  return prepare_count(static_cast<int64_t>(paths.size()), [&](int64_t i) {
    return load_picture(paths[static_cast<size_t>(i)], decode);
  });
}

PreparedBatch Session::prepare(std::span<const Image> images) {
  PreparedBatch batch = prepare_count(static_cast<int64_t>(images.size()),
                                      [&](int64_t i) { return images[static_cast<size_t>(i)]; });
  for (size_t i = 0; i < images.size(); ++i)
    check(batch.errors[i].empty(), "session", "picture {}: {}", i, batch.errors[i]);
  return batch;
}

VitOutput Session::run(const Tensor& images, const RunHooks& hooks) {
  Context context(queue_);
  context.probe = hooks.probe;
  context.precision = &precision_;
  if (hooks.observer)
    context.observer = [&](const std::string& path, const Variable& value) {
      hooks.observer(path, value.value());
    };
  return model_->network->forward(context, images);
}

int64_t Session::batch_size() const {
  return fixed_output_size(preprocess_).height > 0 ? options_.batch : 1;
}

Tensor Session::logits(std::span<const Image> images) {
  const int64_t classes = model_->network->config().num_classes;
  check(classes > 0, "session", "{} has no classes: it gives features alone", model_->name);
  Tensor all = Tensor::empty({static_cast<int64_t>(images.size()), classes});
  const auto step = static_cast<size_t>(batch_size());
  for (size_t first = 0; first < images.size(); first += step) {
    const size_t count = std::min(step, images.size() - first);
    const PreparedBatch batch = prepare(images.subspan(first, count));
    const Tensor part = run(batch.images).logits.value();
    std::copy_n(part.f32(), part.numel(), all.f32() + static_cast<int64_t>(first) * classes);
  }
  return all;
}

void Session::for_each_batch(
    std::span<const std::string> paths,
    const std::function<void(size_t first, const PreparedBatch& batch)>& visit) {
  const auto step = static_cast<size_t>(batch_size());
  for (size_t first = 0; first < paths.size(); first += step)
    visit(first, prepare_files(paths.subspan(first, std::min(step, paths.size() - first))));
}

}  // namespace vitrail
