#include "train/finetune/finetune.h"

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
#include "train/finetune/finetune_plan.h"
#include "train/judge/accuracy_text.h"
#include "train/judge/linear_probe.h"
#include "train/run/run_split.h"

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

Measured measured(const Evaluation& evaluation) {
  return {std::llround(evaluation.accuracy * static_cast<double>(evaluation.pictures)),
          evaluation.pictures, evaluation.map};
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
    if (!options.run.resume) check_settings();
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

  // A setting that training would refuse is refused before the probe takes its time. How large the
  // model is, and so how many epochs fit, is not known yet: as many as there may be.
  void check_settings() const {
    FinetuneOptions whole = options_;
    if (whole.method == How::automatic) whole.method = How::full;
    plan_finetune(transfer_config(checkpoint_, transfer_), whole,
                  {.pictures = data_.train->size(),
                   .classes = data_.train->num_classes(),
                   .parameters = 0,
                   .multiply_adds = 1,
                   .probe = {}})
        .config.validate();
  }

  // Process 0 looks before anybody computes.
  void begin_folder() {
    if (writes()) {
      const fs::path& out = options_.run.out;
      const bool taken = config_of_run(out).has_value() || fs::exists(out / "finetune.json");
      check(!taken, "finetune",
            "{} holds a run already: continue it with --resume, or choose another --out",
            out.string());
      keep_split(out, data_, options_.run.threads, options_.base_split);
      warn_of_learned();
    }
    synchronise(exchange());
  }

  // Validation pictures that are training pictures under another name, or that the model began with
  // having learned.
  void warn_of_learned() {
    const auto record = read_split_record(options_.run.out);
    if (!record) return;
    std::vector<uint64_t> judged;
    SplitRecord here = *record;
    std::erase_if(here.pictures, [](const auto& p) { return p.part == Part::earlier; });
    for (const SplitRecord::Picture& picture : record->pictures)
      if (picture.part == Part::validation) judged.push_back(picture.content);
    result_.validation_learned = count_learned(*record, judged);
    const int64_t copies = count_learned(here, judged);
    if (copies > 0)
      say(fmt::format(
          "{} of the {} validation pictures are copies of training pictures: accuracy on "
          "them says little (--group keeps what belongs together on one side)",
          copies, judged.size()));
    if (result_.validation_learned > copies)
      say(
          fmt::format("{} of the {} validation pictures were learned by the model that this begins "
                      "with: accuracy on them says little",
                      result_.validation_learned - copies, judged.size()));
  }

  // Each process computes a share, and gets all.
  Features features(const Network& model, Queue& queue, const Dataset& set) const {
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

  // What process 0 has, for all: the last bits of other processors may differ.
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
  Probed fit(const Network& model, Queue& queue) {
    const Clock::time_point begin = Clock::now();
    const Features train = features(model, queue, *data_.train);
    const double rate = static_cast<double>(train.pictures()) / seconds_since(begin);
    const Features validation = features(model, queue, *data_.judge);
    probe_ = fit_probe(queue, train, validation, model.class_answer().classes);
    std::array<double, 3> answers{static_cast<double>(probe_.correct), probe_.penalty,
                                  probe_.map.value_or(0)};
    share(answers);
    share(probe_.weight);
    share(probe_.bias);
    probe_.correct = std::llround(answers[0]);
    probe_.penalty = answers[1];
    if (probe_.map) probe_.map = answers[2];
    return {train.pictures(), {probe_.correct, validation.pictures(), probe_.map}, rate};
  }

  Measured judged(Queue& queue, const Features& features) const {
    if (transfer_.multi_label) return measured(judge_probe(queue, probe_, features));
    return {count_correct(queue, probe_, features), features.pictures()};
  }

  // Of one picture; of pictures that differ in size, at the model's own.
  int64_t multiply_adds(const Network& model) const {
    const PictureSize size = fixed_output_size(options_.preprocess);
    const PictureInput input = model.pictures();
    return (size.height > 0 ? model.cost(size.height, size.width)
                            : model.cost(input.height, input.width))
        .multiply_adds;
  }

  void probe() {
    const std::shared_ptr<Network> network = transfer_config(checkpoint_, transfer_).make();
    Network& model = *network;
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
                    probed.validation.text(), probe_.penalty, seconds_since(begin), probed.rate));
    if (data_.test) {
      result_.test = judged(queue, features(model, queue, *data_.test));
    }
    set_head(model, probe_);
    write_model(model);
    plan_ = plan_finetune(model.config(), options_,
                          {.pictures = probed.pictures,
                           .classes = data_.train->num_classes(),
                           .parameters = result_.parameters,
                           .multiply_adds = multiply_adds(model),
                           .processes = exchange() != nullptr ? exchange()->ranks() : 1,
                           .probe = probed.validation});
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
    write_model_folder(options_.run.out, {.network = model,
                                          .preprocess = vitrail::to_json(options_.preprocess),
                                          .labels = result_.classes,
                                          .metadata = split_metadata(options_.run.out)});
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
      check_contents(*read_split_record(options_.run.out), data_, options_.run.threads);
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
  void probe_again(const Network& model) {
    data_ = open_finetune_data(options_);
    Queue queue(options_.run.threads);
    fit(model, queue);
    if (!data_.test) return;
    result_.test = judged(queue, features(model, queue, *data_.test));
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
  LinearProbe probe_;
  FinetunePlan plan_;
  FinetuneResult result_;
};

}  // namespace

std::string Measured::text() const {
  const std::string exact = accuracy_text(correct, pictures);
  return map ? fmt::format("mAP {:.2f}%, exact match {}", 100 * *map, exact) : exact;
}

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

RunData open_finetune_data(const FinetuneOptions& options) {
  const auto record =
      options.run.resume ? read_split_record(options.run.out) : std::optional<SplitRecord>();
  OpenOptions open;
  open.decode = options.preprocess.decode_options();
  open.val_fraction = options.val_fraction;
  open.split_seed = static_cast<uint64_t>(options.seed);
  open.group = options.group;
  if (record && record->held_out)
    check(record->fraction == open.val_fraction && record->seed == open.split_seed &&
              record->group == open.group,
          "resume",
          "the run held out {}, and this command says another --val-fraction, --seed or --group",
          record->rule());
  RunData data = open_pictures({.data = options.data,
                                .val = "",
                                .open = open,
                                .validate_beside_test = true,
                                .record = record ? &*record : nullptr});
  check(data.split.held_out || options.group.empty(), "--group",
        "{} has validation pictures of its own", options.data);
  check_classes(*data.train, "finetune");
  // What an older version began has no list yet; it gets one when its checkpoint has been compared.
  data.split_is_kept = record.has_value() || !options.run.resume;
  return data;
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
