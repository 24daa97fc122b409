// vitrail eval: how often a model is right on a data set.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "apps/cli/answer_text.h"
#include "apps/cli/command_text.h"
#include "apps/cli/common.h"
#include "apps/cli/eval_labels.h"
#include "apps/cli/judged_set.h"
#include "apps/cli/standard_streams.h"
#include "apps/cli/verbs.h"
#include "core/error.h"
#include "core/log.h"
#include "core/statistics.h"
#include "data/dataset.h"
#include "data/scenes_dataset.h"
#include "report/run_report.h"
#include "tasks/evaluate.h"
#include "tasks/pointing_game.h"
#include "train/judge/linear_probe.h"
#include "train/judge/neighbours.h"

namespace vitrail::cli {
namespace {

struct EvalArguments {
  ModelArguments model;
  RunArguments run;
  HoldOutArguments hold_out;
  std::string data, split, exif, report;
  int64_t limit = 0, mistakes = 0;
  std::optional<double> threshold;
  double max_broken = kMaxBroken;
  bool features = false, pointing = false;
};

// The most honest split that there is.
Split default_split(const std::string& spec) {
  const std::vector<Split> splits = own_splits(spec);
  for (const Split wanted : {Split::test, Split::val})
    for (const Split split : splits)
      if (split == wanted) return split;
  return Split::all;
}

// Sets whose files hold the numbers of the classes, not their names.
bool is_numbered(const std::string& spec) {
  const std::string kind = spec.substr(0, spec.find(':'));
  return kind == "mnist" || kind == "fashion-mnist" || kind == "cifar10";
}

std::string class_name(const EvaluationResult& result, int64_t index) {
  return index == Confusion::kOther ? "" : result.classes[static_cast<size_t>(index)].name;
}

// Which classes are taken for which, and the worst mistakes when they are asked for.
void add_mistakes(const Dataset& dataset, const Model& model, const EvaluationResult& result,
                  nlohmann::ordered_json& json) {
  json["confused"] = nlohmann::ordered_json::array();
  for (const Confusion::Cell& cell : result.confusion.mistakes())
    json["confused"].push_back({{"label", class_name(result, cell.truth)},
                                {"answer", class_name(result, cell.answer)},
                                {"count", cell.count}});
  json["mistakes"] = nlohmann::ordered_json::array();
  for (const Mistake& mistake : result.mistakes) {
    const auto& names = model.labels.names;
    const auto answer = static_cast<size_t>(mistake.answer);
    const bool known = answer < names.size() && names[answer].has_value();
    json["mistakes"].push_back(
        {{"file", dataset.id(mistake.index)},
         {"label", class_name(result, mistake.label)},
         {"answer", known ? nlohmann::ordered_json(*names[answer]) : nlohmann::ordered_json()},
         {"answer_index", mistake.answer},
         {"answer_probability", mistake.answer_probability},
         {"label_probability", mistake.label_probability}});
  }
}

// Which pictures were judged, and what is known of them.
struct Judged {
  const Dataset& pictures;
  Split split;
  std::string divided_by;
  std::optional<int64_t> learned;  // by the model
};

void print_result(const EvalArguments& arguments, const Judged& judged, const Model& model,
                  const EvaluationResult& result) {
  const char* split = name_of(judged.split);
  const Interval sure = wilson_interval(result.top1, result.count);
  const std::vector<ClassMetrics> metrics = result.confusion.by_class();
  if (arguments.run.json) {
    nlohmann::ordered_json json;
    json["data"] = arguments.data;
    json["split"] = split;
    json["divided_by"] = judged.divided_by;
    json["trained_on"] = trained_on_json(judged.learned, result.count);
    json["count"] = result.count;
    json["top1"] = result.top1_fraction();
    json["top1_interval"] = {sure.low, sure.high};
    json["top5"] = result.top5_fraction();
    json["loss"] = result.loss;
    if (model.rejection) {
      json["none"] = result.none;
      json["none_top1"] = result.none_top1;
    }
    json["broken"] = nlohmann::ordered_json::array();
    for (const BrokenPicture& broken : result.broken) json["broken"].push_back(broken.id);
    json["classes"] = nlohmann::ordered_json::array();
    for (size_t i = 0; i < result.classes.size(); ++i) {
      const ClassScore& score = result.classes[i];
      if (score.count == 0) continue;
      const auto count = static_cast<double>(score.count);
      nlohmann::ordered_json entry;
      entry["name"] = score.name;
      entry["count"] = score.count;
      entry["top1"] = static_cast<double>(score.top1) / count;
      entry["top5"] = static_cast<double>(score.top5) / count;
      entry["precision"] = or_null(metrics[i].precision);
      entry["recall"] = metrics[i].recall;
      entry["f1"] = metrics[i].f1;
      json["classes"].push_back(std::move(entry));
    }
    add_mistakes(judged.pictures, model, result, json);
    add_left_out(json);
    return print_json(json);
  }
  for (const ClassScore& score : result.classes)
    if (score.count > 0)
      print_stdout("{:6.2f}%  {:>5}/{:<5}  {}\n",
                   100.0 * static_cast<double>(score.top1) / static_cast<double>(score.count),
                   score.top1, score.count, score.name);
  print_stdout(
      "top-1 {:.2f}% (95% interval {:.2f} to {:.2f}%), top-5 {:.2f}% of {} pictures ({})\n",
      100 * result.top1_fraction(), 100 * sure.low, 100 * sure.high, 100 * result.top5_fraction(),
      result.count, split);
  if (!model.rejection) return;
  const auto counted = static_cast<double>(result.count - result.none);
  print_stdout(
      "\"{}\" to {} of them; of the others {:.2f}% are right\n", none_of(model.labels.size()),
      result.none,
      counted == 0 ? 0 : 100 * static_cast<double>(result.top1 - result.none_top1) / counted);
}

void name_broken(const BrokenPicture& broken) {
  log_info(fmt::format("{} cannot be read and is left out: {}", broken.id, broken.what));
}

// What a model's features say of the set's classes: for models without a head.
void evaluate_features(Session& session, const EvalArguments& arguments, const std::string& spec,
                       Split split) {
  JudgedSets sets(session.model(), arguments.model, arguments.hold_out, arguments.run.threads);
  check(split != Split::train && split != Split::all, "eval",
        "--features learns from the training pictures; judge them on --split val or test");
  const NeighbourOptions neighbours;
  std::optional<int64_t> learned;
  const auto features = [&](Split part) {
    const auto set = sets.open(spec, part);
    if (part == split) learned = sets.learned(*set);
    check(!set->multi_label(), "eval",
          "--features asks nearest neighbours for one class, and {} has several a picture",
          set->name());
    LoaderOptions options;
    options.preprocess = session.preprocess();
    options.workers = 0;
    options.pool = &session.queue().pool();
    options.max_broken = arguments.max_broken;
    options.on_broken = name_broken;
    Loader loader(*set, options);
    return features_of(*session.model().network, session.queue(), loader,
                       {.limit = neighbours.max_pictures});
  };
  const Features train = features(Split::train), judged = features(split);
  const Evaluation nearest = vote_of_neighbours(session.queue(), train, judged, neighbours);
  const Evaluation linear = judge_by_probe(session.queue(), train, judged);
  if (arguments.run.json)
    return print_json({{"data", spec},
                       {"split", name_of(split)},
                       {"divided_by", sets.divided_by()},
                       {"trained_on", trained_on_json(learned, linear.pictures)},
                       {"count", linear.pictures},
                       {"training_pictures", train.pictures()},
                       {"nearest_neighbours", nearest.accuracy},
                       {"linear_probe", linear.accuracy}});
  print_stdout("nearest neighbours {:.2f}%, linear probe {:.2f}% of {} pictures ({})\n",
               100 * nearest.accuracy, 100 * linear.accuracy, linear.pictures, name_of(split));
}

// Whether attention falls on what a scene shows.
void evaluate_pointing(Session& session, const EvalArguments& arguments, const std::string& spec,
                       Split split) {
  check(spec == "scenes" || spec.starts_with("scenes:"), "eval",
        "--pointing needs pictures whose objects are known: scenes, not {}", spec);
  const SceneSetOptions set = parse_scene_arguments(spec.substr(std::min<size_t>(spec.size(), 7)));
  const int64_t own = split == Split::test ? set.test : split == Split::val ? set.val : set.count;
  check(split != Split::all, "eval", "--pointing takes one of --split train, val and test");
  JudgedSets sets(session.model(), arguments.model, arguments.hold_out, arguments.run.threads);
  const auto learned = sets.learned(*sets.open(spec, split), arguments.limit);
  const PointingResult result = pointing_game(
      session, set.scene, split, arguments.limit > 0 ? std::min(arguments.limit, own) : own);
  if (arguments.run.json)
    return print_json({{"data", spec},
                       {"split", name_of(split)},
                       {"trained_on", trained_on_json(learned, result.pictures)},
                       {"count", result.pictures},
                       {"pointing", result.accuracy()},
                       {"chance", result.chance},
                       {"heads", result.head_accuracies()}});
  print_stdout("attention points at an object in {:.2f}% of {} pictures ({}); chance is {:.2f}%\n",
               100 * result.accuracy(), result.pictures, name_of(split), 100 * result.chance);
  std::string heads;
  for (const double accuracy : result.head_accuracies())
    heads += fmt::format("{}{:.2f}%", heads.empty() ? "" : ", ", 100 * accuracy);
  print_stdout("its heads alone: {}\n", heads);
}

// Several classes a picture: what the classes are worth, one by one and together.
void evaluate_several(Session& session, const EvalArguments& arguments, const Judged& judged,
                      EvaluateOptions options) {
  const Dataset& dataset = judged.pictures;
  check(arguments.report.empty() && arguments.mistakes == 0, "eval",
        "--report and --mistakes show one class taken for another, and {} has several a picture",
        dataset.name());
  const double threshold = arguments.threshold.value_or(kThreshold);
  LabelEvaluation result;
  {
    const int64_t all = dataset.size();
    Progress progress("eval", options.limit > 0 ? std::min(options.limit, all) : all);
    options.progress = [&](int64_t done, int64_t) { progress.update(done); };
    result = evaluate_labels(session, dataset, threshold, options);
  }
  if (!arguments.run.json) return print_labels(result, threshold, name_of(judged.split));
  nlohmann::ordered_json json{
      {"data", arguments.data},
      {"split", name_of(judged.split)},
      {"divided_by", judged.divided_by},
      {"trained_on", trained_on_json(judged.learned, result.scores.pictures)}};
  add_labels(result, threshold, json);
  print_json(json);
}

void evaluate_model(const EvalArguments& arguments) {
  const std::string spec = data_spec(arguments.data);
  if (!arguments.report.empty()) check_writable(arguments.report);
  Session session(open_model(arguments.model, load_options(arguments.model, arguments.run)),
                  session_options(arguments.run, arguments.exif));
  const Split split = arguments.split.empty() ? default_split(spec) : split_of(arguments.split);
  if (arguments.features) return evaluate_features(session, arguments, spec, split);
  if (arguments.pointing) return evaluate_pointing(session, arguments, spec, split);
  JudgedSets sets(session.model(), arguments.model, arguments.hold_out, arguments.run.threads);
  const auto dataset = sets.open(spec, split);
  const Judged judged{*dataset, split, sets.divided_by(), sets.learned(*dataset, arguments.limit)};
  const int64_t shown = arguments.report.empty() ? 0 : kShownMistakes;
  EvaluateOptions options{.limit = arguments.limit,
                          .mistakes = std::max(arguments.mistakes, shown),
                          .max_broken = arguments.max_broken,
                          .on_broken = name_broken};
  options.classes_by_number = is_numbered(spec) && !session.model().labels.any_known();
  if (options.classes_by_number)
    log_info("the model's classes have no names; they are taken to be the set's own numbers");
  if (dataset->multi_label() || session.model().network->class_answer().multi_label)
    return evaluate_several(session, arguments, judged, options);
  check(!arguments.threshold, "--threshold", "{} has one class a picture, and the best one counts",
        dataset->name());
  EvaluationResult result;
  {
    Progress progress(
        "eval", arguments.limit > 0 ? std::min(arguments.limit, dataset->size()) : dataset->size());
    options.progress = [&](int64_t done, int64_t) { progress.update(done); };
    result = evaluate(session, *dataset, options);
  }
  if (!arguments.report.empty())
    write_evaluation_report(session, *dataset, result,
                            {.page = arguments.report,
                             .learned = judged.learned.value_or(0),
                             .explain = fmt::format("{} explain{} PICTURE", program_name(),
                                                    model_words(arguments.model))});
  if (static_cast<int64_t>(result.mistakes.size()) > arguments.mistakes)
    result.mistakes.resize(static_cast<size_t>(arguments.mistakes));
  print_result(arguments, judged, session.model(), result);
}

}  // namespace

void add_eval(CLI::App& app) {
  auto arguments = std::make_shared<EvalArguments>();
  CLI::App* verb = app.add_subcommand("eval", "Measure a model on a data set");
  add_data_option(*verb, arguments->data, "data,--data",
                  "pictures whose classes are matched to the model's labels by name or WordNet "
                  "identifier")
      ->required();
  add_model_options(*verb, arguments->model);
  add_size_option(*verb, arguments->model);
  verb->add_option("--split", arguments->split,
                   "train, val, test or all (default: test where the set has one, else val, all)")
      ->check(CLI::IsMember({"train", "val", "test", "all"}));
  verb->add_option("--limit", arguments->limit, "only the first so many pictures")
      ->check(CLI::PositiveNumber);
  verb->add_option("--report", arguments->report,
                   "write a page: confusion matrix, classes, worst mistakes with their attention");
  verb->add_option("--mistakes", arguments->mistakes,
                   "list so many of the worst mistakes in --json")
      ->check(CLI::NonNegativeNumber);
  add_threshold_option(*verb, arguments->threshold);
  add_max_broken_option(*verb, arguments->max_broken);
  auto* features = verb->add_flag(
      "--features", arguments->features,
      "judge the features, not the head: nearest neighbours and a linear probe that learn from "
      "the set's training pictures");
  verb->add_flag("--pointing", arguments->pointing,
                 "how often the class token's attention in the last layer is highest on an object "
                 "of the rendered scenes")
      ->excludes(features);
  add_strict_option(*verb);
  add_hold_out_options(*verb, arguments->hold_out);
  add_exif_option(*verb, arguments->exif);
  add_run_options(*verb, arguments->run);
  set_example(*verb,
              "vitrail eval folder:flowers --model runs/flowers --split val --report page.html");
  verb->callback([arguments] { evaluate_model(*arguments); });
}

}  // namespace vitrail::cli
