// vitrail bench --peak: what the machine can do at most.
#include <fmt/format.h>

#include <array>

#include "apps/cli/bench.h"
#include "apps/cli/standard_streams.h"
#include "core/bf16_speed.h"
#include "core/queue.h"
#include "kernels/isa.h"
#include "kernels/peak.h"

namespace vitrail::cli {
namespace {

constexpr double kPeakSeconds = 0.3;  // for each number
constexpr std::array kPrecisions{Precision::f32, Precision::bf16, Precision::int8};

struct Ceilings {
  int threads = 0;
  std::array<double, kPrecisions.size()> gflops{};
  double gigabytes_per_second = 0;
};

Ceilings measure_ceilings(int threads) {
  Queue queue(threads);
  Ceilings ceilings{.threads = queue.pool().num_threads()};
  for (size_t i = 0; i < kPrecisions.size(); ++i)
    ceilings.gflops[i] = kernels::peak_operations(queue, kPrecisions[i], kPeakSeconds) * 1e-9;
  ceilings.gigabytes_per_second = kernels::read_bandwidth(queue) * 1e-9;
  return ceilings;
}

nlohmann::ordered_json to_json(const Ceilings& ceilings) {
  nlohmann::ordered_json json;
  json["threads"] = ceilings.threads;
  for (size_t i = 0; i < kPrecisions.size(); ++i)
    json[fmt::format("{}_gflops", name_of(kPrecisions[i]))] = ceilings.gflops[i];
  json["read_gigabytes_per_second"] = ceilings.gigabytes_per_second;
  return json;
}

}  // namespace

void bench_peak(const BenchArguments& arguments) {
  std::vector<Ceilings> all{measure_ceilings(1)};
  const int threads = arguments.run.threads > 0 ? arguments.run.threads : available_cores();
  if (threads > 1) all.push_back(measure_ceilings(threads));
  if (arguments.run.json) {
    nlohmann::ordered_json json;
    json["isa"] = kernels::active_isa();
    for (const Precision precision : kPrecisions)
      json["arithmetic"][name_of(precision)] = kernels::arithmetic_of(precision);
    json["bf16_dot_speed"] = bf16_dot_speed();
    json["peaks"] = nlohmann::ordered_json::array();
    for (const Ceilings& ceilings : all) json["peaks"].push_back(to_json(ceilings));
    return print_json(json);
  }
  print_stdout("The most that this machine does, with {}\n", kernels::active_isa());
  print_stdout("  {:<10} {:>12} {:>12} {:>12} {:>14}\n", "", "f32", "bf16", "int8", "memory read");
  for (const Ceilings& ceilings : all) {
    print_stdout("  {:<10}", threads_text(ceilings.threads));
    for (const double gflops : ceilings.gflops) print_stdout(" {:>5.0f} GFLOP/s", gflops);
    print_stdout(" {:>9.1f} GB/s\n", ceilings.gigabytes_per_second);
  }
  print_stdout("Products run on {}, {} and {}.\n", kernels::arithmetic_of(Precision::f32),
               kernels::arithmetic_of(Precision::bf16), kernels::arithmetic_of(Precision::int8));
  if (const double speed = bf16_dot_speed(); speed > 0)
    print_stdout("The bf16 dot product does {:.2f} times the multiply-adds of f32's instruction.\n",
                 speed);
}

}  // namespace vitrail::cli
