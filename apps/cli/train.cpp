// vitrail train: a model from a data set.
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/cli/common.h"
#include "apps/cli/verbs.h"
#include "core/error.h"
#include "train/recipes.h"
#include "train/trainer.h"

namespace vitrail::cli {
namespace {

std::atomic<int> stop_signal{0};

// The first signal asks for a checkpoint; the second one ends the program as usual.
extern "C" void ask_to_stop(int signal) {
  stop_signal = signal;
  std::signal(signal, SIG_DFL);
}

struct TrainArguments {
  std::string data, architecture, out;
  std::optional<std::string> val, precision;
  std::optional<int64_t> epochs, batch, seed;
  std::optional<double> learning_rate, weight_decay, warmup, label_smoothing;
  std::vector<std::string> settings;
  int threads = 0, workers = 1;
  int64_t checkpoint_steps = 0, log_steps = 50;
  bool resume = false, json = false;
};

template <typename T>
void take(const std::optional<T>& given, T& field) {
  if (given) field = *given;
}

TrainConfig resolve(const TrainArguments& arguments) {
  const std::optional<TrainConfig> run =
      arguments.resume ? config_of_run(arguments.out) : std::nullopt;
  if (!run && arguments.data.empty()) {
    if (arguments.resume) fail("train", "{} holds no run; --data begins one", arguments.out);
    fail("train", "--data is missing: folder:DIR, fashion-mnist:DIR, scenes, ...");
  }
  TrainConfig config = run && arguments.architecture.empty()
                           ? *run
                           : recipe_for(run ? run->data : arguments.data, arguments.architecture);
  if (!arguments.data.empty()) config.data = arguments.data;
  take(arguments.val, config.val);
  take(arguments.epochs, config.epochs);
  take(arguments.batch, config.batch_size);
  take(arguments.seed, config.seed);
  take(arguments.learning_rate, config.learning_rate);
  take(arguments.weight_decay, config.weight_decay);
  take(arguments.warmup, config.warmup_epochs);
  take(arguments.label_smoothing, config.label_smoothing);
  take(arguments.precision, config.precision);
  for (const auto& [name, value] : parse_settings(arguments.settings))
    set_field(config, name, value);
  return config;
}

std::string clock_text(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  return whole >= 3600 ? fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)
                       : fmt::format("{}:{:02}", whole / 60, whole % 60);
}

// One line that is drawn over itself; nothing unless stderr is a terminal.
class ProgressBar {
 public:
  void draw(const TrainProgress& p) {
    if (!terminal_) return;
    constexpr int kWidth = 24;
    const auto filled = static_cast<int>(kWidth * p.batch / std::max<int64_t>(1, p.batches));
    fmt::print(
        stderr,
        "\r\x1b[Kepoch {}/{} [{}{}] loss {:.4f}  accuracy {:.1f}%  {:.0f} pictures/s  {} left",
        p.epoch + 1, p.epochs, std::string(filled, '#'), std::string(kWidth - filled, '.'), p.loss,
        100 * p.accuracy, p.pictures_per_second, clock_text(p.seconds_left));
    std::fflush(stderr);
    drawn_ = true;
  }
  void clear() {
    if (drawn_) fmt::print(stderr, "\r\x1b[K");
    drawn_ = false;
  }

 private:
  bool terminal_ = ::isatty(STDERR_FILENO) != 0;
  bool drawn_ = false;
};

nlohmann::json to_json(const std::optional<Evaluation>& evaluation) {
  if (!evaluation) return nullptr;
  return {{"accuracy", evaluation->accuracy},
          {"loss", evaluation->loss},
          {"count", evaluation->pictures}};
}

void print_json(const TrainArguments& arguments, const TrainResult& result) {
  const nlohmann::json line{{"model", arguments.out},
                            {"interrupted", result.interrupted},
                            {"steps", result.step},
                            {"parameters", result.parameters},
                            {"validation", to_json(result.validation)},
                            {"test", to_json(result.test)},
                            {"seconds", result.seconds}};
  fmt::print("{}\n", line.dump());
}

void run(const TrainArguments& arguments) {
  const TrainConfig config = resolve(arguments);
  ProgressBar bar;
  RunOptions options;
  options.out = arguments.out;
  options.resume = arguments.resume;
  options.threads = arguments.threads;
  options.workers = arguments.workers;
  options.checkpoint_steps = arguments.checkpoint_steps;
  options.log_steps = arguments.log_steps;
  options.stop = [] { return stop_signal != 0; };
  options.on_step = [&](const TrainProgress& progress) { bar.draw(progress); };
  options.on_message = [&](const std::string& line) {
    bar.clear();
    fmt::print(stderr, "{}\n", line);
  };
  std::signal(SIGINT, ask_to_stop);
  std::signal(SIGTERM, ask_to_stop);
  TrainResult result;
  try {
    result = train(config, options);
  } catch (...) {
    bar.clear();  // the error has a line of its own
    throw;
  }
  bar.clear();
  if (arguments.json) print_json(arguments, result);
  if (result.interrupted) {
    fmt::print(stderr, "stopped at step {}; continue with: vitrail train --resume --out {}\n",
               result.step, arguments.out);
    throw Failed{};
  }
  if (!arguments.json)
    fmt::print("the model is in {0}: vitrail classify --model {0} PICTURE\n", arguments.out);
}

}  // namespace

void add_train(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("train", "Train a model on a data set");
  auto arguments = std::make_shared<TrainArguments>();
  TrainArguments& a = *arguments;
  verb->add_option(
      "--data", a.data,
      "folder:DIR, fashion-mnist:DIR, mnist:DIR, cifar10:DIR or scenes[:key=value,...]");
  verb->add_option("--val", a.val, "evaluate on another set (its val, test or whole)");
  verb->add_option("--out", a.out, "folder of the run; it is the model, too")->required();
  verb->add_option("--arch", a.architecture,
                   "architecture: cct_2_3x2, vit_lite_7_4, ... or timm's name; "
                   "the default suits the set");
  verb->add_option("--epochs", a.epochs);
  verb->add_option("--batch", a.batch, "pictures a step");
  verb->add_option("--lr", a.learning_rate, "peak learning rate");
  verb->add_option("--weight-decay", a.weight_decay);
  verb->add_option("--precision", a.precision,
                   "f32, or bf16: products and attention in bf16, weights and sums in f32");
  verb->add_option("--warmup", a.warmup, "epochs of linear warm-up before the cosine");
  verb->add_option("--label-smoothing", a.label_smoothing);
  verb->add_option("--seed", a.seed);
  verb->add_option("--set", a.settings,
                   "key=value: any field of the training or the model that train.json shows");
  verb->add_flag("--resume", a.resume,
                 "continue the run in --out, to the same weights bit for bit");
  verb->add_option("--checkpoint-steps", a.checkpoint_steps,
                   "also a checkpoint every so many steps (0: after each epoch)")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--log-steps", a.log_steps, "steps between lines of metrics.jsonl")
      ->check(CLI::PositiveNumber);
  verb->add_option("--threads", a.threads, "0: all cores")->check(CLI::NonNegativeNumber);
  verb->add_option("--workers", a.workers, "threads that prepare pictures")
      ->check(CLI::Range(0, 256));
  verb->add_flag("--json", a.json, "print the result as one JSON object");
  set_example(
      *verb,
      "vitrail train --data fashion-mnist:DIR --out runs/fashion\n"
      "  vitrail train --data folder:photos --out runs/mine --epochs 30 --set image_size=96\n"
      "  vitrail train --resume --out runs/mine");
  verb->callback([arguments] { run(*arguments); });
}

}  // namespace vitrail::cli
