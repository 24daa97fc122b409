#include "train/methods/dino.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "core/advice.h"
#include "core/error.h"
#include "kernels/copy.h"
#include "kernels/elementwise.h"
#include "kernels/reduce.h"
#include "kernels/softmax.h"
#include "ops/elementwise.h"
#include "ops/softmax_cross_entropy.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

constexpr const char* kDino = "dino";

// Tensors of one shape below each other.
Tensor stacked(std::span<const Tensor> tensors) {
  Shape shape = tensors[0].shape();
  shape[0] *= static_cast<int64_t>(tensors.size());
  Tensor all = Tensor::empty(shape);
  float* to = all.f32();
  for (const Tensor& tensor : tensors) to = std::ranges::copy(tensor.values(), to).out;
  return all;
}

// softmax((x - center) / temperature), row by row (eq. 1, with the centre of section 3.1).
Tensor sharpened(Queue& queue, const Tensor& x, const Tensor& center, double temperature) {
  const int64_t rows = x.size(0), dim = x.size(1);
  Tensor y = Tensor::empty(x.shape());
  kernels::arithmetic(queue, {.operation = kernels::Arithmetic::subtract,
                              .a = x.view(),
                              .b = kernels::broadcast_to(center.view(), x.shape()),
                              .out = y.view()});
  kernels::scale(queue, y.numel(), static_cast<float>(1 / temperature), y.f32(), y.f32());
  kernels::softmax(queue, {.rows = rows, .classes = dim, .x = y.f32(), .y = y.f32()});
  return y;
}

// What each view is to answer: a global one the other global views' answers, a local one all.
// Rows that sum to the number of answers.
Tensor targets_of(Queue& queue, const Tensor& answers, int64_t views, int64_t globals) {
  const int64_t each = answers.numel() / globals;
  Tensor targets = Tensor::zeros({answers.size(0) / globals * views, answers.size(1)});
  for (int64_t view = 0; view < views; ++view)
    for (int64_t from = 0; from < globals; ++from) {
      if (view == from) continue;
      float* to = targets.f32() + view * each;
      kernels::add(queue, {.count = each, .a = to, .b = answers.f32() + from * each, .out = to});
    }
  return targets;
}

}  // namespace

VitConfig dino_backbone(VitConfig config) {
  check(config.tokens.class_token && config.depth > 0, kDino,
        "the model has no class token that attends to patches, which DINO learns from; choose an "
        "architecture that has one ({} vit_lite_2_4, for instance)",
        said(Option::architecture));
  config.head.pooling = Pooling::class_token;
  config.head.norm = false;
  config.num_classes = 0;
  return config;
}

DinoMethod::Projected::Projected(VisionTransformer& of, const DinoOptions& options)
    : backbone(of),
      head(Scope(parameters).child("head"), {.inputs = of.head().pooled_dim(),
                                             .hidden = options.hidden,
                                             .bottleneck = options.bottleneck,
                                             .outputs = options.outputs}) {
  parameters.include(of.parameters());
}

Variable DinoMethod::Projected::forward(const Context& context, std::span<const Tensor> views,
                                        bool frozen) const {
  std::vector<Variable> pooled;
  for (size_t begin = 0, end = 0; begin < views.size(); begin = end) {
    while (end < views.size() && views[end].shape() == views[begin].shape()) ++end;
    pooled.push_back(backbone.forward(context, stacked(views.subspan(begin, end - begin))).pooled);
  }
  return head.forward(context, concatenate(context, pooled, 0), frozen);
}

DinoMethod::DinoMethod(const VitConfig& config, const DinoOptions& options)
    : options_(options),
      teacher_(dino_backbone(config)),
      student_backbone_(dino_backbone(config)),
      student_(student_backbone_, options),
      teacher_network_(teacher_, options),
      center_(Tensor::zeros({options.outputs})),
      sums_(static_cast<size_t>(options.outputs + 1)) {
  check(options.global_crops >= 2, kDino, "global_crops is {}; there must be two at least",
        options.global_crops);
}

void DinoMethod::begin() {
  for (const auto& parameter : student_.parameters.all()) {
    Parameter& slow = teacher_network_.parameters.at(parameter->path());
    if (slow.has_value())
      parameter->set_value(slow.value().clone());
    else
      slow.set_value(parameter->value().clone());
  }
}

double DinoMethod::teacher_temperature(const StepNumbers& numbers) const {
  const double warmup = options_.warmup_teacher_epochs, from = options_.warmup_teacher_temperature;
  const auto epoch = static_cast<double>(numbers.epoch);
  if (epoch >= warmup) return options_.teacher_temperature;
  // As numpy's linspace over the warm-up's epochs.
  return from + (options_.teacher_temperature - from) * epoch / std::max(1.0, warmup - 1);
}

double DinoMethod::teacher_momentum(const StepNumbers& numbers) const {
  const double progress =
      static_cast<double>(numbers.step) / static_cast<double>(numbers.total_steps);
  return 1 - 0.5 * (1 - options_.teacher_momentum) * (1 + std::cos(std::numbers::pi * progress));
}

MethodLoss DinoMethod::forward(Context& context, const Batch& batch, const StepNumbers& numbers) {
  const auto views = static_cast<int64_t>(batch.views.size());
  const int64_t globals = options_.global_crops, outputs = options_.outputs;
  check(views >= globals, kDino, "a batch of {} views lacks some of the {} global crops", views,
        globals);
  const std::span<const Tensor> all = batch.views;
  Context inference(context.queue);
  inference.precision = context.precision;
  const Tensor seen =
      teacher_network_.forward(inference, all.first(static_cast<size_t>(globals)), true).value();
  const Tensor answers = sharpened(context.queue, seen, center_, teacher_temperature(numbers));
  const Tensor sum = Tensor::zeros({outputs});
  kernels::sum_rows(context.queue, {.rows = seen.size(0),
                                    .dim = outputs,
                                    .x = seen.f32(),
                                    .x_stride = outputs,
                                    .out = sum.f32()});
  // A step that was not taken leaves its sums behind.
  if (std::exchange(sums_step_, numbers.step) != numbers.step) std::ranges::fill(sums_, 0.0);
  for (int64_t i = 0; i < outputs; ++i) sums_[static_cast<size_t>(i)] += sum.f32()[i];
  sums_.back() += static_cast<double>(seen.size(0));

  const bool frozen = static_cast<double>(numbers.epoch) < options_.freeze_last_layer;
  const Variable logits = scale(context, student_.forward(context, all, frozen),
                                static_cast<float>(1 / options_.student_temperature));
  const Variable mean =
      soft_cross_entropy(context, logits, targets_of(context.queue, answers, views, globals));
  // The mean over rows of sums of answers becomes the mean over pairs of views.
  const int64_t pairs = globals * (views - 1);
  return {.loss =
              scale(context, mean,
                    static_cast<float>(static_cast<double>(views) / static_cast<double>(pairs)))};
}

void DinoMethod::after_update(Queue& queue, const StepNumbers& numbers) {
  const auto momentum = static_cast<float>(teacher_momentum(numbers));
  for (const auto& parameter : student_.parameters.all()) {
    Parameter& slow = teacher_network_.parameters.at(parameter->path());
    const Tensor value = slow.value();
    kernels::scale(queue, value.numel(), momentum, value.f32(), value.f32());
    kernels::add_scaled(queue, {.count = value.numel(),
                                .a = value.f32(),
                                .scale = 1 - momentum,
                                .b = parameter->value().f32(),
                                .out = value.f32()});
    slow.changed();
  }
  const double kept = options_.center_momentum;
  for (int64_t i = 0; i < center_.numel(); ++i)
    center_.f32()[i] = static_cast<float>(
        kept * center_.f32()[i] + (1 - kept) * sums_[static_cast<size_t>(i)] / sums_.back());
  sums_step_ = -1;
}

NamedTensors DinoMethod::state() const {
  NamedTensors tensors{{"center", center_}};
  for (const auto& parameter : teacher_network_.parameters.all())
    tensors.emplace_back("teacher." + parameter->path(), parameter->value());
  return tensors;
}

void DinoMethod::load_state(const TensorSource& tensors) {
  const auto read = [&](const std::string& name, const Shape& shape) {
    const TensorInfo& info = tensors.info(name);
    check(info.shape == shape, kDino, "{}: {} is {} and {} wanted", tensors.place(), name,
          info.shape.str(), shape.str());
    return tensors.tensor(name).clone();
  };
  Tensor center = read("center", center_.shape());
  for (const auto& parameter : teacher_network_.parameters.all())
    parameter->set_value(read("teacher." + parameter->path(), parameter->shape()));
  center_ = std::move(center);
}

}  // namespace vitrail
