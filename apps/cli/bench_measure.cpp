// How `vitrail bench` measures time and memory.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>

#include "apps/cli/bench.h"
#include "core/memory.h"
#include "core/rng.h"
#include "formats/npy.h"
#include "kernels/isa.h"
#include "kernels/peak.h"

namespace vitrail::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kWarmUpRuns = 2;
constexpr int kMinRuns = 5, kMaxRuns = 1000;
constexpr double kSeconds = 3;  // of measuring, when the number of runs is not given

// VmHWM: the most memory that this process ever held, in bytes; 0 where the system does not say.
int64_t peak_resident() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (int64_t kibibytes = 0; word == "VmHWM:" && status >> kibibytes) return kibibytes * 1024;
  return 0;
}

double megabytes(int64_t bytes) {
  return static_cast<double>(bytes) * 1e-6;
}

}  // namespace

Times::Times(std::vector<double> seconds) : sorted_(std::move(seconds)) {
  std::sort(sorted_.begin(), sorted_.end());
}

double Times::within(double share) const {
  const double rank = std::ceil(share * static_cast<double>(sorted_.size()));
  return sorted_[static_cast<size_t>(std::max(rank, 1.0)) - 1];
}

void Times::write_to(nlohmann::ordered_json& json) const {
  json["runs"] = runs();
  json["milliseconds"] = median() * 1e3;
  json["milliseconds_best"] = best() * 1e3;
  json["milliseconds_p50"] = within(0.5) * 1e3;
  json["milliseconds_p90"] = within(0.9) * 1e3;
  json["milliseconds_p99"] = within(0.99) * 1e3;
}

std::string Times::text() const {
  return fmt::format(
      "{:.2f} ms, the median of {} (best {:.2f}, 90% within {:.2f}, 99% within {:.2f})",
      median() * 1e3, runs(), best() * 1e3, within(0.9) * 1e3, within(0.99) * 1e3);
}

Times measure(int runs, const std::function<void()>& once) {
  const auto timed = [&] {
    const auto start = Clock::now();
    once();
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  for (int i = 0; i < kWarmUpRuns; ++i) timed();
  std::vector<double> seconds;
  double total = 0;
  const auto enough = [&] {
    const int done = static_cast<int>(seconds.size());
    if (runs > 0) return done >= runs;
    return done >= kMaxRuns || (done >= kMinRuns && total >= kSeconds);
  };
  while (!enough()) {
    seconds.push_back(timed());
    total += seconds.back();
  }
  return Times(std::move(seconds));
}

void write_to(nlohmann::ordered_json& json, const Subject& subject) {
  json["model"] = subject.model;
  json["height"] = subject.height;
  json["width"] = subject.width;
  json["batch"] = subject.batch;
  json["threads"] = subject.threads;
  json["isa"] = kernels::active_isa();
  json["precision"] = name_of(subject.precision);
  json["arithmetic"] = kernels::arithmetic_of(subject.precision);
}

std::string text(const Subject& subject) {
  return fmt::format("{} at {}x{}, batch {}, {} ({}), {}, {}", subject.model, subject.height,
                     subject.width, subject.batch, name_of(subject.precision),
                     kernels::arithmetic_of(subject.precision), threads_text(subject.threads),
                     kernels::active_isa());
}

Measured measure_beside_peak(Queue& queue, const Subject& subject, int64_t multiply_adds_a_picture,
                             int runs, const std::function<void()>& once) {
  const auto peak = [&] { return kernels::peak_operations(queue, subject.precision) * 1e-9; };
  const double before = peak();
  Measured result{.times = measure(runs, once), .speed = {}};
  const auto operations = static_cast<double>(2 * multiply_adds_a_picture * subject.batch);
  const double seconds = result.times.median();
  result.speed = {.pictures_per_second = static_cast<double>(subject.batch) / seconds,
                  .gflops = operations / seconds * 1e-9,
                  .peak_gflops = std::max(before, peak())};
  return result;
}

void write_to(nlohmann::ordered_json& json, const Speed& speed) {
  json["pictures_per_second"] = speed.pictures_per_second;
  json["gflops"] = speed.gflops;
  json["peak_gflops"] = speed.peak_gflops;
  json["share_of_peak"] = speed.gflops / speed.peak_gflops;
}

std::string text(const Speed& speed) {
  return fmt::format("{:.2f} pictures/s, {:.1f} GFLOP/s: {:.1f}% of the machine's {:.0f}",
                     speed.pictures_per_second, speed.gflops,
                     100 * speed.gflops / speed.peak_gflops, speed.peak_gflops);
}

MemoryUse memory_use() {
  const MemoryStats pool = memory_stats();
  return {.peak_resident = peak_resident(),
          .pool_peak = static_cast<int64_t>(pool.peak_in_use),
          .pool_reserved = static_cast<int64_t>(pool.bytes_reserved)};
}

void write_to(nlohmann::ordered_json& json, const MemoryUse& memory) {
  json["peak_memory_bytes"] = memory.peak_resident;
  json["pool_peak_bytes"] = memory.pool_peak;
  json["pool_reserved_bytes"] = memory.pool_reserved;
}

std::string text(const MemoryUse& memory) {
  return fmt::format("{:.0f} MB resident at most; tensors {:.0f} MB at most, {:.0f} MB kept",
                     megabytes(memory.peak_resident), megabytes(memory.pool_peak),
                     megabytes(memory.pool_reserved));
}

PictureSize bench_size(const Network& network) {
  const PictureInput input = network.pictures();
  return {static_cast<int>(input.height), static_cast<int>(input.width)};
}

Tensor random_pictures(int64_t batch, int64_t channels, PictureSize size) {
  Tensor images = Tensor::empty({batch, channels, size.height, size.width});
  Rng rng(1, 0);
  for (float& value : images.values()) value = static_cast<float>(rng.uniform(-1, 1));
  return images;
}

Tensor input_pictures(const BenchArguments& arguments, const Network& network) {
  const int64_t channels = network.pictures().channels;
  if (arguments.input.empty())
    return random_pictures(arguments.run.batch, channels, bench_size(network));
  Tensor images = read_npy(arguments.input);
  check(images.dtype() == DType::f32 && images.rank() == 4 && images.size(0) > 0 &&
            images.size(1) == channels,
        "bench", "{} holds {} {}; this model takes f32 [pictures, {}, height, width]",
        arguments.input, name_of(images.dtype()), images.shape().str(), channels);
  return images;
}

std::string threads_text(int threads) {
  return fmt::format("{} thread{}", threads, threads == 1 ? "" : "s");
}

}  // namespace vitrail::cli
