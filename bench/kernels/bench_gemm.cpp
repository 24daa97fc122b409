// bench_gemm: our matrix products beside oneDNN's, at the shapes of ViT-Ti, S and B, turn by turn
// in one process. Prints a table, or JSON for bench/peers/run.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>
#include <thread>

#include "bench/kernels/gemm_case.h"
#include "core/rng.h"
#include "kernels/isa.h"
#include "kernels/peak.h"

namespace vitrail::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  bool json = false, quick = false;
  int threads = 0;  // 0: one, and two
  std::string only;
};

constexpr std::string_view kUsage =
    "usage: bench_gemm [--json] [--quick] [--threads N] [--only TEXT]\n\n"
    "  --only TEXT  shapes whose name contains it\n\n"
    "example: bench_gemm --threads 2 --only 'ViT-B fc1'\n";

std::vector<GemmShape> shapes() {
  std::vector<GemmShape> all;
  for (const auto& [model, width] : {std::pair{"Ti", 192}, {"S", 384}, {"B", 768}})
    for (const int64_t batch : {1, 8}) {
      const auto add = [&, name = model](const char* layer, int64_t tokens, int64_t k, int64_t n) {
        all.push_back({fmt::format("ViT-{} {} x{}", name, layer, batch), tokens * batch, k, n});
      };
      add("patch", 196, 768, width);
      add("qkv", 197, width, 3 * width);
      add("proj", 197, width, width);
      add("fc1", 197, width, 4 * width);
      add("fc2", 197, 4 * width, width);
    }
  return all;
}

GemmData random_data(const GemmShape& shape) {
  GemmData data{.shape = shape};
  Rng rng(1, 0);
  const auto fill = [&](std::vector<float>& values, int64_t count, double limit) {
    values.resize(static_cast<size_t>(count));
    for (float& value : values) value = static_cast<float>(rng.uniform(-limit, limit));
  };
  fill(data.a, shape.m * shape.k, 1);
  fill(data.w, shape.n * shape.k, 0.1);
  fill(data.bias, shape.n, 0.1);
  return data;
}

double distance(const Product& a, const Product& b, int64_t count) {
  double difference = 0, length = 0;
  for (int64_t i = 0; i < count; ++i) {
    difference += std::pow(static_cast<double>(a.c[i]) - b.c[i], 2);
    length += std::pow(static_cast<double>(b.c[i]), 2);
  }
  return std::sqrt(difference / length);
}

// Seconds a call over a turn. Before it, the other library's threads fall asleep: OpenMP's spin for
// some milliseconds after their work.
double turn(const Product& product, int calls) {
  std::this_thread::sleep_for(std::chrono::milliseconds(8));
  product.run();
  const auto start = Clock::now();
  for (int i = 0; i < calls; ++i) product.run();
  return std::chrono::duration<double>(Clock::now() - start).count() / calls;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Outcome {
  GemmShape shape;
  Precision precision = Precision::f32;
  int threads = 0;
  double ours = 0, onednn = 0;  // seconds
  double ratio = 0;             // oneDNN with the conversion of A / ours
  double ratio_alone = 0;       // oneDNN with A converted beforehand / ours
  double share = 0;             // of the measured peak, ours
  double distance = 0;
};

Outcome compare(Queue& queue, Precision precision, const GemmData& data, const Options& options) {
  const Product ours = our_product(queue, precision, data);
  const Product whole = onednn_product(precision, data, true);
  const Product alone = onednn_product(precision, data, false);
  const double turn_seconds = options.quick ? 0.002 : 0.005;
  const int calls = std::clamp(static_cast<int>(turn_seconds / turn(ours, 1)), 1, 1000);
  std::vector<double> our_times, their_times, ratios, ratios_alone;
  for (int round = 0; round < (options.quick ? 3 : 7); ++round) {
    our_times.push_back(turn(ours, calls));
    their_times.push_back(turn(whole, calls));
    ratios.push_back(their_times.back() / our_times.back());
    ratios_alone.push_back(precision == Precision::f32 ? ratios.back()
                                                       : turn(alone, calls) / our_times.back());
  }
  return {.shape = data.shape,
          .precision = precision,
          .threads = queue.pool().num_threads(),
          .ours = median(our_times),
          .onednn = median(their_times),
          .ratio = median(ratios),
          .ratio_alone = median(ratios_alone),
          .distance = distance(ours, whole, data.shape.m * data.shape.n)};
}

// The largest distance that rounding explains; int8's two sides quantize A differently.
double tolerance(Precision precision) {
  switch (precision) {
    case Precision::bf16:
      return 1e-2;
    case Precision::int8:
      return 5e-2;
    default:
      return 1e-5;
  }
}

struct Summary {
  double log_ratio = 0, log_alone = 0, least = 1e9, least_alone = 1e9;
  int count = 0;
  void add(const Outcome& outcome) {
    log_ratio += std::log(outcome.ratio);
    log_alone += std::log(outcome.ratio_alone);
    least = std::min(least, outcome.ratio);
    least_alone = std::min(least_alone, outcome.ratio_alone);
    ++count;
  }
  double mean() const { return std::exp(log_ratio / count); }
  double mean_alone() const { return std::exp(log_alone / count); }
};

void print_outcome(const Outcome& outcome) {
  fmt::print(
      "{:<5} {}T {:<15} {:>5} {:>5} {:>5} {:>9.1f} us {:>9.1f} us  {:>5.2f} {:>5.2f} {:>5.1f}%\n",
      name_of(outcome.precision), outcome.threads, outcome.shape.name, outcome.shape.m,
      outcome.shape.k, outcome.shape.n, outcome.ours * 1e6, outcome.onednn * 1e6, outcome.ratio,
      outcome.ratio_alone, outcome.share * 100);
}

nlohmann::ordered_json to_json(const Outcome& outcome) {
  return {{"shape", outcome.shape.name},
          {"m", outcome.shape.m},
          {"k", outcome.shape.k},
          {"n", outcome.shape.n},
          {"microseconds", outcome.ours * 1e6},
          {"onednn_microseconds", outcome.onednn * 1e6},
          {"ratio", outcome.ratio},
          {"ratio_alone", outcome.ratio_alone},
          {"share_of_peak", outcome.share}};
}

int run(const Options& options) {
  nlohmann::ordered_json groups = nlohmann::ordered_json::array();
  if (!options.json)
    fmt::print(
        "                             M     K     N         ours       oneDNN  ratio alone  "
        "peak\n");
  for (const int threads : {1, 2}) {
    if (options.threads != 0 && options.threads != threads) continue;
    Queue queue(threads);
    onednn_use_threads(threads);
    for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) {
      const double peak = kernels::peak_operations(queue, precision);
      Summary summary;
      nlohmann::ordered_json rows = nlohmann::ordered_json::array();
      for (const GemmShape& shape : shapes()) {
        if (shape.name.find(options.only) == std::string::npos) continue;
        Outcome outcome = compare(queue, precision, random_data(shape), options);
        if (!(outcome.distance <= tolerance(precision))) {
          fmt::print(stderr, "bench_gemm: {} {}: the answers differ by {:.3g}\n",
                     name_of(precision), shape.name, outcome.distance);
          return 1;
        }
        outcome.share =
            2.0 * static_cast<double>(shape.m * shape.k * shape.n) / outcome.ours / peak;
        summary.add(outcome);
        rows.push_back(to_json(outcome));
        if (!options.json) print_outcome(outcome);
      }
      if (summary.count == 0) continue;
      groups.push_back({{"precision", name_of(precision)},
                        {"threads", threads},
                        {"peak_gflops", peak * 1e-9},
                        {"geometric_mean", summary.mean()},
                        {"minimum", summary.least},
                        {"geometric_mean_alone", summary.mean_alone()},
                        {"minimum_alone", summary.least_alone},
                        {"shapes", std::move(rows)}});
      if (!options.json)
        fmt::print(
            "{} {}T: geometric mean {:.3f}, least {:.3f}; beside the product alone {:.3f}, "
            "{:.3f}\n",
            name_of(precision), threads, summary.mean(), summary.least, summary.mean_alone(),
            summary.least_alone);
    }
  }
  if (options.json) {
    const nlohmann::ordered_json all{
        {"isa", kernels::active_isa()}, {"onednn", onednn_version()}, {"groups", groups}};
    fmt::print("{}\n", all.dump());
  }
  return 0;
}

}  // namespace
}  // namespace vitrail::bench

int main(int argc, char** argv) {
  vitrail::bench::Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--json") {
      options.json = true;
    } else if (argument == "--quick") {
      options.quick = true;
    } else if (argument == "--threads" && i + 1 < argc) {
      options.threads = std::atoi(argv[++i]);
    } else if (argument == "--only" && i + 1 < argc) {
      options.only = argv[++i];
    } else {
      const bool help = argument == "--help";
      fmt::print(help ? stdout : stderr, "{}", vitrail::bench::kUsage);
      return help ? 0 : 2;
    }
  }
  return vitrail::bench::run(options);
}
