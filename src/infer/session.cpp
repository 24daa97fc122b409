#include "infer/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "autograd/context.h"
#include "core/advice.h"
#include "core/error.h"
#include "core/log.h"
#include "core/prepared_ahead.h"
#include "core/stop.h"
#include "image/codec/codec.h"
#include "infer/fastest_precision.h"

namespace vitrail {
namespace {

constexpr int kMaxThreads = 1024;
constexpr int kMaxBatch = 4096;

const SessionOptions& checked(const SessionOptions& options) {
  check_threads(options.threads);
  check(options.batch >= 1 && options.batch <= kMaxBatch, "session",
        "batch is {}; it must lie between 1 and {}", options.batch, kMaxBatch);
  return options;
}

PrecisionPlan chosen_precision(const Model& model, const SessionOptions& options) {
  if (!options.fastest) return options.precision.value_or(model.precision);
  const PrecisionChoice choice = fastest_precision(model.precision);
  log_info(fmt::format("{}: precision auto is {}", model.name, choice.reason));
  return choice.plan;
}

// A stop is no fault of the picture that was in its turn.
void note_error(const Error& error, size_t index, PreparedBatch& batch) {
  if (error.code() == ErrorCode::cancelled) throw error;
  batch.errors[index] = error.what();
  batch.codes[index] = error.code();
}

void check_all_read(const PreparedBatch& batch, size_t first) {
  for (size_t i = 0; i < batch.errors.size(); ++i)
    check(batch.errors[i].empty(), batch.codes[i], "session", "picture {}: {}", first + i,
          batch.errors[i]);
}

}  // namespace

void check_threads(int threads) {
  check(threads >= 0 && threads <= kMaxThreads, "session",
        "threads is {}; it must lie between 0 (all cores) and {}", threads, kMaxThreads);
}

Session::Session(std::shared_ptr<Model> model, const SessionOptions& options)
    : model_(std::move(model)),
      options_(checked(options)),
      preprocess_(model_->preprocess),
      precision_(chosen_precision(*model_, options_)),
      queue_(options.threads) {
  if (options.exif) preprocess_.exif = *options.exif;
  check_preprocess(preprocess_);
  const int64_t channels = model_->network->pictures().channels;
  check(preprocess_.channels == channels, "session",
        "the preprocessing makes {} channels and the model takes {}", preprocess_.channels,
        channels);
  // Found before a picture is read, where it does not depend on the picture.
  if (const PictureSize size = fixed_output_size(preprocess_); size.height > 0)
    (void)model_->network->layout(size.height, size.width);
  if (!options_.pack) return;
  std::call_once(model_->packing, [&] {
    model_->network->pack_for_inference(queue_, {.precision = precision_});
    model_->packed = precision_;
  });
  check(model_->packed == precision_, "session",
        "the weights were packed for another precision; load the model again for this one");
}

PictureSize Session::input_size() const {
  const PictureSize size = fixed_output_size(preprocess_);
  check(size.height > 0, "session",
        "this model's preprocessing gives each picture a size of its own; name one with {}",
        said(Option::size));
  return size;
}

Session::Pictures Session::files(std::span<const std::string> paths) const {
  const auto path = [paths](int64_t i) -> const std::string& {
    return paths[static_cast<size_t>(i)];
  };
  return {.count = static_cast<int64_t>(paths.size()),
          .load = [path, options = preprocess_.decode_options()](
                      int64_t i) { return load_picture(path(i), options); },
          .write = [this, path](int64_t i,
                                float* out) { return apply_file(path(i), preprocess_, out); }};
}

Session::Pictures Session::in_memory(std::span<const Image> images) const {
  return {.count = static_cast<int64_t>(images.size()),
          .load = [images](int64_t i) { return images[static_cast<size_t>(i)]; },
          .write =
              [this, images](int64_t i, float* out) {
                return apply(images[static_cast<size_t>(i)], preprocess_, out);
              }};
}

Session::Pictures Session::counted(int64_t count,
                                   const std::function<Image(int64_t)>& picture) const {
  return {.count = count, .load = picture, .write = [this, &picture](int64_t i, float* out) {
            return apply(picture(i), preprocess_, out);
          }};
}

void Session::check_size(const PassSize& size) {
  if (size == allowed_) return;
  check_pass(*model_->network, size, options_.limits);
  allowed_ = size;
}

PreparedBatch Session::begin_batch(const Pictures& pictures, int64_t first, int64_t count) {
  PreparedBatch batch;
  batch.geometry.resize(static_cast<size_t>(count));
  batch.errors.resize(static_cast<size_t>(count));
  batch.codes.resize(static_cast<size_t>(count));
  check_stop(stop_);
  const PictureSize size = fixed_output_size(preprocess_);
  if (size.height > 0) {
    check_size({.batch = count, .picture = size, .prepares_ahead = count < pictures.count});
    batch.images = Tensor::empty({count, preprocess_.channels, size.height, size.width});
    return batch;
  }
  check(count == 1, "session", "pictures of sizes of their own go one by one, not {} at once",
        count);
  try {
    const Image image = pictures.load(first);
    const PreprocessResult geometry = preprocess_geometry(image.width, image.height, preprocess_);
    (void)model_->network->layout(geometry.height, geometry.width);  // Error: it does not fit
    check_size({.picture = {geometry.height, geometry.width}});
    batch.images = Tensor::empty({1, preprocess_.channels, geometry.height, geometry.width});
    batch.geometry[0] = apply(image, preprocess_, batch.images.f32());
  } catch (const Error& error) {
    note_error(error, 0, batch);
  }
  return batch;
}

void Session::write_picture(const Pictures& pictures, int64_t first, int64_t i,
                            PreparedBatch& batch) const {
  check_stop(stop_);
  const int64_t floats = batch.images.numel() / batch.images.size(0);
  float* out = batch.images.f32() + i * floats;
  const auto index = static_cast<size_t>(i);
  try {
    batch.geometry[index] = pictures.write(first + i, out);
  } catch (const Error& error) {
    note_error(error, index, batch);
    std::fill_n(out, floats, 0.0f);
  }
}

PreparedBatch Session::prepare_all(const Pictures& pictures) {
  PreparedBatch batch = begin_batch(pictures, 0, pictures.count);
  if (fixed_output_size(preprocess_).height > 0)
    queue_.pool().parallel_for(pictures.count,
                               [&](int64_t i, int) { write_picture(pictures, 0, i, batch); });
  return batch;
}

PreparedBatch Session::prepare_count(int64_t count, const std::function<Image(int64_t)>& picture) {
  return prepare_all(counted(count, picture));
}

PreparedBatch Session::prepare_files(std::span<const std::string> paths) {
  return prepare_all(files(paths));
}

PreparedBatch Session::prepare(std::span<const Image> images) {
  PreparedBatch batch = prepare_all(in_memory(images));
  check_all_read(batch, 0);
  return batch;
}

NetworkOutput Session::run(const Tensor& images, const RunHooks& hooks) {
  Context context(queue_);
  context.probe = hooks.probe;
  context.timings = hooks.timings;
  context.precision = &precision_;
  check_stop(stop_);
  if (hooks.observer || stop_.stop_possible())
    context.observer = [&](const std::string& path, const Variable& value) {
      check_stop(stop_);
      if (hooks.observer) hooks.observer(path, value.value());
    };
  return model_->network->forward(context, images);
}

int64_t Session::batch_size() const {
  return fixed_output_size(preprocess_).height > 0 ? options_.batch : 1;
}

Tensor Session::logits(std::span<const Image> images) {
  const int64_t classes = model_->network->class_answer().classes;
  check(classes > 0, "session", "{} has no classes: it gives features alone", model_->name);
  Tensor all = Tensor::empty({static_cast<int64_t>(images.size()), classes});
  for_each_batch(in_memory(images), [&](size_t first, const PreparedBatch& batch) {
    check_all_read(batch, first);
    const Tensor part = run(batch.images).logits.value();
    std::copy_n(part.f32(), part.numel(), all.f32() + static_cast<int64_t>(first) * classes);
  });
  return all;
}

void Session::for_each_batch(std::span<const std::string> paths, const VisitBatch& visit) {
  for_each_batch(files(paths), visit);
}

void Session::for_each_batch(int64_t count, const std::function<Image(int64_t)>& picture,
                             const VisitBatch& visit) {
  for_each_batch(counted(count, picture), visit);
}

void Session::for_each_batch(const Pictures& pictures, const VisitBatch& visit) {
  const bool own_sizes = fixed_output_size(preprocess_).height == 0;
  using Ahead = PreparedAhead<PreparedBatch>;
  const auto begin = [&](int64_t first) {
    const int64_t count = std::min(batch_size(), pictures.count - first);
    return std::make_unique<Ahead>(
        queue_.pool(), begin_batch(pictures, first, count), own_sizes ? 0 : count,
        [&, first](int64_t i, PreparedBatch& batch) { write_picture(pictures, first, i, batch); });
  };
  std::unique_ptr<Ahead> next;
  for (int64_t first = 0; first < pictures.count; first += batch_size()) {
    if (!next) next = begin(first);
    const PreparedBatch batch = next->finish();
    next.reset();
    // A picture of a size of its own is decoded where its memory is taken: in its turn.
    const int64_t following = first + batch_size();
    if (!own_sizes && following < pictures.count) next = begin(following);
    visit(static_cast<size_t>(first), batch);
  }
}

}  // namespace vitrail
