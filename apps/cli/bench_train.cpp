// vitrail bench NAME --train: how fast a model learns.
#include <fmt/format.h>

#include <algorithm>

#include "apps/cli/bench.h"
#include "apps/cli/standard_streams.h"
#include "core/memory.h"
#include "train/methods/supervised.h"
#include "train/run/learner.h"

namespace vitrail::cli {
namespace {

// Picture i is one of class 7 i, around and around.
Tensor numbered_labels(int64_t count, int64_t classes) {
  Tensor labels = Tensor::empty({count}, DType::i64);
  for (int64_t i = 0; i < count; ++i) labels.data<int64_t>()[i] = i * 7 % classes;
  return labels;
}

// Weights of a checkpoint are its file, which nobody may write to.
void own_the_weights(Network& network) {
  for (const auto& parameter : network.parameters().all())
    parameter->set_value(parameter->value().clone());
}

// What a step needs beside weights (packed ones too), gradients and the optimizer's moments.
template <typename Step>
int64_t activation_bytes(const Network& network, Step step) {
  reset_peak_memory();
  const auto before = static_cast<int64_t>(memory_stats().bytes_in_use);
  step();
  const int64_t gradients = network.parameters().num_elements() * int64_t{sizeof(float)};
  return std::max<int64_t>(0,
                           static_cast<int64_t>(memory_stats().peak_in_use) - before - gradients);
}

}  // namespace

void bench_train(const BenchArguments& arguments) {
  const Precision precision = training_precision(arguments.run);
  if (precision == Precision::int8)
    throw BadUsage("--train runs in f32 or bf16: int8 has no gradient");
  const auto model = open_model_or_architecture(arguments.model, load_options(arguments.model));
  Network& network = *model->network;
  const int64_t classes = network.class_answer().classes;
  check(classes > 0, "bench", "{} has no classes to learn", model->name);
  own_the_weights(network);
  Batch batch;
  batch.images = input_pictures(arguments, network);
  batch.labels = numbered_labels(batch.images.size(0), classes);
  const int64_t height = batch.images.size(2), width = batch.images.size(3);
  const ModelCost cost = network.cost(height, width);
  Queue queue(arguments.run.threads);
  const Subject subject{.model = model->name,
                        .batch = batch.images.size(0),
                        .height = height,
                        .width = width,
                        .threads = queue.pool().num_threads(),
                        .precision = precision};
  // A rate so small that however many steps are measured, the loss stays finite.
  SupervisedMethod method(network, {});
  Learner learner(method, {.schedule = {.learning_rate = 1e-6, .total_steps = 1'000'000'000},
                           .precision = precision,
                           .activation_checkpointing = arguments.activation_checkpointing});
  int64_t step = 0;
  StepResult first;
  const auto once = [&] {
    const StepResult result = learner.step(queue, batch, {.step = step});
    if (step++ == 0) first = result;
  };
  // The backward pass has two products for each of the forward pass: one for the gradient of either
  // factor.
  const int64_t multiply_adds = 3 * cost.multiply_adds;
  const Measured measured =
      measure_beside_peak(queue, subject, multiply_adds, arguments.runs, once);
  const MemoryUse memory = memory_use();
  const int64_t activations = activation_bytes(network, once);
  if (!arguments.run.json) {
    print_stdout("training {}\n", text(subject));
    print_stdout("  step    {}\n", measured.times.text());
    print_stdout("  speed   {}\n", text(measured.speed));
    print_stdout("  memory  {}; activations {:.0f} MB\n", text(memory),
                 static_cast<double>(activations) / 1e6);
    return;
  }
  nlohmann::ordered_json json;
  write_to(json, subject);
  measured.times.write_to(json);
  write_to(json, measured.speed);
  json["parameters"] = cost.parameters;
  json["multiply_adds"] = multiply_adds;
  write_to(json, memory);
  json["activation_bytes"] = activations;
  const auto* labels = batch.labels.data<int64_t>();
  json["labels"] = std::vector<int64_t>(labels, labels + subject.batch);
  json["first_loss"] = first.loss;
  json["first_gradient_norm"] = first.gradient_norm;
  print_json(json);
}

}  // namespace vitrail::cli
