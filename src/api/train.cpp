#include "train/recipes.h"
#include "train/trainer.h"
#include "vitrail/vitrail.h"

namespace vit {

TrainResult train(const TrainOptions& options,
                  const std::function<void(const TrainProgress&)>& progress) {
  vitrail::TrainConfig config = vitrail::recipe_for(options.data, options.architecture);
  for (const auto& [name, value] : options.settings) vitrail::set_field(config, name, value);
  vitrail::RunOptions run{.out = options.output,
                          .resume = options.resume,
                          .threads = options.threads,
                          .workers = options.workers};
  if (progress)
    run.on_step = [&](const vitrail::TrainProgress& p) {
      progress({.step = p.step,
                .steps = p.total_steps,
                .epoch = p.epoch,
                .epochs = p.epochs,
                .loss = p.loss,
                .pictures_per_second = p.pictures_per_second});
    };
  const vitrail::TrainResult result = vitrail::train(config, run);
  TrainResult out;
  const auto& evaluation = result.test ? result.test : result.validation;
  if (evaluation) {
    out.accuracy = evaluation->accuracy;
    out.evaluated = evaluation->pictures;
  }
  return out;
}

}  // namespace vit
