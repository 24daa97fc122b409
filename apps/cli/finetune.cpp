// vitrail finetune: a model of one's own classes from a checkpoint of any family.
#include "train/finetune/finetune.h"
#include "apps/cli/standard_streams.h"

#include <fmt/format.h>

#include <filesystem>

#include "apps/cli/command_text.h"
#include "apps/cli/common.h"
#include "apps/cli/judged_set.h"
#include "apps/cli/model_export.h"
#include "apps/cli/run_display.h"
#include "apps/cli/stop_signal.h"
#include "apps/cli/train_job.h"
#include "apps/cli/verbs.h"
#include "core/file_lock.h"
#include "core/log.h"
#include "core/printable.h"
#include "core/statistics.h"
#include "formats/json.h"
#include "models/families/checkpoint.h"
#include "models/families/convert.h"
#include "tasks/classify.h"
#include "tasks/evaluate.h"
#include "train/finetune/finetune_probe.h"
#include "train/judge/accuracy_text.h"

namespace vitrail::cli {
namespace {

struct FinetuneArguments {
  ModelArguments model;
  std::string data, out, method = "auto", to, precision;
  FinetuneOptions options;
  int threads = 0;
  bool resume = false, json = false;
};

// Rewrites the model in `folder` in the first of the forms that can say it. Returns which.
const Family* write_in_form(const std::filesystem::path& folder, const Family* source,
                            const std::string& to, const Preprocess& preprocess,
                            const std::vector<std::string>& classes) {
  const Checkpoint checkpoint = open_checkpoint(folder);
  const std::vector<const Family*> targets =
      to.empty() ? source->classifier_forms()
                 : std::vector{conversion_target(to, checkpoint.info.config)};
  for (const Family* target : targets) {
    if (target == own_family()) break;
    try {
      ConversionOptions options{.target = target};
      std::vector<std::string> differences;
      options.preprocess = preprocess_for(target, preprocess, differences);
      options.labels = classes;
      const ConversionReport report = write_converted(folder, checkpoint, options);
      for (const std::string& text : differences) log_info("preprocessing: " + text);
      for (const std::string& text : report.folds) log_info(text);
      return target;
    } catch (const Error& error) {
      if (!to.empty()) throw;
      log_info(fmt::format("not in {}'s form: {}", name_of(target), error.what()));
    }
  }
  return own_family();
}

nlohmann::ordered_json to_json(const Measured& m) {
  const Interval interval = wilson_interval(m.correct, m.pictures);
  nlohmann::ordered_json json;
  if (m.map) json["map"] = *m.map;
  json[m.map ? "exact_match" : "accuracy"] =
      static_cast<double>(m.correct) / static_cast<double>(m.pictures);
  json["interval"] = {interval.low, interval.high};
  json["correct"] = m.correct;
  json["count"] = m.pictures;
  return json;
}

nlohmann::ordered_json for_the_record(const Measured& m) {
  const Interval interval = wilson_interval(m.correct, m.pictures);
  nlohmann::ordered_json json{{"correct", m.correct},
                              {"pictures", m.pictures},
                              {"interval", {interval.low, interval.high}}};
  if (m.map) json["map"] = *m.map;
  return json;
}

// How often the model is right as it lies in its folder: what eval and the page say of it, too.
// While it was trained it may have had another precision, or its adapters apart.
void measure_as_written(const FinetuneArguments& arguments, FinetuneResult& result) {
  const FinetuneOptions& options = arguments.options;
  const auto model = vitrail::load_model(arguments.out, {.threads = options.run.threads});
  const int64_t cost = multiply_adds_of_picture(*model->network, model->preprocess);
  Session session(
      model, {.threads = options.run.threads, .batch = static_cast<int>(pictures_a_second(cost))});
  const auto measure = [&](const Dataset& set) {
    const EvaluateOptions judge{
        .max_broken = options.run.max_broken, .on_broken = {}, .progress = [](int64_t, int64_t) {
          if (stop_asked())
            fail(ErrorCode::cancelled, "stop", "asked to stop before the model was judged again");
        }};
    if (set.multi_label()) {
      const MultiLabelScores scores = evaluate_labels(session, set, kThreshold, judge).scores;
      return Measured{scores.exact, scores.pictures, scores.mean_average_precision};
    }
    const EvaluationResult answers = evaluate(session, set, judge);
    return Measured{answers.top1, answers.count};
  };
  const Measured before = result.validation;
  result.validation = measure(*result.data.judge);
  if (result.data.test) result.test = measure(*result.data.test);
  if (before.correct != result.validation.correct)
    log_info(fmt::format("the model as it is written: {}; while it was trained: {}",
                         accuracy_text(result.validation.correct, result.validation.pictures),
                         accuracy_text(before.correct, before.pictures)));
  const std::filesystem::path path = options.run.out / "finetune.json";
  Json summary = read_json(path);
  summary["validation"] = for_the_record(result.validation);
  if (result.test) summary["test"] = for_the_record(*result.test);
  write_json(path, summary);
}

// A folder beside the run's for another one: a folder holds one run.
std::string free_folder(const std::string& out, FinetuneMethod method) {
  std::string name = std::filesystem::path(out).lexically_normal().string();
  while (name.size() > 1 && name.ends_with('/')) name.pop_back();
  name += std::string("-") + name_of(method);
  std::string free = name;
  std::error_code ignored;
  for (int i = 2; std::filesystem::exists(free, ignored); ++i) free = fmt::format("{}-{}", name, i);
  return free;
}

void print_result(const FinetuneArguments& arguments, const FinetuneResult& result,
                  const Family* form) {
  if (arguments.json) {
    const Measured& held_out = result.validation;
    nlohmann::ordered_json json{
        {"model", arguments.out},
        {"method", name_of(result.method)},
        {"spared", nullptr},
        {"form", name_of(form)},
        {"classes", result.classes.size()},
        {"accuracy", to_json(held_out)["accuracy"]},
        {"count", held_out.pictures},
        {"trained_on", trained_on_json(result.validation_learned, held_out.pictures)},
        {"parameters", result.parameters},
        {"trained_parameters", result.trained_parameters},
        {"probe", to_json(result.probe)},
        {"validation", to_json(result.validation)},
        {"seconds", result.seconds}};
    if (result.spared) json["spared"] = name_of(*result.spared);
    if (result.test) json["test"] = to_json(*result.test);
    add_left_out(json);
    return print_json(json);
  }
  const char* what = result.validation.map ? "" : "accuracy ";
  print_stdout("validation {}{}\n", what, result.validation.text());
  if (result.test) print_stdout("test {}{}\n", what, result.test->text());
  const std::string out = shell_word(arguments.out);
  print_stdout("the model ({}, in {}'s form) is in {}: {} classify --model {} PICTURE\n",
               name_of(result.method), name_of(form), arguments.out, program_name(), out);
  print_stdout("{} shows the run\n", report_path(arguments.out).string());
  if (result.spared)
    print_stdout("to train on all the same: {}\n",
                 command_again({{"--method", name_of(*result.spared)},
                                {"--out", free_folder(arguments.out, *result.spared)}}));
}

// What would be refused when all is learned is refused before.
void check_form(const Checkpoint& checkpoint, const std::string& to, const Preprocess& preprocess) {
  if (to.empty()) return;
  const Family* target = conversion_target(to, checkpoint.info.config);
  if (target == own_family()) return;
  std::vector<std::string> differences;
  preprocess_for(target, preprocess, differences);
  adapt(checkpoint.info.config, *checkpoint.tensors, target);
}

void run_in(TrainJob& job, FinetuneArguments& arguments) {
  FinetuneOptions& options = arguments.options;
  arguments.model.without.may_ask = job.exchange() == nullptr;
  // Its warnings are said once.
  const auto model = job.leads() ? open_model(arguments.model)
                                 : load_model(arguments.model, load_options(arguments.model));
  Checkpoint checkpoint =
      open_checkpoint(model->path, {.settings = parse_settings(arguments.model.settings)});
  const PictureInput sized = model->network->pictures();
  if (!arguments.model.size.empty())
    checkpoint.info.config.set_image_size(sized.height, sized.width);
  check_form(checkpoint, arguments.to, model->preprocess);
  options.data = data_spec(arguments.data);
  options.preprocess = model->preprocess;
  options.base_name = printable(hub_name_of(model->name));
  options.method = finetune_method_from_name(arguments.method);
  options.run.out = arguments.out;
  std::optional<FolderLock> lock;  // until the report is written
  if (job.leads()) options.run.lock = &lock.emplace(arguments.out, "finetune");
  options.run.resume = arguments.resume;
  options.run.exchange = job.exchange();
  options.run.threads = job.threads(arguments.threads);
  options.run.stop = stop_asked;
  const std::optional<SplitRecord> base = record_of(*model, arguments.model);
  options.base_split = base ? &*base : nullptr;
  note_stop_signals();  // until here, where a model may be fetched, a signal ends the program
  RunDisplay display(options.run);
  FinetuneResult result = finetune(checkpoint, options);
  display.clear();
  if (result.interrupted) {
    if (job.leads()) print_stderr("stopped; continue with: {}\n", options.resume_command);
    throw Failed{};
  }
  if (!job.leads()) return;
  const Family* form = write_in_form(arguments.out, checkpoint.info.family, arguments.to,
                                     options.preprocess, result.classes);
  try {
    measure_as_written(arguments, result);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::cancelled) throw;
    print_stderr("stopped: the model is whole, in {}; its page: {} report {}\n", arguments.out,
                 program_name(), shell_word(arguments.out));
    throw Failed{};
  }
  display.finish(true, &result.data);
  print_result(arguments, result, form);
}

void run(FinetuneArguments& arguments) {
  SharedSettings settings = shared_settings(arguments.model.settings);
  arguments.model.settings = std::move(settings.model);
  arguments.options.settings = std::move(settings.training);
  if (!arguments.precision.empty())
    arguments.options.settings.emplace_back("precision", arguments.precision);
  arguments.options.resume_command = command_again({{"--resume", ""}});
  TrainJob job(arguments.out, arguments.options.resume_command, stop_is_urgent);
  if (job.exchange() != nullptr) note_stop_signals();  // for TrainJob asks how mpirun ends it
  job.run([&] { run_in(job, arguments); });
}

}  // namespace

void add_finetune(CLI::App& app) {
  CLI::App* verb =
      app.add_subcommand("finetune", "Turn a checkpoint into a model of your own classes");
  auto arguments = std::make_shared<FinetuneArguments>();
  FinetuneArguments& a = *arguments;
  FinetuneOptions& o = a.options;
  add_model_options(*verb, a.model, SettingsOf::both);
  add_size_option(*verb, a.model);
  add_data_option(*verb, a.data, "--data",
                  "pictures of your classes (train/, val/ and test/ in a folder are used)")
      ->required();
  verb->add_option("--out", a.out, "folder of the run; it is the model, too")->required();
  verb->add_option("--method", a.method,
                   "probe: the head alone, in seconds; lora; partial: the last blocks; full; "
                   "auto (default) chooses")
      ->check(CLI::IsMember({"auto", "probe", "lora", "partial", "full"}));
  verb->add_option(
          "--minutes", o.minutes,
          "how long training may take; the method and epochs are chosen to fit, counted on a "
          "machine of 1e11 multiply-adds a second")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb->add_option("--group", o.group,
                   "keeps near-duplicates on one side of the split: a regular expression whose "
                   "first parentheses give a picture's group, or 'folder'");
  verb->add_option("--val-fraction", o.val_fraction,
                   "held out for validation where the data has no val/")
      ->check(CLI::Range(0.01, 0.9))
      ->capture_default_str();
  verb->add_option("--epochs", o.epochs, "passes over the training pictures (default: what fits)")
      ->check(CLI::PositiveNumber);
  verb->add_option("--batch", o.batch_size, "pictures a step")->check(CLI::PositiveNumber);
  verb->add_option("--lr", o.learning_rate, "peak learning rate")->check(CLI::PositiveNumber);
  verb->add_option("--layer-decay", o.layer_decay,
                   "learning rate of a block over that of the next one")
      ->check(CLI::Range(0.0, 1.0));
  verb->add_option("--blocks", o.blocks, "of --method partial: how many of the last ones")
      ->check(CLI::PositiveNumber);
  verb->add_option("--rank", o.rank, "of --method lora")->check(CLI::PositiveNumber);
  // Its name in earlier versions, when --set was the checkpoint's alone.
  verb->add_option("--train-set", a.model.settings, "the same as --set")->group("");
  verb->add_option("--precision", a.precision, "of training: f32 or bf16")
      ->check(CLI::IsMember({"f32", "bf16"}));
  verb->add_option("--to", a.to,
                   "form of the model: timm, hf, vitrail, ... (default: its family's own)");
  verb->add_option("--seed", o.seed, "of the split, order and augmentation (default: 0)")
      ->check(CLI::NonNegativeNumber);
  verb->add_flag("--resume", a.resume, "continue an interrupted run in --out");
  verb->add_option("--checkpoint-steps", o.run.checkpoint_steps,
                   "also a checkpoint every so many steps (0: after each epoch)")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--threads", a.threads, "0: all cores")->check(CLI::NonNegativeNumber);
  add_workers_option(*verb, o.run.workers);
  add_strict_option(*verb);
  add_max_broken_option(*verb, o.run.max_broken);
  verb->add_flag("--json", a.json, "print the result as one JSON object");
  set_example(*verb,
              "vitrail finetune --data folder:photos --out runs/mine\n"
              "  vitrail finetune --model dinov2_small --data folder:photos --out runs/dino\n"
              "  vitrail finetune --model vit_tiny --data folder:photos --out runs/quick "
              "--method probe");
  verb->callback([arguments] { run(*arguments); });
}

}  // namespace vitrail::cli
