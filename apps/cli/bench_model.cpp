// vitrail bench NAME: how fast a model answers, beside what the machine could do.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "apps/cli/bench.h"
#include "apps/cli/standard_streams.h"
#include "formats/npy.h"

namespace vitrail::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMaxProfiledPasses = 200;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// Logits, or of a model without classes what its head would read.
void write_answers(const std::string& path, const NetworkOutput& output) {
  write_npy(path, output.logits.defined() ? output.logits.value() : output.pooled.value());
}

struct Result {
  Subject subject;
  double load = 0, first = 0;  // milliseconds
  ModelCost cost;
  Measured measured;
  MemoryUse memory;
};

nlohmann::ordered_json to_json(const Result& result) {
  nlohmann::ordered_json json;
  write_to(json, result.subject);
  result.measured.times.write_to(json);
  json["milliseconds_load"] = result.load;
  json["milliseconds_first"] = result.first;
  write_to(json, result.measured.speed);
  json["parameters"] = result.cost.parameters;
  json["multiply_adds"] = result.cost.multiply_adds;
  write_to(json, result.memory);
  return json;
}

void print_result(const Result& result) {
  print_stdout("{}\n", text(result.subject));
  print_stdout("  time    {}\n", result.measured.times.text());
  print_stdout("  speed   {}\n", text(result.measured.speed));
  print_stdout("  memory  {}\n", text(result.memory));
  print_stdout(
      "  model   {} parameters, {} multiply-adds a picture; loaded in {:.0f} ms, first "
      "answer {:.0f} ms later\n",
      human_count(static_cast<double>(result.cost.parameters)),
      human_count(static_cast<double>(result.cost.multiply_adds)), result.load, result.first);
}

}  // namespace

void bench_model(const BenchArguments& arguments) {
  const auto start = Clock::now();
  Session session(
      open_model_or_architecture(arguments.model, load_options(arguments.model, arguments.run)),
      session_options(arguments.run));
  const double load = milliseconds_since(start);
  const Network& network = *session.model().network;
  if (arguments.input.empty())
    session.check_size({.batch = arguments.run.batch,
                        .picture = bench_size(network),
                        .keeps_attention = arguments.probe});
  const Tensor images = input_pictures(arguments, network);
  const Subject subject{.model = session.model().name,
                        .batch = images.size(0),
                        .height = images.size(2),
                        .width = images.size(3),
                        .threads = session.queue().pool().num_threads(),
                        .precision = session.precision().base};
  const ModelCost cost = network.cost(subject.height, subject.width);

  const auto begin = Clock::now();
  NetworkOutput output = session.run(images);
  const double first = milliseconds_since(begin);
  if (!arguments.output.empty()) write_answers(arguments.output, output);
  output = {};  // its memory is the next pass's

  const auto once = [&] {
    AttentionProbe rows({.queries = {0}});
    session.run(images, {.probe = arguments.probe ? &rows : nullptr});
  };
  const Result result{.subject = subject,
                      .load = load,
                      .first = first,
                      .cost = cost,
                      .measured = measure_beside_peak(session.queue(), subject, cost.multiply_adds,
                                                      arguments.runs, once),
                      .memory = memory_use()};

  const int passes =
      static_cast<int>(std::min<size_t>(result.measured.times.runs(), kMaxProfiledPasses));
  if (!arguments.run.json) {
    print_result(result);
    if (arguments.profile) bench_profile(session, images, passes, nullptr);
    return;
  }
  nlohmann::ordered_json json = to_json(result);
  if (arguments.profile) bench_profile(session, images, passes, &json);
  print_json(json);
}

}  // namespace vitrail::cli
