#include "train/finetune.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file_lock.h"
#include "core/printable.h"
#include "core/statistics.h"
#include "formats/json.h"
#include "formats/json_text.h"
#include "models/model_folder.h"
#include "train/accuracy_text.h"
#include "train/finetune_plan.h"
#include "train/held_out.h"
#include "train/linear_probe.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using How = FinetuneMethod;

constexpr std::array<std::pair<How, const char*>, 5> kMethods = {{{How::automatic, "auto"},
                                                                  {How::probe, "probe"},
                                                                  {How::lora, "lora"},
                                                                  {How::partial, "partial"},
                                                                  {How::full, "full"}}};

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// The set's own validation pictures, or a part of the training ones; never its test pictures.
RunData open_data(const FinetuneOptions& options) {
  const std::vector<Split> own = own_splits(options.data);
  const auto has = [&](Split split) { return std::ranges::find(own, split) != own.end(); };
  OpenOptions open;
  open.decode = options.preprocess.decode_options();
  open.val_fraction = 0;
  RunData data;
  data.judged_on = "val";
  if (has(Split::test)) data.test = open_dataset(options.data, Split::test, open);
  if (has(Split::val)) {
    check(options.group.empty(), "--group", "{} has validation pictures of its own", options.data);
    data.train = open_dataset(options.data, Split::train, open);
    data.judge = open_dataset(options.data, Split::val, open);
    check_classes(*data.train, "finetune");
    return data;
  }
  std::unique_ptr<Dataset> whole = open_dataset(options.data, Split::train, open);
  check_classes(*whole, "finetune");
  HeldOut parts = split_held_out(std::move(whole), options.group, options.val_fraction,
                                 static_cast<uint64_t>(options.seed));
  data.train = std::move(parts.train);
  data.judge = std::move(parts.validation);
  return data;
}

Measured measured(const Evaluation& evaluation) {
  return {std::llround(evaluation.accuracy * static_cast<double>(evaluation.pictures)),
          evaluation.pictures};
}

Json to_json(const Measured& m) {
  const Interval interval = wilson_interval(m.correct, m.pictures);
  return {{"correct", m.correct},
          {"pictures", m.pictures},
          {"interval", {interval.low, interval.high}}};
}

class Finetuning {
 public:
  Finetuning(const Checkpoint& checkpoint, const FinetuneOptions& options)
      : checkpoint_(checkpoint), options_(options), data_(open_data(options)) {
    check_class_names(*data_.train, "finetune");
    check(is_utf8(options.data), "finetune", "--data {} is not UTF-8: train.json could not keep it",
          printable(options.data));
    const int64_t depth = checkpoint.info.config.depth, blocks = options.blocks.value_or(1);
    const bool needs_blocks =
        options.blocks || options.method == How::lora || options.method == How::partial;
    check(depth > 0 || !needs_blocks, "finetune",
          "the model has no transformer blocks; --method full trains it whole, --method probe its "
          "head alone");
    check(depth == 0 || (blocks >= 1 && blocks <= depth), "finetune",
          "--blocks {} is outside 1 to {}, the blocks of the model", blocks, depth);
    result_.classes = data_.train->classes();
    transfer_ = {.classes = result_.classes, .seed = static_cast<uint64_t>(options.seed)};
  }

  FinetuneResult run() {
    const Clock::time_point begin = Clock::now();
    say(fmt::format("{} pictures of {} classes to learn from, {} to validate on{}",
                    data_.train->size(), data_.train->num_classes(), data_.judge->size(),
                    data_.test ? fmt::format(", {} to test on", data_.test->size()) : ""));
    if (options_.run.resume) {
      resume();
    } else {
      begin_folder();
      probe();
      if (writes()) save_choices();
    }
    if (plan_.method != How::probe) train_on();
    if (result_.interrupted) return result_;
    result_.seconds = seconds_since(begin);
    if (writes()) write_json(options_.run.out / "finetune.json", summary());
    return result_;
  }

 private:
  void say(const std::string& line) const {
    if (options_.run.on_message) options_.run.on_message(line);
  }

  GradientExchange* exchange() const { return options_.run.exchange; }
  bool writes() const { return exchange() == nullptr || exchange()->rank() == 0; }

  // Process 0 looks before anybody computes.
  void begin_folder() const {
    if (writes()) {
      const fs::path& out = options_.run.out;
      const bool taken = config_of_run(out).has_value() || fs::exists(out / "finetune.json");
      check(!taken, "finetune",
            "{} holds a run already: continue it with --resume, or choose another --out",
            out.string());
    }
    synchronise(exchange());
  }

  // Each process computes a share, and gets all.
  Features features(const VisionTransformer& model, Queue& queue, const Dataset& set) const {
    LoaderOptions loader;
    loader.batch_size = 32;
    loader.workers = options_.run.workers;
    loader.pool = &queue.pool();
    loader.max_broken = options_.run.max_broken;
    loader.preprocess = options_.preprocess;
    if (exchange() != nullptr) {
      loader.rank = exchange()->rank();
      loader.ranks = exchange()->ranks();
    }
    loader.on_broken = [&](const BrokenPicture& broken) {
      say(fmt::format("{} cannot be read and is left out: {}", broken.id, broken.what));
    };
    Loader pictures(set, loader);
    return features_of(model, queue, pictures, {.exchange = exchange()});
  }

  // What process 0 has, for all: clocks differ, and so may the last bits of other processors.
  void share(std::span<double> values) const {
    if (exchange() == nullptr) return;
    if (!writes()) std::ranges::fill(values, 0);
    exchange()->sum(values);
  }
  void share(Tensor& values) const {
    std::vector<double> numbers(values.values().begin(), values.values().end());
    share(numbers);
    std::ranges::transform(numbers, values.values().begin(),
                           [](double number) { return static_cast<float>(number); });
  }

  struct Probed {
    int64_t pictures = 0;  // learned from
    Measured validation;
    double rate = 0;  // pictures a second
  };
  Probed fit(const VisionTransformer& model, Queue& queue) {
    const Clock::time_point begin = Clock::now();
    const Features train = features(model, queue, *data_.train);
    std::array<double, 1> rate{static_cast<double>(train.pictures()) / seconds_since(begin)};
    const Features validation = features(model, queue, *data_.judge);
    probe_ = fit_probe(queue, train, validation, model.config().num_classes);
    std::array<double, 2> answers{static_cast<double>(probe_.correct), probe_.penalty};
    share(rate);
    share(answers);
    share(probe_.weight);
    share(probe_.bias);
    probe_.correct = std::llround(answers[0]);
    probe_.penalty = answers[1];
    return {train.pictures(), {probe_.correct, validation.pictures()}, rate[0]};
  }

  void probe() {
    VisionTransformer model(transfer_config(checkpoint_, transfer_));
    say(load_for_transfer(model, checkpoint_, transfer_).summary());
    result_.parameters = model.parameters().num_elements();
    Queue queue(options_.run.threads);
    const Clock::time_point begin = Clock::now();
    const Probed probed = fit(model, queue);
    result_.probe = probed.validation;
    result_.method = How::probe;
    result_.validation = result_.probe;
    result_.trained_parameters = probe_.weight.numel() + probe_.bias.numel();
    say(fmt::format("linear probe: {}; penalty {}, {:.0f} s ({:.0f} pictures/s)",
                    accuracy_text(probed.validation.correct, probed.validation.pictures),
                    probe_.penalty, seconds_since(begin), probed.rate));
    if (data_.test) {
      const Features test = features(model, queue, *data_.test);
      result_.test = {count_correct(queue, probe_, test), test.pictures()};
    }
    set_head(model, probe_);
    write_model(model);
    plan_ = plan_finetune(model.config(), options_,
                          {.pictures = probed.pictures,
                           .classes = data_.train->num_classes(),
                           .parameters = result_.parameters,
                           .forward_rate = probed.rate,
                           .processes = exchange() != nullptr ? exchange()->ranks() : 1});
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

  void write_model(const VisionTransformer& model) const {
    if (!writes()) return;
    write_model_folder(options_.run.out, {.network = model,
                                          .preprocess = vitrail::to_json(options_.preprocess),
                                          .labels = result_.classes});
  }

  // What a resumed run must do the same; the configuration itself stands in train.json.
  void save_choices() const {
    write_json(options_.run.out / "finetune.json", {{"method", name_of(plan_.method)},
                                                    {"base", options_.base_name},
                                                    {"blocks", plan_.blocks},
                                                    {"rank", plan_.lora.rank},
                                                    {"alpha", plan_.lora.alpha},
                                                    {"parameters", result_.parameters},
                                                    {"probe", to_json(result_.probe)}});
  }

  void resume() {
    const fs::path path = options_.run.out / "finetune.json";
    const std::string place = path.string();
    const Json saved = read_json(path);
    const std::optional<TrainConfig> config = config_of_run(options_.run.out);
    check(config.has_value(), "resume", "{} holds no run that began to train",
          options_.run.out.string());
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
    }

   private:
    Finetuning& finetuning_;
  };

  void prepare(VisionTransformer& model) {
    load_for_transfer(model, checkpoint_, transfer_);
    if (probe_.weight.defined()) set_head(model, probe_);
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
    run.open_data = [this](const TrainConfig&) { return std::move(data_); };
    run.prepare_model = [this](VisionTransformer& model) { prepare(model); };
    KeepAdapter keep(*this);
    run.observers.push_back(&keep);
    const TrainResult trained = train(plan_.config, run);
    result_.interrupted = trained.interrupted;
    if (trained.interrupted) return;
    const Measured after = measured(*trained.validation);
    if (after.correct < result_.probe.correct) {
      say(fmt::format("training came to {}: the probe's model is kept",
                      accuracy_text(after.correct, after.pictures)));
      VisionTransformer model(transfer_config(checkpoint_, transfer_));
      load_for_transfer(model, checkpoint_, transfer_);
      if (!probe_.weight.defined()) probe_again(model);
      set_head(model, probe_);
      write_model(model);
      std::error_code ignored;
      if (writes()) fs::remove_all(options_.run.out / "adapter", ignored);
      result_.method = How::probe;
      result_.validation = result_.probe;
      result_.trained_parameters = probe_.weight.numel() + probe_.bias.numel();
      return;
    }
    result_.method = plan_.method;
    result_.validation = after;
    if (trained.test) result_.test = measured(*trained.test);
  }

  // A resumed run has not kept the probe, nor its answers on test pictures.
  void probe_again(const VisionTransformer& model) {
    data_ = open_data(options_);
    Queue queue(options_.run.threads);
    fit(model, queue);
    if (!data_.test) return;
    const Features test = features(model, queue, *data_.test);
    result_.test = {count_correct(queue, probe_, test), test.pictures()};
  }

  Json summary() const {
    Json json{{"method", name_of(result_.method)},
              {"tried", name_of(plan_.method)},
              {"why", plan_.why},
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
  LinearProbe probe_;
  FinetunePlan plan_;
  FinetuneResult result_;
};

}  // namespace

const char* name_of(FinetuneMethod method) {
  for (const auto& [value, name] : kMethods)
    if (value == method) return name;
  return "?";
}

FinetuneMethod finetune_method_from_name(const std::string& name) {
  for (const auto& [value, text] : kMethods)
    if (name == text) return value;
  fail("finetune", "'{}' is not a method; there are auto, probe, lora, partial and full", name);
}

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
