// vitrail bench: how fast a model runs here, and how much memory it takes.
#include "apps/cli/bench.h"

#include <fmt/format.h>

#include "apps/cli/verbs.h"

namespace vitrail::cli {
namespace {

// Options that say nothing of what is measured are refused rather than ignored.
struct Restriction {
  const char* option;
  std::initializer_list<const char*> others;
};
const Restriction kRestrictions[] = {
    {"--peak",
     {"name", "--model", "--set", "--labels", "--size", "--runs", "--probe", "--profile", "--input",
      "--output", "--batch", "--precision", "--train", "--data", "--pictures"}},
    {"--pictures",
     {"--size", "--probe", "--profile", "--input", "--output", "--batch", "--precision",
      "--train"}},
    {"--train", {"--probe", "--profile", "--output"}},
    {"--data", {"--size", "--pictures", "--peak", "--probe", "--profile", "--input", "--output"}},
    {"--input", {"--size", "--batch"}}};

void check_restrictions(const CLI::App& verb) {
  for (const Restriction& restriction : kRestrictions) {
    if (verb.count(restriction.option) == 0) continue;
    for (const char* other : restriction.others)
      if (verb.count(other) > 0)
        throw BadUsage(fmt::format("{} takes no {}", restriction.option,
                                   std::string(other) == "name" ? "model" : other));
  }
}

void bench(const BenchArguments& arguments) {
  if (arguments.data.empty() && !shared_settings(arguments.model.settings).training.empty())
    throw BadUsage("--set takes fields of the training with --data alone");
  if (!arguments.output.empty()) check_writable(arguments.output);
  if (arguments.peak) return bench_peak(arguments);
  if (!arguments.pictures.empty()) return bench_pictures(arguments);
  if (!arguments.data.empty()) return bench_loading(arguments);
  if (arguments.train) return bench_train(arguments);
  if (arguments.activation_checkpointing)
    throw BadUsage("--activation-checkpointing goes with --train");
  bench_model(arguments);
}

}  // namespace

void add_bench(CLI::App& app) {
  auto arguments = std::make_shared<BenchArguments>();
  arguments->run.batch = 1;
  CLI::App* verb =
      app.add_subcommand("bench", "Measure speed and memory, beside what the machine can do");
  verb->add_option("name", arguments->model.model,
                   "an architecture such as vit_base_patch16_224 (random weights), or a model "
                   "(default: vit_tiny_patch16_224)");
  add_model_options(*verb, arguments->model, SettingsOf::both);
  add_size_option(*verb, arguments->model);
  verb->add_option("--runs", arguments->runs, "measured runs (default: three seconds of them)")
      ->check(CLI::Range(1, 1'000'000));
  verb->add_flag("--profile", arguments->profile,
                 "also where the time goes: layer by layer, and equal layers together");
  verb->add_flag("--probe", arguments->probe,
                 "with the attention rows of the first token in all layers");
  verb->add_option("--input", arguments->input,
                   ".npy file of the pictures to run, f32 [B, C, H, W], normalised (default: "
                   "random ones)");
  verb->add_option("--output", arguments->output,
                   ".npy file to write the logits to (of a model without classes, the features)");
  add_strict_option(*verb);
  add_run_options(*verb, arguments->run);
  const std::string group = "Instead of passes of a model";
  verb->add_flag("--train", arguments->train,
                 "steps of training (forward, backward, AdamW) on one batch, random or --input's; "
                 "--json has the first one's loss and gradient norm")
      ->group(group);
  add_data_option(*verb, arguments->data, "--data",
                  "steps of training on these pictures, beside the same with pictures in memory")
      ->group(group);
  verb->add_option("--workers", arguments->workers,
                   "with --data: threads that prepare pictures (0: those that compute)")
      ->check(CLI::Range(0, 256))
      ->group(group);
  verb->add_flag("--activation-checkpointing", arguments->activation_checkpointing,
                 "with --train: blocks are run again in the backward pass, for less memory")
      ->group(group);
  verb->add_option("--pictures", arguments->pictures,
                   "decoding and preprocessing these pictures, or folders of them, as the model "
                   "wants them")
      ->group(group);
  verb->add_flag("--peak", arguments->peak,
                 "what the machine does at most: multiply-adds, and bytes read from memory")
      ->group(group);
  set_example(*verb, "vitrail bench vit_base_patch16_224 --batch 8 --precision bf16 --threads 2");
  verb->callback([arguments, verb] {
    check_restrictions(*verb);
    bench(*arguments);
  });
}

}  // namespace vitrail::cli
