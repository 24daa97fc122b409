// vitrail bench NAME: how fast a model answers, beside what the machine could do.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "apps/cli/bench.h"
#include "formats/npy.h"
#include "infer/cost.h"
#include "kernels/isa.h"
#include "kernels/peak.h"

namespace vitrail::cli {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

Tensor pictures_of(const BenchArguments& arguments, const VisionTransformerConfig& config) {
  if (arguments.input.empty())
    return random_pictures(arguments.run.batch, config.in_channels, bench_size(arguments, config));
  Tensor images = read_npy(arguments.input);
  check(images.dtype() == DType::f32 && images.rank() == 4 && images.size(0) > 0 &&
            images.size(1) == config.in_channels,
        "bench", "{} holds {} {}; this model takes f32 [pictures, {}, height, width]",
        arguments.input, name_of(images.dtype()), images.shape().str(), config.in_channels);
  return images;
}

// Logits, or of a model without classes what its head would read.
void write_answers(const std::string& path, const VitOutput& output) {
  write_npy(path, output.logits.defined() ? output.logits.value() : output.pooled.value());
}

struct Result {
  std::string model;
  int64_t batch = 0, height = 0, width = 0;
  int threads = 0;
  Precision precision = Precision::f32;
  double load = 0, first = 0;  // milliseconds
  ModelCost cost;
  double gflops = 0, peak_gflops = 0;
  MemoryUse memory;
};

nlohmann::ordered_json to_json(const Result& result, const Times& times) {
  nlohmann::ordered_json json;
  json["model"] = result.model;
  json["height"] = result.height;
  json["width"] = result.width;
  json["batch"] = result.batch;
  json["threads"] = result.threads;
  json["isa"] = kernels::active_isa();
  json["precision"] = name_of(result.precision);
  times.write_to(json);
  json["milliseconds_load"] = result.load;
  json["milliseconds_first"] = result.first;
  json["pictures_per_second"] = static_cast<double>(result.batch) / times.median();
  json["gflops"] = result.gflops;
  json["peak_gflops"] = result.peak_gflops;
  json["share_of_peak"] = result.gflops / result.peak_gflops;
  json["parameters"] = result.cost.parameters;
  json["multiply_adds"] = result.cost.multiply_adds;
  write_to(json, result.memory);
  return json;
}

void print_result(const Result& result, const Times& times) {
  fmt::print("{} at {}x{}, batch {}, {}, {}, {}\n", result.model, result.height, result.width,
             result.batch, name_of(result.precision), threads_text(result.threads),
             kernels::active_isa());
  fmt::print("  time    {}\n", times.text());
  fmt::print("  speed   {:.2f} pictures/s, {:.1f} GFLOP/s: {:.1f}% of the machine's {:.0f}\n",
             static_cast<double>(result.batch) / times.median(), result.gflops,
             100 * result.gflops / result.peak_gflops, result.peak_gflops);
  fmt::print("  memory  {}\n", text(result.memory));
  fmt::print(
      "  model   {} parameters, {} multiply-adds a picture; loaded in {:.0f} ms, first "
      "answer after {:.0f} ms\n",
      human_count(static_cast<double>(result.cost.parameters)),
      human_count(static_cast<double>(result.cost.multiply_adds)), result.load, result.first);
}

}  // namespace

void bench_model(const BenchArguments& arguments) {
  const auto start = Clock::now();
  Session session(open_model_or_architecture(arguments.model), session_options(arguments.run));
  Result result{.model = session.model().name, .load = milliseconds_since(start)};
  const VisionTransformer& network = *session.model().network;
  const Tensor images = pictures_of(arguments, network.config());
  result.batch = images.size(0);
  result.height = images.size(2);
  result.width = images.size(3);
  result.threads = session.queue().pool().num_threads();
  result.precision = session.precision().base;
  result.cost = model_cost(network, result.height, result.width);

  {
    const auto first = Clock::now();
    const VitOutput output = session.run(images);
    result.first = milliseconds_since(first);
    if (!arguments.output.empty()) write_answers(arguments.output, output);
  }

  const auto peak = [&] {
    return kernels::peak_operations(session.queue(), result.precision) * 1e-9;
  };
  const double before = peak();
  const Times times = measure(arguments.runs, [&] {
    AttentionProbe rows({.queries = {0}});
    session.run(images, {.probe = arguments.probe ? &rows : nullptr});
  });
  result.peak_gflops = std::max(before, peak());
  result.memory = memory_use();
  // A multiplication and an addition are two operations.
  const auto operations = static_cast<double>(2 * result.cost.multiply_adds * result.batch);
  result.gflops = operations / times.median() * 1e-9;

  if (arguments.run.json) return print_json(to_json(result, times));
  print_result(result, times);
}

}  // namespace vitrail::cli
