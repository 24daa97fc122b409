#include "train/methods/teacher.h"

#include <algorithm>

#include "core/error.h"
#include "kernels/interpolate.h"
#include "tasks/match_classes.h"

namespace vitrail {
namespace {

constexpr const char* kTeacher = "distillation";

// value = factor * x + offset.
struct Affine {
  double factor = 1, offset = 0;
};

// From a colour in [0, 1] to what a network is given.
Affine normalisation(const Preprocess& p, size_t channel) {
  Affine a{.factor = p.do_rescale ? 255 * p.rescale_factor : 255, .offset = 0};
  if (!p.do_normalize) return a;
  return {a.factor / p.std[channel], -p.mean[channel] / p.std[channel]};
}

// And back.
Affine inverse(const Affine& a) {
  return {1 / a.factor, -a.offset / a.factor};
}

void apply(const Affine& a, bool clamped, int64_t count, const float* from, float* to) {
  const auto factor = static_cast<float>(a.factor), offset = static_cast<float>(a.offset);
  for (int64_t i = 0; i < count; ++i) {
    const float value = from[i] * factor + offset;
    to[i] = clamped ? std::clamp(value, 0.0f, 1.0f) : value;
  }
}

PictureSize size_of_input(const Model& model, int64_t chosen) {
  if (chosen > 0) return {static_cast<int>(chosen), static_cast<int>(chosen)};
  const PictureSize fixed = fixed_output_size(model.preprocess);
  if (fixed.height > 0) return fixed;
  const PictureInput input = model.network->pictures();
  return {static_cast<int>(input.height), static_cast<int>(input.width)};
}

std::vector<int64_t> matched(const std::vector<std::string>& classes, const Model& model) {
  check(model.labels.any_known(), kTeacher,
        "the teacher {} does not name its classes, which the set's are matched to by name",
        model.name);
  try {
    return match_classes(classes, model.labels);
  } catch (const Error& error) {
    fail(kTeacher, "the teacher {} does not fit the set: {}", model.name, error.what());
  }
}

}  // namespace

Tensor view_as_teacher(Queue& queue, const Tensor& images, const TeacherView& view) {
  const int64_t batch = images.size(0), channels = images.size(1);
  const int64_t height = images.size(2), width = images.size(3);
  const int64_t out_height = view.size.height, out_width = view.size.width;
  const int64_t pixels = height * width, out_pixels = out_height * out_width;
  const Tensor colours = Tensor::empty(images.shape());
  queue.pool().parallel_for(batch * channels, [&](int64_t plane, int) {
    const auto channel = static_cast<size_t>(plane % channels);
    apply(inverse(normalisation(view.student, channel)), true, pixels,
          images.f32() + plane * pixels, colours.f32() + plane * pixels);
  });
  Tensor resized = colours;
  if (height != out_height || width != out_width) {
    resized = Tensor::empty({batch, channels, out_height, out_width});
    kernels::interpolate(queue, {.mode = kernels::InterpolateMode::bicubic,
                                 .antialias = true,
                                 .planes = batch * channels,
                                 .in_height = height,
                                 .in_width = width,
                                 .out_height = out_height,
                                 .out_width = out_width,
                                 .x = colours.f32(),
                                 .y = resized.f32()});
  }
  Tensor seen = Tensor::empty({batch, view.channels, out_height, out_width});
  queue.pool().parallel_for(batch * view.channels, [&](int64_t plane, int) {
    const int64_t sample = plane / view.channels, channel = plane % view.channels;
    const float* from =
        resized.f32() + (sample * channels + std::min(channel, channels - 1)) * out_pixels;
    float* to = seen.f32() + plane * out_pixels;
    apply({}, true, out_pixels, from, to);  // the filter overshoots, which bytes would not hold
    apply(normalisation(view.teacher, static_cast<size_t>(channel)), false, out_pixels, to, to);
  });
  return seen;
}

Teacher::Teacher(const TeacherOptions& options, const std::vector<std::string>& classes,
                 const Preprocess& student)
    : precision_(default_plan(options.precision)) {
  LoadOptions load;
  load.threads = options.threads;
  load.pack = PackOptions{.precision = precision_};
  model_ = load_model(options.model, load);
  check(model_->network->class_answer().classes > 0, kTeacher,
        "the teacher {} has no head that names classes", model_->name);
  classes_ = matched(classes, *model_);
  view_ = {.size = size_of_input(*model_, options.size),
           .channels = model_->preprocess.channels,
           .student = student,
           .teacher = model_->preprocess};
  check(student.channels == 1 || view_.channels == 3, kTeacher,
        "the teacher {} takes grey pictures and the student's have colours", model_->name);
  model_->network->layout(view_.size.height, view_.size.width);  // throws where patches do not fit
}

Tensor Teacher::logits(Queue& queue, const Tensor& images) const {
  Context context(queue);
  context.precision = &precision_;
  const Tensor all =
      model_->network->forward(context, view_as_teacher(queue, images, view_)).logits.value();
  const auto count = static_cast<int64_t>(classes_.size());
  Tensor chosen = Tensor::empty({all.size(0), count});
  for (int64_t row = 0; row < all.size(0); ++row)
    for (int64_t c = 0; c < count; ++c)
      chosen.f32()[row * count + c] =
          all.f32()[row * all.size(1) + classes_[static_cast<size_t>(c)]];
  return chosen;
}

}  // namespace vitrail
