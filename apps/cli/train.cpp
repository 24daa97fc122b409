// vitrail train: a model from a data set.
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/cli/command_text.h"
#include "apps/cli/common.h"
#include "apps/cli/hub_model.h"
#include "apps/cli/judged_set.h"
#include "apps/cli/run_display.h"
#include "apps/cli/standard_streams.h"
#include "apps/cli/stop_signal.h"
#include "apps/cli/train_job.h"
#include "apps/cli/verbs.h"
#include "core/error.h"
#include "core/file_lock.h"
#include "train/run/presets.h"
#include "train/run/recipes.h"
#include "train/run/trainer.h"

namespace vitrail::cli {
namespace {

struct TrainArguments {
  std::string data, architecture, preset, out;
  std::optional<std::string> val, precision, method, teacher, distillation;
  std::optional<int64_t> epochs, batch, accumulate, seed;
  std::optional<double> learning_rate, weight_decay, warmup, label_smoothing;
  std::vector<std::string> settings;
  int threads = 0, workers = 0;
  double max_broken = kMaxBroken;
  int64_t checkpoint_steps = 0, log_steps = 50;
  bool resume = false, json = false;
};

template <typename T>
void take(const std::optional<T>& given, T& field) {
  if (given) field = *given;
}

// A long recipe's warm-up and cool-down shrink with it where they would not fit.
void shorten(TrainConfig& config, int64_t epochs) {
  const double share = static_cast<double>(epochs) / static_cast<double>(config.epochs);
  if (config.warmup_epochs + config.cooldown_epochs > static_cast<double>(epochs)) {
    config.warmup_epochs *= share;
    config.cooldown_epochs *= share;
  }
  config.epochs = epochs;
}

TrainConfig resolve(const TrainArguments& arguments) {
  const std::optional<TrainConfig> run =
      arguments.resume ? config_of_run(arguments.out) : std::nullopt;
  check(!run || !std::filesystem::exists(std::filesystem::path(arguments.out) / "finetune.json"),
        "train",
        "{} is a run of vitrail finetune; continue it with the command that began it and --resume",
        arguments.out);
  if (!run && arguments.data.empty()) {
    if (arguments.resume) fail("train", "{} holds no run; --data begins one", arguments.out);
    fail("train", "--data is missing: folder:DIR, fashion-mnist:DIR, scenes, ...");
  }
  TrainConfig config = run && arguments.architecture.empty() && arguments.preset.empty()
                           ? *run
                           : recipe_for(run ? run->data : data_spec(arguments.data),
                                        {arguments.architecture, arguments.preset});
  if (!arguments.data.empty()) config.data = data_spec(arguments.data);
  if (arguments.val) config.val = data_spec(*arguments.val);
  if (arguments.epochs) shorten(config, *arguments.epochs);
  take(arguments.batch, config.batch_size);
  take(arguments.accumulate, config.accumulate);
  take(arguments.seed, config.seed);
  take(arguments.learning_rate, config.learning_rate);
  take(arguments.weight_decay, config.weight_decay);
  take(arguments.warmup, config.warmup_epochs);
  take(arguments.label_smoothing, config.label_smoothing);
  take(arguments.precision, config.precision);
  take(arguments.method, config.method);
  if (arguments.teacher) config.learning.teacher = resolve_model(*arguments.teacher).path;
  // A teacher that is named is listened to.
  if (arguments.teacher && !arguments.distillation && config.learning.distillation == "none")
    config.learning.distillation = "soft";
  take(arguments.distillation, config.learning.distillation);
  for (const auto& [name, value] : parse_settings(arguments.settings))
    set_field(config, name, value);
  return config;
}

nlohmann::json to_json(const std::optional<Evaluation>& evaluation) {
  if (!evaluation) return nullptr;
  nlohmann::json json{{evaluation->map ? "exact_match" : "accuracy", evaluation->accuracy},
                      {"loss", evaluation->loss},
                      {"count", evaluation->pictures}};
  if (evaluation->map) json["map"] = *evaluation->map;
  return json;
}

void print_json(const TrainArguments& arguments, const TrainResult& result) {
  nlohmann::ordered_json line{{"model", arguments.out},
                              {"interrupted", result.interrupted},
                              {"steps", result.step},
                              {"parameters", result.parameters},
                              {"validation", to_json(result.validation)},
                              {"trained_on", nullptr},
                              {"test", to_json(result.test)},
                              {"seconds", result.seconds}};
  if (result.validation)
    line["trained_on"] = trained_on_json(result.validation_learned, result.data.judge->size());
  add_left_out(line);
  cli::print_json(line);
}

void list_presets() {
  for (const auto& [name, preset] : presets()) print_stdout("{:<22}{}\n", name, preset.description);
}

std::string resume_command(const TrainArguments& arguments) {
  return program_name() + " train --resume --out " + shell_word(arguments.out);
}

// What was learned without labels has no classes yet.
void print_what_follows(const std::string& out, const TrainConfig& config) {
  const std::string model = shell_word(out), program = program_name();
  const std::filesystem::path path = std::filesystem::path(out + "/").lexically_normal();
  const std::string beside = path.parent_path().string() + "-classes";
  print_stdout("the model is in {}: ", out);
  if (config.method == "supervised") {
    print_stdout("{} classify --model {} PICTURE\n", program, model);
  } else {
    const bool has_classes = !config.data.starts_with("flat:");
    print_stdout("{} embed --model {} PICTURE\n", program, model);
    print_stdout("to teach it classes: {} finetune --model {} --data {} --out {}\n", program, model,
                 has_classes ? shell_word(config.data) : "folder:PICTURES", shell_word(beside));
  }
  print_stdout("{} shows the run\n", report_path(out).string());
}

void run_in(TrainJob& job, const TrainArguments& arguments) {
  const TrainConfig config = resolve(arguments);
  note_stop_signals();  // until here, where a teacher may be fetched, a signal ends the program
  RunOptions options;
  RunDisplay display(options);
  options.out = arguments.out;
  std::optional<FolderLock> lock;  // until the report is written
  if (job.leads()) options.lock = &lock.emplace(arguments.out, "train");
  options.resume = arguments.resume;
  options.exchange = job.exchange();
  options.threads = job.threads(arguments.threads);
  options.workers = arguments.workers;
  options.max_broken = arguments.max_broken;
  options.checkpoint_steps = arguments.checkpoint_steps;
  options.log_steps = arguments.log_steps;
  options.stop = stop_asked;
  TrainResult result;
  try {
    result = train(config, options);
  } catch (...) {
    display.finish(false);  // the error has a line of its own
    throw;
  }
  display.finish(!result.interrupted, result.data.train ? &result.data : nullptr);
  if (arguments.json && job.leads()) print_json(arguments, result);
  if (result.interrupted) {
    if (job.leads())
      print_stderr("stopped at step {}; continue with: {}\n", result.step,
                   resume_command(arguments));
    throw Failed{};
  }
  if (!arguments.json && job.leads()) print_what_follows(arguments.out, config);
}

void run(const TrainArguments& arguments) {
  if (arguments.preset == "list") return list_presets();
  if (arguments.out.empty()) throw BadUsage("--out is missing: the folder of the run");
  TrainJob job(arguments.out, resume_command(arguments), stop_is_urgent);
  if (job.exchange() != nullptr) note_stop_signals();  // for TrainJob asks how mpirun ends it
  job.run([&] { run_in(job, arguments); });
}

}  // namespace

void add_train(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("train", "Train a model on a data set");
  auto arguments = std::make_shared<TrainArguments>();
  TrainArguments& a = *arguments;
  add_data_option(*verb, a.data, "--data", "pictures to learn from");
  verb->add_option("--val", a.val, "another set to evaluate on (its val, test or whole)");
  verb->add_option("--out", a.out, "folder of the run; it is the model, too");
  verb->add_option("--arch", a.architecture,
                   "architecture: cct_2_3x2, vit_lite_7_4, ... or timm's name; "
                   "the default suits the set");
  verb->add_option("--preset", a.preset, "a recipe by name; 'list' lists them");
  verb->add_option("--epochs", a.epochs,
                   "passes over the training pictures (default: the preset's)");
  verb->add_option("--batch", a.batch, "pictures a step");
  verb->add_option("--accumulate", a.accumulate,
                   "parts of a step that are computed one after the other: less memory");
  verb->add_option("--lr", a.learning_rate, "peak learning rate");
  verb->add_option("--weight-decay", a.weight_decay,
                   "pull of the weights towards zero, times the learning rate");
  verb->add_option("--precision", a.precision,
                   "f32, or bf16: products and attention in bf16, weights and sums in f32");
  verb->add_option("--method", a.method,
                   "supervised (default), mae or dino: from pictures alone, for fine-tuning")
      ->check(CLI::IsMember({"supervised", "mae", "dino"}));
  verb->add_option(
      "--teacher", a.teacher,
      "a model (folder, file, or OWNER/NAME of a hub) whose answers are learned beside the "
      "labels");
  verb->add_option("--distillation", a.distillation,
                   "how the teacher is followed: soft (default) or hard")
      ->check(CLI::IsMember({"none", "soft", "hard"}));
  verb->add_option("--warmup", a.warmup, "epochs of linear warm-up before the cosine");
  verb->add_option("--label-smoothing", a.label_smoothing,
                   "share of each target that is spread over all classes");
  verb->add_option("--seed", a.seed,
                   "of first weights, order, augmentation and held-out pictures (default: 0)");
  add_set_option(*verb, a.settings, SettingsOf::training);
  verb->add_flag("--resume", a.resume,
                 "continue the run in --out, to the same weights bit for bit");
  verb->add_option("--checkpoint-steps", a.checkpoint_steps,
                   "also a checkpoint every so many steps (0: after each epoch)")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--log-steps", a.log_steps, "steps between lines of metrics.jsonl")
      ->check(CLI::PositiveNumber);
  verb->add_option("--threads", a.threads, "0: all cores")->check(CLI::NonNegativeNumber);
  add_workers_option(*verb, a.workers);
  add_strict_option(*verb);
  add_max_broken_option(*verb, a.max_broken);
  verb->add_flag("--json", a.json, "print the result as one JSON object");
  set_example(
      *verb,
      "vitrail train --data fashion-mnist:DIR --out runs/fashion\n"
      "  vitrail train --data folder:photos --out runs/mine --epochs 30 --set image_size=96\n"
      "  vitrail train --data cifar10:DIR --preset cct_7_3x1 --out runs/cct\n"
      "  vitrail train --data folder:photos --out runs/small --teacher runs/mine\n"
      "  vitrail train --data folder:photos --out runs/features --method dino\n"
      "  vitrail train --resume --out runs/mine");
  verb->callback([arguments] { run(*arguments); });
}

}  // namespace vitrail::cli
