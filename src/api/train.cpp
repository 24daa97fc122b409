#include "vitrail/train.h"
#include "api/guard.h"
#include "core/log.h"
#include "infer/session.h"
#include "train/run/recipes.h"
#include "train/run/trainer.h"

namespace vit {
namespace {

using Progress = std::function<void(const TrainProgress&)>;

vitrail::RunOptions run_options(const TrainOptions& options, const Progress& progress) {
  vitrail::RunOptions run{.out = options.output,
                          .resume = options.resume,
                          .threads = options.threads,
                          .workers = options.workers,
                          .max_broken = options.max_broken};
  run.stop = [&options] { return options.stop.stop_requested(); };
  run.on_message = vitrail::log_info;
  run.on_step = [&progress](const vitrail::TrainProgress& p) {
    call_back(progress, TrainProgress{.step = p.step,
                                      .steps = p.total_steps,
                                      .epoch = p.epoch,
                                      .epochs = p.epochs,
                                      .loss = p.loss,
                                      .pictures_per_second = p.pictures_per_second});
  };
  return run;
}

TrainResult train_run(const TrainOptions& options, const Progress& progress) {
  vitrail::check_threads(options.threads);
  constexpr int kMaxWorkers = 256;
  vitrail::check(options.workers >= 0 && options.workers <= kMaxWorkers, "train",
                 "TrainOptions::workers is {}; it must lie between 0 and {}", options.workers,
                 kMaxWorkers);
  vitrail::check(options.max_broken >= 0 && options.max_broken <= 1, "train",
                 "TrainOptions::max_broken is {}; it must lie between 0 and 1", options.max_broken);
  vitrail::TrainConfig config = vitrail::recipe_for(options.data, options.architecture);
  for (const auto& [name, value] : options.settings) vitrail::set_field(config, name, value);
  const vitrail::TrainResult result = vitrail::train(config, run_options(options, progress));
  vitrail::check(!result.interrupted, ErrorCode::cancelled, "train",
                 "was asked to stop and has, after step {}, with a checkpoint; {} goes on from it",
                 result.step, "TrainOptions::resume");
  TrainResult out;
  const auto& evaluation = result.test ? result.test : result.validation;
  if (evaluation) {
    out.accuracy = evaluation->accuracy;
    out.evaluated = evaluation->pictures;
  }
  return out;
}

}  // namespace

TrainResult train(const TrainOptions& options, const Progress& progress) {
  return guarded([&] { return train_run(options, progress); });
}

}  // namespace vit
