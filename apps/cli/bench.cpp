// vitrail bench: how fast a model runs here, and how much memory it takes.
#include "apps/cli/bench.h"

#include "apps/cli/verbs.h"

namespace vitrail::cli {
namespace {

void bench(const BenchArguments& arguments) {
  if (arguments.peak) return bench_peak(arguments);
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
                   "(default: the bundled model)");
  add_model_options(*verb, arguments->model);
  CLI::Option* size = verb->add_option("--size", arguments->size,
                                       "side, or HEIGHTxWIDTH (default: the model's own)");
  verb->add_option("--runs", arguments->runs, "measured runs (default: three seconds of them)")
      ->check(CLI::Range(1, 1'000'000));
  verb->add_flag("--probe", arguments->probe,
                 "with the attention rows of the first token in all layers");
  CLI::Option* input = verb->add_option("--input", arguments->input,
                                        ".npy file of the pictures to run, f32 [B, C, H, W], "
                                        "normalised (default: random ones)");
  verb->add_option("--output", arguments->output,
                   ".npy file to write the logits to (of a model without classes, the features)");
  CLI::Option* peak = verb->add_flag("--peak", arguments->peak,
                                     "no model: multiply-adds and memory reads a second, at most");
  add_run_options(*verb, arguments->run);
  input->excludes(size)->excludes(verb->get_option("--batch"));
  for (const char* other : {"name", "--model", "--size", "--runs", "--probe", "--input", "--output",
                            "--batch", "--precision"})
    peak->excludes(verb->get_option(other));
  set_example(*verb, "vitrail bench vit_base_patch16_224 --batch 8 --precision bf16 --threads 2");
  verb->callback([arguments] { bench(*arguments); });
}

}  // namespace vitrail::cli
