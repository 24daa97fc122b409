// vitrail bench NAME --data SPEC: what decoding and augmenting pictures costs a training run.
//
// With C and L the core-seconds that a picture takes to compute and to load, a run whose pictures
// lie in memory does cores / C pictures a second, and one that loads them cores / (C + L) at most.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "apps/cli/bench.h"
#include "apps/cli/standard_streams.h"
#include "data/loader.h"
#include "train/methods/supervised.h"
#include "train/run/learner.h"
#include "train/run/recipes.h"

namespace vitrail::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// Batches without end, epoch after epoch.
class Batches {
 public:
  Batches(const Dataset& set, const LoaderOptions& options) : loader_(set, options) {
    check(loader_.batches_per_epoch() > 0, "bench", "{} has {} pictures, fewer than a batch",
          set.name(), set.size());
    loader_.start(0);
  }
  void next(Batch& batch) {
    while (!loader_.next(batch)) loader_.start(++epoch_);
  }

 private:
  Loader loader_;
  int64_t epoch_ = 0;
};

struct Figures {
  double computing = 0, loading = 0;      // seconds of a core for a picture: C and L
  double in_memory = 0, with_loader = 0;  // pictures a second
  double attainable() const { return in_memory * computing / (computing + loading); }
  double share() const { return with_loader / attainable(); }
};

class LoadingBench {
 public:
  LoadingBench(Network& network, const Dataset& set, const LoaderOptions& options, int threads,
               Precision precision)
      : queue_(threads),
        method_(network, {}),
        learner_(method_, {.schedule = {.learning_rate = 1e-6, .total_steps = 1'000'000'000},
                           .precision = precision}) {
    LoaderOptions alone = options;
    alone.workers = 0;
    alone_ = std::make_unique<Batches>(set, alone);
    LoaderOptions beside = options;
    beside.pool = &queue_.pool();
    beside_ = std::make_unique<Batches>(set, beside);
  }

  int threads() { return queue_.pool().num_threads(); }

  // The three kinds of steps in turn, so that what else the machine does falls on all of them.
  Figures run(int rounds) {
    std::vector<double> load, memory, loaded;
    Batch held, batch;
    alone_->next(held);
    for (int round = -1; round < rounds; ++round) {
      const auto before_load = Clock::now();
      alone_->next(held);
      const double load_seconds = seconds_since(before_load);
      const double memory_seconds = steps(held, nullptr);
      beside_->next(batch);  // begins the next one
      const double loaded_seconds = steps(batch, beside_.get());
      if (round < 0) continue;  // to warm up
      load.push_back(load_seconds);
      memory.push_back(memory_seconds);
      loaded.push_back(loaded_seconds);
    }
    const auto pictures = static_cast<double>(held.images.size(0));
    return {.computing = median(memory) * threads() / pictures,
            .loading = median(load) / pictures,
            .in_memory = pictures / median(memory),
            .with_loader = pictures / median(loaded)};
  }

 private:
  // Seconds a step; the loader's batches, or the same again and again.
  double steps(Batch& batch, Batches* source) {
    constexpr int kSteps = 4;
    const auto start = Clock::now();
    for (int i = 0; i < kSteps; ++i) {
      learner_.step(queue_, batch, {.step = step_++});
      if (source != nullptr) source->next(batch);
    }
    return seconds_since(start) / kSteps;
  }

  Queue queue_;
  SupervisedMethod method_;
  Learner learner_;
  std::unique_ptr<Batches> alone_, beside_;
  int64_t step_ = 0;
};

}  // namespace

void bench_loading(const BenchArguments& arguments) {
  if (!arguments.model.labels.empty()) throw BadUsage("--data takes no --labels");
  TrainConfig config = recipe_for(data_spec(arguments.data), arguments.model.model);
  LoaderOptions options;
  for (const auto& [name, value] : parse_settings(arguments.model.settings))
    set_field(config, name, value);
  options.augment = config.augment;
  options.mix = config.mix;
  const auto set = open_dataset(config.data, Split::train, config.open_options());
  const Precision precision = training_precision(arguments.run);
  const std::shared_ptr<Network> network = config.model.make();
  network->parameters().initialise(0);
  const std::string name = arguments.model.model.empty() ? "a model" : arguments.model.model;
  options.batch_size = arguments.run.batch;
  options.workers = arguments.workers;
  options.shuffle = options.drop_last = true;
  options.preprocess = config.preprocess();
  LoadingBench bench(*network, *set, options, arguments.run.threads, precision);
  const Figures figures = bench.run(arguments.runs > 0 ? arguments.runs : 5);
  if (arguments.run.json) {
    return print_json({{"model", name},
                       {"data", set->name()},
                       {"batch", options.batch_size},
                       {"threads", bench.threads()},
                       {"workers", options.workers},
                       {"core_milliseconds_computing", figures.computing * 1e3},
                       {"core_milliseconds_loading", figures.loading * 1e3},
                       {"pictures_per_second_in_memory", figures.in_memory},
                       {"pictures_per_second", figures.with_loader},
                       {"pictures_per_second_attainable", figures.attainable()},
                       {"share_of_attainable", figures.share()}});
  }
  print_stdout("training {} on {}, batch {}, {}, {}\n", name, set->name(), options.batch_size,
               threads_text(bench.threads()),
               options.workers == 0 ? "which load, too"
                                    : fmt::format("and {} more that load", options.workers));
  print_stdout("  a picture takes {:.3f} ms of a core to compute and {:.3f} to load\n",
               figures.computing * 1e3, figures.loading * 1e3);
  print_stdout(
      "  {:.1f} pictures/s from memory, {:.1f} with loading: {:.1f}% of the {:.1f} attainable\n",
      figures.in_memory, figures.with_loader, 100 * figures.share(), figures.attainable());
}

}  // namespace vitrail::cli
