#include "train/learner.h"

#include <array>
#include <cmath>

#include "core/error.h"

namespace vitrail {

Learner::Learner(Method& method, const LearnerOptions& options, GradientExchange* exchange)
    : method_(method),
      options_(options),
      exchange_(exchange),
      plan_(default_plan(options.precision)),
      optimizer_(method.parameters(), options.optimizer) {
  check(options.precision != Precision::int8, "train",
        "int8 has no gradient: train in f32 or bf16");
  for (const auto& parameter : method.parameters().all())
    if (parameter->trainable()) trained_.push_back(parameter.get());
  earlier_.resize(trained_.size());
}

// After the last part a parameter's slot holds the sum of all of this process.
void Learner::add_part(Queue& queue, const Batch& batch, const StepNumbers& numbers, bool last,
                       StepResult& sums) {
  Tape tape;
  Context context(queue);
  context.tape = &tape;
  if (options_.precision != Precision::f32) context.precision = &plan_;
  context.dropout = true;
  context.random =
      RandomKey(options_.seed, static_cast<uint64_t>(numbers.step * numbers.parts + numbers.part));
  method_.parameters().clear_gradients();
  const MethodLoss answer = method_.forward(context, batch, numbers);
  sums.loss += answer.loss.value().f32()[0];
  sums.correct += answer.correct;
  sums.pictures += batch.images.size(0);

  std::vector<bool> complete(trained_.size());
  const auto finish = [&](size_t i) {
    GradientSlot& slot = *trained_[i]->slot();
    complete[i] = true;
    if (earlier_[i].defined()) slot.accumulate(queue, std::exchange(earlier_[i], Tensor{}));
    if (last && exchange_ != nullptr && slot.has_gradient())
      exchange_->ready(*trained_[i], slot.gradient());
  };
  if (last && exchange_ != nullptr)
    for (size_t i = 0; i < trained_.size(); ++i)
      trained_[i]->slot()->on_ready = [&finish, i] { finish(i); };
  tape.backward(queue, answer.loss);
  for (size_t i = 0; i < trained_.size(); ++i) {
    trained_[i]->slot()->on_ready = nullptr;
    if (!complete[i]) finish(i);
    if (!last) earlier_[i] = trained_[i]->slot()->take();
  }
}

StepResult Learner::step(Queue& queue, std::span<const Batch> parts, const StepNumbers& numbers) {
  check(!parts.empty(), "train", "a step needs a batch");
  StepResult result;
  StepNumbers part = numbers;
  for (size_t i = 0; i < parts.size(); ++i, ++part.part)
    add_part(queue, parts[i], part, i + 1 == parts.size(), result);
  if (exchange_ != nullptr) {
    exchange_->finish();
    std::array<double, 3> sums{result.loss, static_cast<double>(result.correct),
                               static_cast<double>(result.pictures)};
    exchange_->sum(sums);
    result.loss = sums[0];
    result.correct = static_cast<int64_t>(sums[1]);
    result.pictures = static_cast<int64_t>(sums[2]);
  }
  const double share = 1.0 / static_cast<double>(numbers.parts);
  result.loss *= share;
  result.learning_rate = options_.schedule.at(numbers.step);
  check(std::isfinite(result.loss), "train", "the loss is {} at step {}", result.loss,
        numbers.step);
  result.gradient_norm = share * optimizer_.gradient_norm(queue);
  check(std::isfinite(result.gradient_norm), "train", "the gradient's norm is {} at step {}",
        result.gradient_norm, numbers.step);
  optimizer_.step(queue, result.learning_rate,
                  share * clip_scale(result.gradient_norm, options_.clip_norm));
  method_.parameters().clear_gradients();
  method_.after_update(queue, numbers);
  return result;
}

}  // namespace vitrail
