#include "train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/rng.h"
#include "formats/json.h"
#include "models/model_folder.h"
#include "train/checkpoint.h"
#include "train/learner.h"
#include "train/methods/supervised.h"
#include "train/metrics.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

fs::path config_path(const fs::path& out) {
  return out / "train.json";
}

// The pictures of a run. `judge` chooses nothing when it is the test set.
struct RunData {
  std::unique_ptr<Dataset> train, judge, test;
  std::string judged_on;  // "val" or "test"
};

bool has_split(const std::vector<Split>& splits, Split split) {
  return std::ranges::find(splits, split) != splits.end();
}

RunData open_data(const TrainConfig& config) {
  const std::vector<Split> splits = own_splits(config.data);
  OpenOptions open = config.open_options();
  const bool own_test = has_split(splits, Split::test);
  const bool own_val = has_split(splits, Split::val);
  // Pictures are held out only where there would be none to evaluate on.
  if (!config.val.empty() || own_test) open.val_fraction = 0;
  RunData data;
  data.train = open_dataset(config.data, Split::train, open);
  if (own_test) data.test = open_dataset(config.data, Split::test, open);
  if (!config.val.empty()) {
    const std::vector<Split> theirs = own_splits(config.val);
    const Split split = has_split(theirs, Split::val)    ? Split::val
                        : has_split(theirs, Split::test) ? Split::test
                                                         : Split::all;
    data.judge = open_dataset(config.val, split, open);
    check(data.judge->classes() == data.train->classes(), "train",
          "--val {} has other classes than {}", config.val, config.data);
    data.judged_on = "val";
  } else if (own_val || !own_test) {
    data.judge = open_dataset(config.data, Split::val, open);
    data.judged_on = "val";
  } else {
    data.judged_on = "test";
  }
  check(config.model.num_classes == data.train->num_classes(), "train",
        "the model has {} classes and {} has {}; set num_classes={}", config.model.num_classes,
        config.data, data.train->num_classes(), data.train->num_classes());
  return data;
}

// What a set is, wherever its folder lies: sizes, classes and every picture's id and label.
Json identity_of(const Dataset& set) {
  std::string text;
  for (const std::string& name : set.classes()) text += name + "\n";
  for (int64_t i = 0; i < set.size(); ++i) text += fmt::format("{} {}\n", set.id(i), set.label(i));
  return {{"pictures", set.size()},
          {"classes", set.num_classes()},
          {"fingerprint", fmt::format("{:016x}", hash_path(text))}};
}

Json identity_of(const TrainConfig& config, const RunData& data) {
  Json settings = to_json(config);
  settings.erase("data");  // the pictures themselves are compared, not where they lie
  settings.erase("val");
  Json identity{{"training pictures", identity_of(*data.train)}};
  if (data.judge) identity["validation pictures"] = identity_of(*data.judge);
  identity["configuration"] = fmt::format("{:016x}", hash_path(settings.dump()));
  return identity;
}

LoaderOptions loader_options(const TrainConfig& config, const RunOptions& options) {
  LoaderOptions loader;
  loader.batch_size = config.batch_size;
  loader.workers = options.workers;
  loader.seed = static_cast<uint64_t>(config.seed);
  loader.preprocess = config.preprocess();
  return loader;
}

LoaderOptions training_loader(const TrainConfig& config, const RunOptions& options,
                              int64_t pictures) {
  LoaderOptions loader = loader_options(config, options);
  loader.shuffle = true;
  // A small last batch would move the weights as far as a full one, on less evidence.
  loader.drop_last = pictures >= config.batch_size;
  loader.augment = config.augment();
  return loader;
}

LearnerOptions learner_options(const TrainConfig& config, int64_t batches) {
  return {.optimizer = {.beta1 = config.beta1,
                        .beta2 = config.beta2,
                        .epsilon = config.epsilon,
                        .weight_decay = config.weight_decay,
                        .decay_all = config.decay_all},
          .schedule = {.learning_rate = config.learning_rate,
                       .min_learning_rate = config.min_learning_rate,
                       .warmup_steps =
                           std::llround(config.warmup_epochs * static_cast<double>(batches)),
                       .total_steps = config.epochs * batches},
          .clip_norm = config.clip_norm,
          .seed = static_cast<uint64_t>(config.seed),
          .precision = precision_from_name(config.precision)};
}

class Run {
 public:
  Run(const TrainConfig& config, const RunOptions& options);
  TrainResult run();

 private:
  void begin();
  bool train_epoch();  // false: stopped
  void end_epoch();
  void log_step(const StepResult& step);
  void report_progress(const StepResult& step);
  std::optional<Evaluation> judge(bool finished);
  TrainResult finish();
  void export_model() const;
  void save();
  void say(const std::string& line) const;
  double seconds() const { return state_.seconds + seconds_since(began_); }

  TrainConfig config_;
  RunOptions options_;
  RunData data_;
  Queue queue_;
  VisionTransformer model_;
  Loader loader_;
  int64_t batches_;
  SupervisedMethod method_;
  Learner learner_;
  CheckpointFolder checkpoints_;
  LineFile metrics_, log_;
  RunParts parts_;
  TrainState state_;
  std::optional<Evaluation> last_evaluation_;
  Clock::time_point began_ = Clock::now();
  Clock::time_point epoch_began_ = began_;
  int64_t pictures_this_epoch_ = 0;  // by this process
  int64_t steps_here_ = 0;
};

Run::Run(const TrainConfig& config, const RunOptions& options)
    : config_(config),
      options_(options),
      data_(open_data(config)),
      queue_(options.threads),
      model_(config.model),
      loader_(*data_.train, training_loader(config, options, data_.train->size())),
      batches_(loader_.batches_per_epoch()),
      method_(model_, {.label_smoothing = config.label_smoothing}),
      learner_(method_, learner_options(config, batches_)),
      checkpoints_(options.out / "checkpoints"),
      metrics_(options.out / "metrics.jsonl"),
      log_(options.out / "train.log"),
      parts_{model_, learner_.optimizer(), identity_of(config, data_)} {}

void Run::say(const std::string& line) const {
  log_.append(line);
  if (options_.on_message) options_.on_message(line);
}

void Run::begin() {
  model_.parameters().initialise(static_cast<uint64_t>(config_.seed));
  remove_unfinished_files(options_.out);
  const std::optional<TrainState> found =
      options_.resume ? checkpoints_.restore(parts_) : std::nullopt;
  if (found) state_ = *found;
  cut_metrics(metrics_.path(), state_.step, state_.epoch);
  write_json(config_path(options_.out), to_json(config_));
  if (found)
    say(fmt::format("resumed at step {} of {} (epoch {} of {})", state_.step,
                    config_.epochs * batches_, std::min(state_.epoch + 1, config_.epochs),
                    config_.epochs));
  else
    say(fmt::format("{} parameters, {} training pictures, {} epochs of {} steps",
                    model_.parameters().num_elements(), data_.train->size(), config_.epochs,
                    batches_));
  began_ = Clock::now();
}

void Run::save() {
  TrainState state = state_;
  state.seconds = seconds();
  checkpoints_.save(parts_, state);
}

void Run::log_step(const StepResult& step) {
  metrics_.append(Json{
      {"kind", "step"},
      {"step", state_.step},
      {"epoch", state_.epoch},
      {"loss", state_.since_log.mean_loss()},
      {"accuracy", state_.since_log.accuracy()},
      {"learning_rate", step.learning_rate},
      {"gradient_norm", step.gradient_norm},
      {"seconds",
       seconds()}}.dump());
  state_.since_log = {};
}

void Run::report_progress(const StepResult& step) {
  if (!options_.on_step) return;
  const int64_t total = config_.epochs * batches_;
  const double here = seconds_since(began_);
  options_.on_step({.epoch = state_.epoch,
                    .epochs = config_.epochs,
                    .batch = state_.batch,
                    .batches = batches_,
                    .step = state_.step,
                    .total_steps = total,
                    .loss = state_.since_epoch.mean_loss(),
                    .accuracy = state_.since_epoch.accuracy(),
                    .learning_rate = step.learning_rate,
                    .pictures_per_second =
                        static_cast<double>(pictures_this_epoch_) / seconds_since(epoch_began_),
                    .seconds_left = here / static_cast<double>(steps_here_) *
                                    static_cast<double>(total - state_.step)});
}

bool Run::train_epoch() {
  loader_.start(state_.epoch, state_.batch);
  epoch_began_ = Clock::now();
  pictures_this_epoch_ = 0;
  Batch batch;
  while (loader_.next(batch)) {
    StepResult step;
    try {
      step = learner_.step(queue_, batch,
                           {.step = state_.step,
                            .total_steps = config_.epochs * batches_,
                            .epoch = state_.epoch,
                            .epochs = config_.epochs});
    } catch (const Error& error) {
      const std::vector<int64_t> kept = checkpoints_.steps();
      fail("train", "{}; training stopped, {}; try a lower --lr", error.what(),
           kept.empty() ? "before its first checkpoint"
                        : "the last checkpoint is " + checkpoints_.path_of(kept.back()).string());
    }
    const int64_t pictures = batch.images.size(0);
    ++state_.step;
    ++state_.batch;
    ++steps_here_;
    pictures_this_epoch_ += pictures;
    state_.since_epoch.add(step.loss, step.correct, pictures);
    state_.since_log.add(step.loss, step.correct, pictures);
    if (state_.step % options_.log_steps == 0) log_step(step);
    report_progress(step);
    const bool stop = options_.stop && options_.stop();
    const bool due = options_.checkpoint_steps > 0 && state_.step % options_.checkpoint_steps == 0;
    if (due || stop) save();
    if (stop) return false;
  }
  return true;
}

std::optional<Evaluation> Run::judge(bool finished) {
  if (!finished && (state_.epoch + 1) % config_.evaluate_every != 0) return std::nullopt;
  const Dataset& set = data_.judge ? *data_.judge : *data_.test;
  Loader loader(set, loader_options(config_, options_));
  return evaluate(model_, queue_, loader);
}

void Run::export_model() const {
  write_model_folder(options_.out, {.network = model_,
                                    .preprocess = to_json(config_.preprocess()),
                                    .labels = data_.train->classes()});
}

void Run::end_epoch() {
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
  if (report.evaluation && data_.judge) {
    report.best = report.evaluation->accuracy > state_.best_accuracy;
    if (report.best) {
      state_.best_accuracy = report.evaluation->accuracy;
      state_.best_step = state_.step;
    }
  }
  report.seconds = seconds();
  Json line{{"kind", "epoch"},     {"step", state_.step},         {"epoch", report.epoch},
            {"loss", report.loss}, {"accuracy", report.accuracy}, {"seconds", report.seconds}};
  std::string text = fmt::format("epoch {}/{}: loss {:.4f}, accuracy {:.2f}%", report.epoch + 1,
                                 report.epochs, report.loss, 100 * report.accuracy);
  if (report.evaluation) {
    line[data_.judged_on] = Json{{"loss", report.evaluation->loss},
                                 {"accuracy", report.evaluation->accuracy},
                                 {"pictures", report.evaluation->pictures}};
    text += fmt::format("; {} loss {:.4f}, accuracy {:.2f}%", data_.judged_on,
                        report.evaluation->loss, 100 * report.evaluation->accuracy);
  }
  metrics_.append(line.dump());
  say(text + fmt::format("; {:.0f} s", report.seconds));
  if (options_.on_epoch) options_.on_epoch(report);
  if (report.best || !data_.judge) export_model();
  ++state_.epoch;
  state_.batch = 0;
  state_.since_epoch = {};
  save();
}

TrainResult Run::finish() {
  TrainResult result{.interrupted = false,
                     .step = state_.step,
                     .parameters = model_.parameters().num_elements(),
                     .validation = {},
                     .test = {},
                     .seconds = seconds()};
  const bool choose = data_.judge && state_.best_step >= 0;
  if (choose && state_.best_step != state_.step)
    checkpoints_.load_weights_of(state_.best_step, model_);
  export_model();
  if (data_.judge) {
    Loader loader(*data_.judge, loader_options(config_, options_));
    result.validation = evaluate(model_, queue_, loader);
  }
  if (data_.test) {
    if (!data_.judge && last_evaluation_) {
      result.test = last_evaluation_;
    } else {
      Loader loader(*data_.test, loader_options(config_, options_));
      result.test = evaluate(model_, queue_, loader);
    }
  }
  if (result.validation)
    say(fmt::format("validation accuracy {:.2f}% on {} pictures", 100 * result.validation->accuracy,
                    result.validation->pictures));
  if (result.test)
    say(fmt::format("test accuracy {:.2f}% on {} pictures", 100 * result.test->accuracy,
                    result.test->pictures));
  return result;
}

TrainResult Run::run() {
  begin();
  while (state_.epoch < config_.epochs) {
    if (!train_epoch())
      return {.interrupted = true,
              .step = state_.step,
              .parameters = model_.parameters().num_elements(),
              .validation = {},
              .test = {},
              .seconds = seconds()};
    end_epoch();
  }
  return finish();
}

void prepare_folder(const TrainConfig& config, const RunOptions& options) {
  check(!options.out.empty(), "train", "--out names the folder of the run");
  check(options.log_steps >= 1, "train", "log_steps is {}; it must be at least 1",
        options.log_steps);
  const std::optional<TrainConfig> run = config_of_run(options.out);
  if (run && options.resume) {
    TrainConfig comparable = *run;
    comparable.data = config.data;  // its pictures are compared later
    comparable.val = config.val;
    const std::string differences = describe_differences(comparable, config);
    check(differences.empty(), "resume", "{}: {}", options.out.string(), differences);
  }
  check(!run || options.resume, "train",
        "{} holds a run already: continue it with --resume, or choose another --out",
        options.out.string());
  std::error_code error;
  fs::create_directories(options.out, error);
  check(!error, "train", "{}: the folder cannot be made: {}", options.out.string(),
        error.message());
}

}  // namespace

TrainResult train(const TrainConfig& config, const RunOptions& options) {
  config.validate();
  prepare_folder(config, options);
  return Run(config, options).run();
}

std::optional<TrainConfig> config_of_run(const fs::path& out) {
  std::error_code ignored;
  if (!fs::exists(config_path(out), ignored)) return std::nullopt;
  return train_config_from_json(read_json(config_path(out)));
}

}  // namespace vitrail
