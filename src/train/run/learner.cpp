#include "train/run/learner.h"

#include <array>
#include <cmath>

#include "core/error.h"

namespace vitrail {
namespace {

constexpr double kRunningShare = 0.1;  // of a step in the running statistics: torch's default

}  // namespace

Learner::Learner(Method& method, const LearnerOptions& options, GradientExchange* exchange)
    : method_(method),
      options_(options),
      exchange_(exchange),
      plan_(default_plan(options.precision)),
      optimizer_(make_optimizer(method.parameters(), options.optimizer)),
      spikes_(options.spike_threshold, options.skip_limit) {
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
  context.dropout = context.batch_statistics = true;
  context.running = &running_;
  context.activation_checkpointing = options_.activation_checkpointing;
  context.random =
      RandomKey(options_.seed, static_cast<uint64_t>(numbers.step * numbers.parts + numbers.part));
  method_.parameters().clear_gradients();
  const MethodLoss answer = method_.forward(context, batch, numbers);
  sums.loss += answer.loss.value().f32()[0];
  sums.correct += answer.correct;
  sums.pictures += batch.images.size(0);

  std::vector<bool> complete(trained_.size());
  const bool exchanges = last && exchange_ != nullptr;
  const auto finish = [&](size_t i) {
    GradientSlot& slot = *trained_[i]->slot();
    complete[i] = true;
    if (earlier_[i].defined()) slot.accumulate(queue, std::exchange(earlier_[i], Tensor{}));
    if (exchanges && slot.has_gradient()) exchange_->ready(*trained_[i], slot.gradient());
  };
  // What is rerun in checkpoints may use a parameter again after it seemed complete: then all are
  // handed over at the end.
  if (exchanges && !options_.activation_checkpointing)
    for (size_t i = 0; i < trained_.size(); ++i)
      trained_[i]->slot()->on_ready = [&finish, i] { finish(i); };
  tape.backward(queue, answer.loss);
  for (size_t i = 0; i < trained_.size(); ++i) {
    trained_[i]->slot()->on_ready = nullptr;
    if (!complete[i]) finish(i);
    if (!last) earlier_[i] = trained_[i]->slot()->take();
  }
}

void Learner::exchange_sums(StepResult& sums) {
  exchange_->finish();
  std::array<double, 3> values{sums.loss, static_cast<double>(sums.correct),
                               static_cast<double>(sums.pictures)};
  exchange_->sum(values);
  for (const std::span<double> own : {method_.step_sums(), running_.sums()})
    if (!own.empty()) exchange_->sum(own);
  sums.loss = values[0];
  sums.correct = static_cast<int64_t>(values[1]);
  sums.pictures = static_cast<int64_t>(values[2]);
}

StepResult Learner::step(Queue& queue, std::span<const Batch> parts, const StepNumbers& numbers) {
  check(!parts.empty(), "train", "a step needs a batch");
  const int64_t ranks = exchange_ != nullptr ? exchange_->ranks() : 1;
  StepResult result;
  StepNumbers part = numbers;
  running_.clear();
  for (size_t i = 0; i < parts.size(); ++i, part.part += ranks)
    add_part(queue, parts[i], part, i + 1 == parts.size(), result);
  if (exchange_ != nullptr) exchange_sums(result);

  const double share = 1.0 / static_cast<double>(numbers.parts);
  result.loss *= share;
  result.learning_rate = options_.schedule.at(numbers.step);
  result.gradient_norm = share * optimizer_->gradient_norm(queue);
  if (!std::isfinite(result.loss) || !std::isfinite(result.gradient_norm))
    result.skipped = Skip::not_finite;
  else if (spikes_.skips(result.loss))
    result.skipped = Skip::spike;
  if (options_.weight_decay) optimizer_->set_weight_decay(options_.weight_decay->at(numbers.step));
  if (result.skipped == Skip::no) {
    optimizer_->step(queue, result.learning_rate,
                     share * clip_scale(result.gradient_norm, options_.clip_norm));
    running_.update(kRunningShare);
  }
  method_.parameters().clear_gradients();
  if (result.skipped == Skip::no) method_.after_update(queue, numbers);
  return result;
}

}  // namespace vitrail
