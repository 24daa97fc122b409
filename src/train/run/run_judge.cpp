// How a run is judged, after each epoch and at its end, and what it leaves of itself.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "formats/json.h"
#include "models/model_folder.h"
#include "train/judge/neighbours.h"
#include "train/run/run.h"

namespace vitrail {
namespace {

std::string score_text(const Evaluation& evaluation) {
  if (!evaluation.map) return fmt::format("accuracy {:.2f}%", 100 * evaluation.accuracy);
  return fmt::format("mAP {:.2f}%, exact match {:.2f}%", 100 * *evaluation.map,
                     100 * evaluation.accuracy);
}

}  // namespace

Evaluation Run::evaluate_on(const Dataset& set) {
  if (!classifies()) return evaluate_features(set);
  Loader loader(set, evaluation_loader(config_, share()));
  return evaluate(method_->model(), queue_, loader, options_.exchange);
}

// Every process judges all pictures: the training ones that vote are the same for each.
Evaluation Run::evaluate_features(const Dataset& set) {
  const NeighbourOptions neighbours;
  Loader voting(*data_.train, evaluation_loader(config_, alone()));
  Loader judged(set, evaluation_loader(config_, alone()));
  return vote_of_neighbours(
      queue_, features_of(method_->model(), queue_, voting, {.limit = neighbours.max_pictures}),
      features_of(method_->model(), queue_, judged), neighbours);
}

void Run::illustrate(const Dataset& set) {
  if (!writes()) return;
  Loader loader(set, evaluation_loader(config_, {.max_broken = 1}));
  Batch batch;
  loader.start(0);
  if (loader.next(batch)) method_->illustrate(queue_, batch, config_.preprocess(), options_.out);
}

std::optional<Evaluation> Run::judge(bool finished) {
  if (!finished && (state_.epoch + 1) % config_.evaluate_every != 0) return std::nullopt;
  const Dataset& set = data_.judge ? *data_.judge : *data_.test;
  if (config_.method != "supervised") illustrate(set);
  return evaluate_on(set);
}

void Run::export_model() const {
  if (!writes()) return;
  write_model_folder(options_.out,
                     {.network = method_->model(),
                      .preprocess = to_json(config_.preprocess()),
                      .labels = classifies() ? data_.train->classes() : std::vector<std::string>(),
                      .metadata = split_metadata(options_.out)});
}

bool Run::out_of_patience() const {
  return config_.patience > 0 && state_.unimproved >= config_.patience;
}

bool Run::end_epoch() {
  const Ema::InPlace averaged(run_parts_.ema);
  const bool finished = state_.epoch + 1 == config_.epochs;
  EpochReport report{.epoch = state_.epoch,
                     .epochs = config_.epochs,
                     .loss = state_.since_epoch.mean_loss(),
                     .accuracy = state_.since_epoch.accuracy(),
                     .evaluation = judge(finished),
                     .evaluated_on = data_.judged_on,
                     .best = false,
                     .seconds = 0};
  last_evaluation_ = report.evaluation;
  // The features that the nearest neighbours like best need not be the best to learn from.
  const bool chooses = data_.judge && classifies();
  if (report.evaluation && chooses) {
    report.best =
        std::isfinite(report.evaluation->loss) && report.evaluation->score() > state_.best_accuracy;
    state_.unimproved = report.best ? 0 : state_.unimproved + 1;
    if (report.best) {
      state_.best_accuracy = report.evaluation->score();
      state_.best_step = state_.step;
    }
  }
  report.seconds = seconds();
  Json line{{"kind", "epoch"},     {"step", state_.step},         {"epoch", report.epoch},
            {"loss", report.loss}, {"accuracy", report.accuracy}, {"seconds", report.seconds}};
  std::string text =
      fmt::format("epoch {}/{}: loss {:.4f}", report.epoch + 1, report.epochs, report.loss);
  if (classifies()) text += fmt::format(", accuracy {:.2f}%", 100 * report.accuracy);
  if (report.evaluation) {
    line[data_.judged_on] = Json{{"loss", report.evaluation->loss},
                                 {"accuracy", report.evaluation->accuracy},
                                 {"pictures", report.evaluation->pictures}};
    if (report.evaluation->map) line[data_.judged_on]["map"] = *report.evaluation->map;
    const double percent = 100 * report.evaluation->accuracy;
    text += classifies() ? fmt::format("; {} loss {:.4f}, {}", data_.judged_on,
                                       report.evaluation->loss, score_text(*report.evaluation))
                         : fmt::format("; {} accuracy of the nearest neighbours {:.2f}%",
                                       data_.judged_on, percent);
  }
  record(line);
  say(text + fmt::format("; {:.0f} s", report.seconds));
  if (options_.on_epoch) options_.on_epoch(report);
  ++state_.epoch;
  state_.batch = 0;
  state_.since_epoch = {};
  return report.best || !chooses;
}

// Whether the model now has the weights that did best; those of the last step otherwise.
bool Run::take_best() {
  if (!data_.judge || state_.best_step < 0 || state_.best_step == state_.step) return false;
  try {
    checkpoints_.load_weights_of(state_.best_step, run_parts_);
    return true;
  } catch (const Error& error) {
    say(
        fmt::format("the best checkpoint is damaged ({}): the model is that of the last step, {}, "
                    "instead of step {}",
                    error.what(), state_.step, state_.best_step));
    return false;
  }
}

TrainResult Run::result_so_far() const {
  return {.interrupted = false,
          .stopped_early = out_of_patience(),
          .step = state_.step,
          .parameters = method_->model().parameters().num_elements(),
          .validation = {},
          .test = {},
          .validation_learned = validation_learned_,
          .seconds = seconds(),
          .data = data_};
}

TrainResult Run::finish() {
  TrainResult result = result_so_far();
  if (result.stopped_early)
    say(fmt::format("no better accuracy in {} evaluations: training ends early",
                    state_.unimproved));
  const bool best = take_best();
  const Ema::InPlace averaged(best ? nullptr : run_parts_.ema);
  export_model();
  if (data_.judge) result.validation = evaluate_on(*data_.judge);
  if (data_.test)
    result.test = !data_.judge && last_evaluation_ ? *last_evaluation_ : evaluate_on(*data_.test);
  const auto outcome = [&](const char* split, const Evaluation& e) {
    if (classifies())
      say(fmt::format("{} {} on {} pictures", split, score_text(e), e.pictures));
    else
      say(fmt::format("{} accuracy of the nearest neighbours {:.2f}% on {} pictures", split,
                      100 * e.accuracy, e.pictures));
  };
  if (result.validation) outcome("validation", *result.validation);
  if (result.test) outcome("test", *result.test);
  record({{"kind", "end"},
          {"step", state_.step},
          {"epoch", state_.epoch},
          {"stopped_early", result.stopped_early}});
  if (writes())
    for (RunObserver* observer : options_.observers) observer->end(view_, result);
  return result;
}

}  // namespace vitrail
