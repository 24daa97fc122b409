#include "train/finetune/finetune_probe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

#include "core/error.h"
#include "train/finetune/finetune_plan.h"

namespace vitrail {

// Each process computes a share, and gets all.
Features FinetuneProbe::features(const Network& model, Queue& queue, const Dataset& set) const {
  GradientExchange* const exchange = options_.run.exchange;
  LoaderOptions loader;
  loader.batch_size = pictures_a_second(multiply_adds_of_picture(model, options_.preprocess));
  loader.workers = options_.run.workers;
  loader.pool = &queue.pool();
  loader.max_broken = options_.run.max_broken;
  loader.preprocess = options_.preprocess;
  if (exchange != nullptr) {
    loader.rank = exchange->rank();
    loader.ranks = exchange->ranks();
  }
  loader.on_broken = [&](const BrokenPicture& broken) {
    if (options_.run.on_message)
      options_.run.on_message(
          fmt::format("{} cannot be read and is left out: {}", broken.id, broken.what));
  };
  Loader pictures(set, loader);
  return features_of(model, queue, pictures, {.exchange = exchange, .stop = options_.run.stop});
}

// What process 0 has, for all: the last bits of other processors may differ.
void FinetuneProbe::share(std::span<double> values) const {
  GradientExchange* const exchange = options_.run.exchange;
  if (exchange == nullptr) return;
  if (exchange->rank() != 0) std::ranges::fill(values, 0);
  exchange->sum(values);
}

void FinetuneProbe::share(Tensor& values) const {
  std::vector<double> numbers(values.values().begin(), values.values().end());
  share(numbers);
  std::ranges::transform(numbers, values.values().begin(),
                         [](double number) { return static_cast<float>(number); });
}

FinetuneProbe::Fit FinetuneProbe::fit(const Network& model, Queue& queue, const RunData& data) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  const Features train = features(model, queue, *data.train);
  const std::chrono::duration<double> seconds = Clock::now() - begin;
  const Features validation = features(model, queue, *data.judge);
  ProbeOptions how;
  // Each process fits the same, and one that stopped alone would keep the others waiting.
  if (options_.run.exchange == nullptr) how.stop = options_.run.stop;
  probe_ = fit_probe(queue, train, validation, model.class_answer().classes, how);
  std::array<double, 3> answers{static_cast<double>(probe_.correct), probe_.penalty,
                                probe_.map.value_or(0)};
  share(answers);
  share(probe_.weight);
  share(probe_.bias);
  probe_.correct = std::llround(answers[0]);
  probe_.penalty = answers[1];
  if (probe_.map) probe_.map = answers[2];
  return {train.pictures(),
          {probe_.correct, validation.pictures(), probe_.map},
          static_cast<double>(train.pictures()) / seconds.count()};
}

Measured FinetuneProbe::judged(const Network& model, Queue& queue, const Dataset& set) const {
  const Features seen = features(model, queue, set);
  if (!set.multi_label()) return {count_correct(queue, probe_, seen), seen.pictures()};
  return measured(judge_probe(queue, probe_, seen));
}

int64_t multiply_adds_of_picture(const Network& model, const Preprocess& preprocess) {
  const PictureSize size = fixed_output_size(preprocess);
  const PictureInput input = model.pictures();
  return (size.height > 0 ? model.cost(size.height, size.width)
                          : model.cost(input.height, input.width))
      .multiply_adds;
}

int64_t pictures_a_second(int64_t multiply_adds) {
  return std::clamp<int64_t>(
      static_cast<int64_t>(kNominalRate) / std::max<int64_t>(1, multiply_adds), 4, 32);
}

}  // namespace vitrail
