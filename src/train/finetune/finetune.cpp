#include "train/finetune/finetune.h"

#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file_lock.h"
#include "core/printable.h"
#include "core/statistics.h"
#include "formats/json.h"
#include "formats/json_text.h"
#include "models/model_folder.h"
#include "train/finetune/finetune_plan.h"
#include "train/finetune/finetune_probe.h"
#include "train/run/run_split.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using How = FinetuneMethod;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

Json to_json(const Measured& m) {
  const Interval interval = wilson_interval(m.correct, m.pictures);
  Json json{{"correct", m.correct},
            {"pictures", m.pictures},
            {"interval", {interval.low, interval.high}}};
  if (m.map) json["map"] = *m.map;
  return json;
}

class Finetuning {
 public:
  Finetuning(const Checkpoint& checkpoint, const FinetuneOptions& options)
      : checkpoint_(checkpoint), options_(options), data_(open_finetune_data(options)) {
    check_class_names(*data_.train, "finetune");
    check(is_utf8(options.data), "finetune", "--data {} is not UTF-8: train.json could not keep it",
          printable(options.data));
    const int64_t depth = checkpoint.info.config.num_blocks(), blocks = options.blocks.value_or(1);
    const bool needs_blocks =
        options.blocks || options.method == How::lora || options.method == How::partial;
    check(depth > 0 || !needs_blocks, "finetune",
          "the model has no transformer blocks; --method full trains it whole, --method probe its "
          "head alone");
    check(depth == 0 || (blocks >= 1 && blocks <= depth), "finetune",
          "--blocks {} is outside 1 to {}, the blocks of the model", blocks, depth);
    result_.classes = data_.train->classes();
    transfer_ = {.classes = result_.classes,
                 .multi_label = data_.train->multi_label(),
                 .seed = static_cast<uint64_t>(options.seed)};
    begins_ = !options.run.resume || stopped_before_training();
    if (begins_) check_settings();
  }

  FinetuneResult run() {
    const Clock::time_point begin = Clock::now();
    say(fmt::format("{} pictures of {} classes to learn from, {} to validate on{}",
                    data_.train->size(), data_.train->num_classes(), data_.judge->size(),
                    data_.test ? fmt::format(", {} to test on", data_.test->size()) : ""));
    try {
      if (begins_) {
        begin_folder();
        probe();
        if (writes()) save_choices();
      } else {
        resume();
      }
      if (plan_.method != How::probe) train_on();
    } catch (const Error& error) {
      if (error.code() != ErrorCode::cancelled) throw;
      result_.interrupted = true;
      leave_mark();
    }
    if (result_.interrupted) return result_;
    result_.seconds = seconds_since(begin);
    result_.data = data_;
    if (writes()) write_json(options_.run.out / "finetune.json", summary());
    return result_;
  }

 private:
  void say(const std::string& line) const {
    if (options_.run.on_message) options_.run.on_message(line);
  }

  GradientExchange* exchange() const { return options_.run.exchange; }
  bool writes() const { return exchange() == nullptr || exchange()->rank() == 0; }

  FinetuneFacts facts(const Network& model, int64_t pictures, const Measured& probe) const {
    return {.pictures = pictures,
            .classes = data_.train->num_classes(),
            .parameters = model.parameters().num_elements(),
            .multiply_adds = multiply_adds_of_picture(model, options_.preprocess),
            .processes = exchange() != nullptr ? exchange()->ranks() : 1,
            .probe = probe};
  }

  // A setting that training would refuse is refused before the probe takes its time.
  void check_settings() {
    const std::shared_ptr<Network> network = transfer_config(checkpoint_, transfer_).make();
    const Network& model = *network;
    FinetuneFacts known = facts(model, data_.train->size(), {});
    FinetuneOptions options = options_;
    const bool trains = plan_finetune(model.config(), options, known).method != How::probe;
    if (!trains) {  // a setting that cannot be right is refused all the same
      if (options.method == How::automatic) options.method = How::full;
      known.multiply_adds = 1;
    }
    const TrainConfig config = plan_finetune(model.config(), options, known).config;
    check(config.warmup_epochs + config.cooldown_epochs <= static_cast<double>(config.epochs),
          "finetune", "warmup_epochs {:g} and cooldown_epochs {:g} do not fit into {} epochs{}",
          config.warmup_epochs, config.cooldown_epochs, config.epochs,
          options_.epochs ? ""
                          : fmt::format(", as many as are chosen for --minutes {:g}; --epochs says "
                                        "how many there are to be",
                                        options_.minutes));
    config.validate();
    if (trains && writes()) teacher_ = record_of_teacher(config);
  }

  // Whether the run in the folder was stopped before it trained: its probe is not kept.
  bool stopped_before_training() const {
    const fs::path choices = options_.run.out / "finetune.json";
    return fs::exists(choices) && !config_of_run(options_.run.out) &&
           !read_json(choices).contains("validation");
  }

  // What a run leaves that was stopped before it had chosen anything: it can be resumed.
  void leave_mark() const {
    const fs::path choices = options_.run.out / "finetune.json";
    if (!writes() || fs::exists(choices)) return;
    write_json(choices, {{"method", name_of(options_.method)},
                         {"base", options_.base_name},
                         {"resume", options_.resume_command}});
  }

  // One process alone that stops would keep the others waiting.
  ReadContents reading() const {
    return {.threads = options_.run.threads,
            .stop = exchange() == nullptr ? options_.run.stop : nullptr};
  }

  // Process 0 looks before anybody computes.
  void begin_folder() {
    if (writes()) {
      const fs::path& out = options_.run.out;
      const bool taken = config_of_run(out).has_value() || fs::exists(out / "finetune.json");
      check(options_.run.resume || !taken, "finetune",
            "{} holds a run already: continue it with --resume, or choose another --out",
            out.string());
      if (options_.run.resume)
        say("the run was stopped before its probe was done, which begins again");
      if (const auto record = options_.run.resume ? read_split_record(out) : std::nullopt)
        check_contents(*record, data_, reading());
      else
        keep_split(out, data_, {.base = options_.base_split, .teacher = teacher()}, reading());
      warn_of_learned();
    }
    data_.split_is_kept = true;
    synchronise(exchange());
  }

  const SplitRecord* teacher() const { return teacher_ ? &*teacher_ : nullptr; }

  void warn_of_learned() {
    LearnedValidation learned = learned_validation(options_.run.out, teacher());
    result_.validation_learned = learned.learned;
    if (learned.copies > 0)
      learned.warnings.front() += " (--group keeps what belongs together on one side)";
    for (const std::string& warning : learned.warnings) say(warning);
  }

  void probe() {
    const std::shared_ptr<Network> network = transfer_config(checkpoint_, transfer_).make();
    Network& model = *network;
    say(load_for_transfer(model, checkpoint_, transfer_).summary());
    result_.parameters = model.parameters().num_elements();
    Queue queue(options_.run.threads);
    const Clock::time_point begin = Clock::now();
    const FinetuneProbe::Fit probed = probe_.fit(model, queue, data_);
    result_.probe = probed.validation;
    result_.method = How::probe;
    result_.validation = result_.probe;
    result_.trained_parameters = probe_.weights();
    say(fmt::format("linear probe: {}; penalty {}, {:.0f} s ({:.0f} pictures/s)",
                    probed.validation.text(), probe_.found().penalty, seconds_since(begin),
                    probed.rate));
    if (data_.test) result_.test = probe_.judged(model, queue, *data_.test);
    set_head(model, probe_.found());
    write_model(model);
    plan_ =
        plan_finetune(model.config(), options_, facts(model, probed.pictures, probed.validation));
    result_.spared = plan_.spared;
    say(fmt::format("method {}: {}", name_of(plan_.method), plan_.why));
    if (plan_.method == How::probe) return;
    const TrainConfig& config = plan_.config;
    say(fmt::format(
        "at most {} epochs of batches of {}, learning rate {:.2g}{}, weight decay {}; stops after "
        "{} epochs without a better one",
        config.epochs, config.batch_size, config.learning_rate,
        config.layer_decay == 1 ? "" : fmt::format(" (times {} a layer)", config.layer_decay),
        config.weight_decay, config.patience));
  }

  void write_model(const Network& model) const {
    if (!writes()) return;
    nlohmann::json preprocess = vitrail::to_json(options_.preprocess);
    std::map<std::string, std::string> metadata = split_metadata(options_.run.out);
    std::vector<std::string> labels = result_.classes;
    const ModelFolder folder{.network = model,
                             .preprocess = std::move(preprocess),
                             .labels = std::move(labels),
                             .metadata = std::move(metadata)};
    write_model_folder(options_.run.out, folder);
  }

  // What a resumed run must do the same; the configuration itself stands in train.json.
  void save_choices() const {
    write_json(options_.run.out / "finetune.json", {{"method", name_of(plan_.method)},
                                                    {"base", options_.base_name},
                                                    {"blocks", plan_.blocks},
                                                    {"rank", plan_.lora.rank},
                                                    {"alpha", plan_.lora.alpha},
                                                    {"parameters", result_.parameters},
                                                    {"resume", options_.resume_command},
                                                    {"probe", to_json(result_.probe)}});
  }

  void resume() {
    const fs::path path = options_.run.out / "finetune.json";
    const std::string place = path.string();
    const Json saved = read_json(path);
    const std::optional<TrainConfig> config = config_of_run(options_.run.out);
    check(config.has_value(), "resume", "{} holds no run that began to train",
          options_.run.out.string());
    check(config->seed == options_.seed, "resume", "--seed is {} in the run and {} now",
          config->seed, options_.seed);
    if (data_.split_is_kept && writes()) {
      teacher_ = record_of_teacher(*config);
      check_contents(*read_split_record(options_.run.out), data_, reading());
      warn_of_learned();
    }
    plan_.config = *config;
    plan_.config.data = options_.data;
    plan_.method = finetune_method_from_name(get<std::string>(saved, "method", place));
    constexpr int64_t kMost = int64_t{1} << 40;
    plan_.blocks = get_in(saved, "blocks", place, {.low = 0, .high = kMost});
    plan_.lora.rank = get_in(saved, "rank", place, {.low = 1, .high = kMost});
    plan_.lora.alpha = get<double>(saved, "alpha", place);
    const auto before = saved.find("probe");
    check(before != saved.end(), "json", "{}: has no probe, which takes what it answered", place);
    result_.probe.pictures = get_in(*before, "pictures", place, {.low = 1, .high = kMost});
    result_.probe.correct =
        get_in(*before, "correct", place, {.low = 0, .high = result_.probe.pictures});
    result_.probe.map = get_optional<double>(*before, "map", place);
    result_.parameters = get_in(saved, "parameters", place, {.low = 0, .high = kMost});
  }

  // Keeps the adapter while the run's model is there.
  class KeepAdapter : public RunObserver {
   public:
    explicit KeepAdapter(Finetuning& finetuning) : finetuning_(finetuning) {}
    void end(const RunView& run, const TrainResult&) override {
      if (finetuning_.plan_.method != How::lora) return;
      write_adapter(finetuning_.options_.run.out / "adapter", run.method.model(),
                    {.config = finetuning_.plan_.lora,
                     .base_model = finetuning_.options_.base_name,
                     .labels = finetuning_.result_.classes});
      copy_split_record(finetuning_.options_.run.out, finetuning_.options_.run.out / "adapter");
    }

   private:
    Finetuning& finetuning_;
  };

  void prepare(Network& model) {
    load_for_transfer(model, checkpoint_, transfer_);
    if (probe_.fitted()) set_head(model, probe_.found());
    if (plan_.method == How::lora)
      add_lora(model, plan_.lora, static_cast<uint64_t>(options_.seed));
    if (plan_.method == How::partial) freeze_all_but_last(model, plan_.blocks);
    result_.trained_parameters = 0;
    for (const auto& parameter : model.parameters().all())
      if (parameter->trainable()) result_.trained_parameters += parameter->shape().numel();
    say(fmt::format("{} of {} weights are trained", result_.trained_parameters,
                    result_.parameters));
  }

  void train_on() {
    RunOptions run = options_.run;
    run.open_data = [this](const TrainConfig&) { return data_; };
    run.prepare_model = [this](Network& model) { prepare(model); };
    KeepAdapter keep(*this);
    run.observers.push_back(&keep);
    const TrainResult trained = train(plan_.config, run);
    result_.interrupted = trained.interrupted;
    if (trained.interrupted) return;
    const Measured after = measured(*trained.validation);
    if (after.score() < result_.probe.score()) {
      say(fmt::format("training came to {}: the probe's model is kept", after.text()));
      const std::shared_ptr<Network> network = transfer_config(checkpoint_, transfer_).make();
      Network& model = *network;
      load_for_transfer(model, checkpoint_, transfer_);
      if (!probe_.fitted()) probe_again(model);
      set_head(model, probe_.found());
      write_model(model);
      std::error_code ignored;
      if (writes()) fs::remove_all(options_.run.out / "adapter", ignored);
      result_.method = How::probe;
      result_.validation = result_.probe;
      result_.trained_parameters = probe_.weights();
      return;
    }
    result_.method = plan_.method;
    result_.validation = after;
    if (trained.test) result_.test = measured(*trained.test);
  }

  // A resumed run has not kept the probe, nor its answers on test pictures.
  void probe_again(const Network& model) {
    Queue queue(options_.run.threads);
    probe_.fit(model, queue, data_);
    if (data_.test) result_.test = probe_.judged(model, queue, *data_.test);
  }

  Json summary() const {
    Json json{{"method", name_of(result_.method)},
              {"tried", name_of(plan_.method)},
              {"why", plan_.why},
              {"spared", plan_.spared ? Json(name_of(*plan_.spared)) : Json()},
              {"data", options_.data},
              {"base", options_.base_name},
              {"blocks", plan_.blocks},
              {"rank", plan_.lora.rank},
              {"alpha", plan_.lora.alpha},
              {"parameters", result_.parameters},
              {"trained_parameters", result_.trained_parameters},
              {"probe", to_json(result_.probe)},
              {"validation", to_json(result_.validation)},
              {"seconds", result_.seconds}};
    if (result_.test) json["test"] = to_json(*result_.test);
    return json;
  }

  const Checkpoint& checkpoint_;
  const FinetuneOptions& options_;
  RunData data_;
  TransferOptions transfer_;
  FinetuneProbe probe_{options_};
  FinetunePlan plan_;
  std::optional<SplitRecord> teacher_;  // what it learned from; of process 0
  bool begins_ = true;                  // and does not go on with training
  FinetuneResult result_;
};

}  // namespace

FinetuneResult finetune(const Checkpoint& checkpoint, const FinetuneOptions& options) {
  check(!options.run.out.empty(), "finetune", "--out names the folder of the run");
  const bool writes = options.run.exchange == nullptr || options.run.exchange->rank() == 0;
  if (options.run.lock != nullptr || !writes) return Finetuning(checkpoint, options).run();
  const FolderLock lock(options.run.out, "finetune");
  FinetuneOptions locked = options;
  locked.run.lock = &lock;
  return Finetuning(checkpoint, locked).run();
}

}  // namespace vitrail
