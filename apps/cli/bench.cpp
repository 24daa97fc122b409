// vitrail bench: how fast a model runs here, and how much memory it takes.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <vector>

#include "apps/cli/common.h"
#include "apps/cli/verbs.h"
#include "core/rng.h"
#include "infer/cost.h"
#include "kernels/isa.h"

namespace vitrail::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct Arguments {
  ModelArguments model;
  RunArguments run;
  std::string size;
  int runs = 0;
  bool probe = false;
};

constexpr int kWarmUpRuns = 2;
constexpr int kMinRuns = 5, kMaxRuns = 1000;
constexpr double kSeconds = 3;  // of measuring, when the number of runs is not given

// VmHWM: the most memory that this process ever held, in bytes; 0 where the system does not say.
int64_t peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (int64_t kibibytes = 0; word == "VmHWM:" && status >> kibibytes) return kibibytes * 1024;
  return 0;
}

Tensor random_pictures(int64_t batch, int64_t channels, PictureSize size) {
  Tensor images = Tensor::empty({batch, channels, size.height, size.width});
  Rng rng(1, 0);
  for (float& value : images.values()) value = static_cast<float>(rng.uniform(-1, 1));
  return images;
}

double run_once(Session& session, const Tensor& images, bool probe) {
  AttentionProbe rows({.queries = {0}});
  const auto start = Clock::now();
  session.run(images, {.probe = probe ? &rows : nullptr});
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<double> measure(Session& session, const Tensor& images, const Arguments& arguments) {
  for (int i = 0; i < kWarmUpRuns; ++i) run_once(session, images, arguments.probe);
  std::vector<double> seconds;
  double total = 0;
  const auto enough = [&] {
    const int done = static_cast<int>(seconds.size());
    if (arguments.runs > 0) return done >= arguments.runs;
    return done >= kMaxRuns || (done >= kMinRuns && total >= kSeconds);
  };
  while (!enough()) {
    seconds.push_back(run_once(session, images, arguments.probe));
    total += seconds.back();
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds;
}

void bench(const Arguments& arguments) {
  Session session(open_model_or_architecture(arguments.model), session_options(arguments.run));
  const VisionTransformerConfig& config = session.model().network->config();
  const PictureSize size =
      arguments.size.empty()
          ? PictureSize{static_cast<int>(config.image_height), static_cast<int>(config.image_width)}
          : parse_size(arguments.size);
  const int batch = arguments.run.batch;
  const ModelCost cost = model_cost(*session.model().network, size.height, size.width);
  const Tensor images = random_pictures(batch, config.in_channels, size);
  const std::vector<double> seconds = measure(session, images, arguments);
  const double median = seconds[seconds.size() / 2];
  // A multiply and an add are two operations.
  const double operations = 2.0 * static_cast<double>(cost.multiply_adds) * batch;
  nlohmann::ordered_json json;
  json["model"] = session.model().name;
  json["height"] = size.height;
  json["width"] = size.width;
  json["batch"] = batch;
  json["threads"] = session.queue().pool().num_threads();
  json["isa"] = kernels::active_isa();
  json["runs"] = seconds.size();
  json["milliseconds"] = median * 1e3;
  json["milliseconds_best"] = seconds.front() * 1e3;
  json["pictures_per_second"] = batch / median;
  json["gflops"] = operations / median * 1e-9;
  json["parameters"] = cost.parameters;
  json["multiply_adds"] = cost.multiply_adds;
  json["peak_memory_bytes"] = peak_memory();
  if (arguments.run.json) return print_json(json);
  fmt::print("{} at {}x{}, batch {}, {} threads, {}\n", session.model().name, size.height,
             size.width, batch, session.queue().pool().num_threads(), kernels::active_isa());
  fmt::print("  {:.2f} ms (median of {}; best {:.2f})\n", median * 1e3, seconds.size(),
             seconds.front() * 1e3);
  fmt::print("  {:.2f} pictures/s, {:.1f} GFLOP/s\n", batch / median, operations / median * 1e-9);
  fmt::print("  {:.0f} MB peak memory, {} parameters, {} multiply-adds a picture\n",
             static_cast<double>(peak_memory()) * 1e-6,
             human_count(static_cast<double>(cost.parameters)),
             human_count(static_cast<double>(cost.multiply_adds)));
}

}  // namespace

void add_bench(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  arguments->run.batch = 1;
  CLI::App* verb = app.add_subcommand("bench", "Measure speed and memory");
  verb->add_option("name", arguments->model.model,
                   "an architecture such as vit_base_patch16_224 (random weights), or a model "
                   "(default: the bundled model)");
  add_model_options(*verb, arguments->model);
  verb->add_option("--size", arguments->size, "side, or HEIGHTxWIDTH (default: the model's own)");
  verb->add_option("--runs", arguments->runs, "measured runs (default: three seconds of them)")
      ->check(CLI::Range(1, 1'000'000));
  verb->add_flag("--probe", arguments->probe,
                 "with the attention rows of the first token in all layers");
  add_run_options(*verb, arguments->run);
  set_example(*verb, "vitrail bench vit_base_patch16_224 --batch 1 --threads 2");
  verb->callback([arguments] { bench(*arguments); });
}

}  // namespace vitrail::cli
