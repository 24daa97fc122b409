#include "train/run/run.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

#include "core/advice.h"
#include "core/atomic_file.h"
#include "core/error.h"
#include "core/isa.h"
#include "formats/json.h"
#include "kernels/reduce.h"
#include "train/methods/loss.h"
#include "train/run/run_identity.h"
#include "train/run/run_setup.h"
#include "train/run/run_split.h"
#include "train/run/samples.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

std::string why(const StepResult& step) {
  return step.skipped == Skip::spike ? "far above those before it"
         : !std::isfinite(step.loss) ? "not finite"
                                     : "finite, but its gradients are not";
}

}  // namespace

fs::path config_path(const fs::path& out) {
  return out / "train.json";
}

Run::Run(const TrainConfig& config, const RunOptions& options)
    : config_(config),
      options_(options),
      data_(options.open_data ? options.open_data(config)
            : options.resume  ? reopen_run_data(options.out, config)
                              : open_run_data(config)),
      queue_(options.threads),
      model_(answering_model(config).make()),
      method_(first_method(config, options, *model_, data_)),
      loader_(*data_.train, training_loader(config, share(), data_.train->size())),
      batches_(loader_.batches_per_epoch() / config.accumulate),
      learner_(*method_, learner_options(config, batches_), options.exchange),
      checkpoints_(options.out / "checkpoints"),
      metrics_(options.out),
      log_(options.out / "train.log"),
      run_parts_{*method_, learner_, nullptr, identity_of(config, data_)},
      view_{config_, data_, *method_, queue_} {
  check(config.patience == 0 || data_.judge, "train",
        "patience needs validation pictures: {} has only test pictures, which choose nothing",
        config.data);
  if (classifies()) check_class_names(*data_.train, "train");
  if (config.ema_decay > 0)
    run_parts_.ema = &ema_.emplace(method_->model().parameters(),
                                   EmaOptions{config.ema_decay, config.ema_warmup});
}

LoadShare Run::alone() {
  return {.workers = options_.workers, .pool = &queue_.pool(), .max_broken = options_.max_broken};
}

LoadShare Run::share() {
  LoadShare share = alone();
  if (options_.exchange != nullptr) {
    share.rank = options_.exchange->rank();
    share.ranks = options_.exchange->ranks();
  }
  share.on_broken = [this](const BrokenPicture& broken) {
    say(fmt::format("{} cannot be read and is left out: {}", broken.id, broken.what));
  };
  return share;
}

int64_t Run::parts() const {
  return config_.accumulate * (options_.exchange != nullptr ? options_.exchange->ranks() : 1);
}

double Run::seconds() const {
  return state_.seconds + std::chrono::duration<double>(Clock::now() - began_).count();
}

void Run::say(const std::string& line) const {
  if (writes()) log_.append(line);
  if (options_.on_message) options_.on_message(line);
}

void Run::record(const Json& line) const {
  if (!writes()) return;
  metrics_.append(line);
  for (RunObserver* observer : options_.observers) observer->record(line);
}

void Run::begin_records(bool resumed) {
  const RunPosition position{.step = state_.step, .epochs = state_.epoch};
  metrics_.begin(position);
  metrics_.machine(
      position,
      {{"threads", queue_.pool().num_threads()},
       {"workers", options_.workers},
       {"processes", options_.exchange != nullptr ? options_.exchange->ranks() : int64_t{1}},
       {"precision", config_.precision}});
  if (resumed) return;
  constexpr int64_t kSamples = 32;
  constexpr int kColumns = 8;
  const std::vector<SamplePicture> samples = sample_pictures(config_, *data_.train, kSamples);
  if (!samples.empty()) metrics_.picture(0, "training pictures", contact_sheet(samples, kColumns));
}

void Run::take_up(const TrainState& state) {
  const std::string place = checkpoints_.path_of(state.step).string();
  // An epoch may have fewer steps, when pictures cannot be read.
  check(state.epoch <= config_.epochs && state.batch <= batches_ &&
            state.step <= state.epoch * batches_ + state.batch,
        "resume",
        "{}: stands at step {}, epoch {}, batch {}, where a run has {} epochs of {} steps", place,
        state.step, state.epoch, state.batch, config_.epochs, batches_);
  state_ = state;
}

// A list of the pictures is kept from the start on; one that is there is what they must be.
void Run::keep_or_check_split(bool resumed) {
  const auto record = options_.resume ? read_split_record(options_.out) : std::nullopt;
  const auto teacher = record_of_teacher(config_);
  const SplitRecord* const teacher_record = teacher ? &*teacher : nullptr;
  const ReadContents how{.threads = queue_.pool().num_threads()};  // stop is for steps
  if (record) {
    check_contents(*record, data_, how);
  } else {
    if (resumed)
      say(fmt::format("this run kept no list of its pictures: {} keeps one from here on",
                      kSplitFile));
    keep_split(options_.out, data_, {.base = nullptr, .teacher = teacher_record}, how);
  }
  const LearnedValidation learned = learned_validation(options_.out, teacher_record);
  validation_learned_ = learned.learned;
  for (const std::string& warning : learned.warnings) say(warning);
}

// Sums are taken in another order by another instruction set.
void Run::compare_isa() {
  const std::string before = isa_of_run(options_.out), now = active_isa();
  if (before.empty())
    say(fmt::format("it is not known which instruction set this run began with; now it is {}",
                    now));
  if (before.empty() || before == now) return;
  say(fmt::format(
      "this run was computed with {} so far and goes on with {}: its weights will differ "
      "in their last bits from those of a run that never changed (VITRAIL_ISA={} keeps "
      "to the first where the processor has it)",
      before, now, before));
}

void Run::begin() {
  if (writes()) remove_unfinished_files(options_.out);
  const std::optional<TrainState> found =
      options_.resume ? checkpoints_.restore(run_parts_) : std::nullopt;
  if (found) take_up(*found);
  synchronise(options_.exchange);  // nobody reads any more
  if (writes()) {
    check_room(options_.out, CheckpointFolder::bytes(run_parts_), "a checkpoint of this run");
    if (!data_.split_is_kept) keep_or_check_split(found.has_value());
    write_json(config_path(options_.out), to_json(config_));
    if (found) compare_isa();
    begin_records(found.has_value());
    for (RunObserver* observer : options_.observers)
      observer->begin(view_, state_.step, state_.epoch);
  }
  if (found)
    say(fmt::format("resumed at step {} of {} (epoch {} of {})", state_.step,
                    config_.epochs * batches_, std::min(state_.epoch + 1, config_.epochs),
                    config_.epochs));
  else
    say(fmt::format("{} parameters, {} training pictures, {} epochs of {} steps",
                    method_->model().parameters().num_elements(), data_.train->size(),
                    config_.epochs, batches_));
  began_ = Clock::now();
}

bool Run::weights_are_finite() {
  std::vector<std::span<const float>> weights;
  for (const auto& parameter : method_->parameters().all())
    weights.push_back(parameter->value().values());
  double sum = 0;
  kernels::sum_squares(queue_, weights, &sum);
  return std::isfinite(sum);
}

void Run::save() {
  if (!writes()) return;
  // The last good checkpoint is worth more than a new one of broken weights.
  if (!weights_are_finite())
    return say(fmt::format("step {}: the weights are not finite, and no checkpoint is made of them",
                           state_.step));
  TrainState state = state_;
  state.seconds = seconds();
  checkpoints_.save(run_parts_, state);
}

void Run::log_step(const StepResult& step) {
  record(Json{
      {"kind", "step"},
      {"step", state_.step},
      {"epoch", state_.epoch},
      {"loss", state_.since_log.mean_loss()},
      {"accuracy", state_.since_log.accuracy()},
      {"learning_rate", step.learning_rate},
      {"gradient_norm", step.gradient_norm},
      {"pictures_per_second", static_cast<double>(pictures_since_log_) /
                                  std::chrono::duration<double>(Clock::now() - log_began_).count()},
      {"seconds", seconds()}});
  state_.since_log = {};
  pictures_since_log_ = 0;
  log_began_ = Clock::now();
}

void Run::report_progress(const StepResult& step) const {
  if (!options_.on_step) return;
  const int64_t total = config_.epochs * batches_;
  const auto since = [](Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
  };
  options_.on_step(
      {.epoch = state_.epoch,
       .epochs = config_.epochs,
       .batch = state_.batch,
       .batches = batches_,
       .step = state_.step,
       .total_steps = total,
       .loss = state_.since_epoch.mean_loss(),
       .accuracy = state_.since_epoch.accuracy(),
       .learning_rate = step.learning_rate,
       .pictures_per_second = static_cast<double>(pictures_this_epoch_) / since(epoch_began_),
       .seconds_left = since(began_) / static_cast<double>(steps_here_) *
                       static_cast<double>(total - state_.step)});
}

void Run::report_skip(const StepResult& step, const std::vector<Batch>& parts) {
  constexpr size_t kNamed = 8;
  std::vector<std::string> ids;
  for (const Batch& part : parts)
    for (const int64_t index : part.indices) ids.push_back(data_.train->id(index));
  record(Json{{"kind", "skipped"},
              {"step", state_.step},
              {"epoch", state_.epoch},
              {"loss", step.loss},
              {"gradient_norm", step.gradient_norm},
              {"reason", step.skipped == Skip::spike ? "spike" : "not finite"},
              {"pictures", ids}});
  std::string named;
  for (size_t i = 0; i < std::min(kNamed, ids.size()); ++i)
    named += (named.empty() ? "" : ", ") + ids[i];
  if (ids.size() > kNamed)
    named += fmt::format(" and {} more, which metrics.jsonl lists", ids.size() - kNamed);
  say(fmt::format("step {} is skipped: its loss {} is {}; its pictures: {}", state_.step, step.loss,
                  why(step), named));
  if (state_.not_finite <= config_.skip_limit) return;
  const std::vector<int64_t> kept = checkpoints_.steps();
  fail("train",
       "{} steps in a row were not finite, up to that at step {}; training stopped, {}; to go on "
       "begin a run with a lower {}, or without the pictures that train.log names",
       state_.not_finite, state_.step,
       kept.empty() ? "before its first checkpoint"
                    : "the last good checkpoint is " + checkpoints_.path_of(kept.back()).string(),
       said(Option::learning_rate));
}

bool Run::next_parts(std::vector<Batch>& parts) {
  if (state_.batch == batches_) return false;
  parts.resize(static_cast<size_t>(config_.accumulate));
  return std::ranges::all_of(parts, [&](Batch& part) { return loader_.next(part); });
}

void Run::count(const StepResult& step) {
  ++state_.step;
  ++state_.batch;
  ++steps_here_;
  pictures_this_epoch_ += step.pictures;
  pictures_since_log_ += step.pictures;
  state_.not_finite = step.skipped == Skip::not_finite ? state_.not_finite + 1 : 0;
  if (!std::isfinite(step.loss)) return;
  state_.since_epoch.add(step.loss, step.correct, step.pictures);
  state_.since_log.add(step.loss, step.correct, step.pictures);
}

bool Run::asked_to_stop() const {
  const bool here = options_.stop && options_.stop();
  if (options_.exchange == nullptr) return here;
  std::array<double, 1> asked{here ? 1.0 : 0.0};
  options_.exchange->sum(asked);
  return asked[0] > 0;
}

bool Run::train_epoch() {
  loader_.start(state_.epoch, state_.batch * config_.accumulate);
  epoch_began_ = log_began_ = Clock::now();
  pictures_this_epoch_ = pictures_since_log_ = 0;
  std::vector<Batch> batch;
  while (next_parts(batch)) {
    const StepResult step =
        learner_.step(queue_, batch,
                      {.step = state_.step,
                       .total_steps = config_.epochs * batches_,
                       .epoch = state_.epoch,
                       .epochs = config_.epochs,
                       .part = options_.exchange != nullptr ? options_.exchange->rank() : 0,
                       .parts = parts()});
    if (ema_ && step.skipped == Skip::no) ema_->update(queue_, learner_.optimizer().steps() - 1);
    count(step);
    if (step.skipped != Skip::no) report_skip(step, batch);
    if (state_.step % options_.log_steps == 0) log_step(step);
    report_progress(step);
    const bool stop = asked_to_stop();
    const bool due = options_.checkpoint_steps > 0 && state_.step % options_.checkpoint_steps == 0;
    if (due || stop) save();
    if (stop) return false;
  }
  loader_.stop();  // an epoch may end within the last parts of a step
  return true;
}

TrainResult Run::run() {
  begin();
  while (state_.epoch < config_.epochs && !out_of_patience()) {
    if (!train_epoch()) {
      TrainResult result = result_so_far();
      result.interrupted = true;
      return result;
    }
    const bool exports = end_epoch();
    // First: what cannot be exported may be mended, and an epoch that is lost comes again.
    save();
    if (exports) {
      const Ema::InPlace averaged(run_parts_.ema);
      export_model();
    }
  }
  return finish();
}

}  // namespace vitrail
