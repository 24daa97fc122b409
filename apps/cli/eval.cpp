// vitrail eval: how often a model is right on a data set.
#include <fmt/format.h>

#include <algorithm>

#include "apps/cli/common.h"
#include "apps/cli/verbs.h"
#include "core/log.h"
#include "data/dataset.h"
#include "tasks/evaluate.h"

namespace vitrail::cli {
namespace {

struct Arguments {
  ModelArguments model;
  RunArguments run;
  std::string data, split, exif;
  int64_t limit = 0;
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

void print_result(const Arguments& arguments, const EvaluationResult& result, Split split) {
  if (arguments.run.json) {
    nlohmann::ordered_json json;
    json["data"] = arguments.data;
    json["split"] = name_of(split);
    json["count"] = result.count;
    json["top1"] = result.top1_fraction();
    json["top5"] = result.top5_fraction();
    json["classes"] = nlohmann::ordered_json::array();
    for (const ClassScore& score : result.classes) {
      if (score.count == 0) continue;
      const auto count = static_cast<double>(score.count);
      nlohmann::ordered_json entry;
      entry["name"] = score.name;
      entry["count"] = score.count;
      entry["top1"] = static_cast<double>(score.top1) / count;
      entry["top5"] = static_cast<double>(score.top5) / count;
      json["classes"].push_back(std::move(entry));
    }
    return print_json(json);
  }
  for (const ClassScore& score : result.classes)
    if (score.count > 0)
      fmt::print("{:6.2f}%  {:>5}/{:<5}  {}\n",
                 100.0 * static_cast<double>(score.top1) / static_cast<double>(score.count),
                 score.top1, score.count, score.name);
  fmt::print("top-1 {:.2f}%, top-5 {:.2f}% of {} pictures ({})\n", 100 * result.top1_fraction(),
             100 * result.top5_fraction(), result.count, name_of(split));
}

void evaluate_model(const Arguments& arguments) {
  const std::string spec = data_spec(arguments.data);
  Session session(open_model(arguments.model, load_options(arguments.model, arguments.run)),
                  session_options(arguments.run, arguments.exif));
  const Split split = arguments.split.empty() ? default_split(spec) : split_of(arguments.split);
  const auto dataset = open_dataset(spec, split, {.decode = session.preprocess().decode_options()});
  EvaluateOptions options{.limit = arguments.limit};
  options.classes_by_number = is_numbered(spec) && !session.model().labels.any_known();
  if (options.classes_by_number)
    log_info("the model's classes have no names; they are taken to be the set's own numbers");
  EvaluationResult result;
  {
    Progress progress(
        "eval", arguments.limit > 0 ? std::min(arguments.limit, dataset->size()) : dataset->size());
    options.progress = [&](int64_t done, int64_t) { progress.update(done); };
    result = evaluate(session, *dataset, options);
  }
  print_result(arguments, result, split);
}

}  // namespace

void add_eval(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("eval", "Measure a model on a data set");
  verb->add_option("data", arguments->data,
                   "folder:DIR, flat:DIR, mnist:DIR, fashion-mnist:DIR, cifar10:DIR, scenes, or a "
                   "plain folder; its classes are matched to labels by name or WordNet identifier")
      ->required();
  add_model_options(*verb, arguments->model);
  verb->add_option("--split", arguments->split,
                   "train, val, test or all (default: test where the set has one, else val, all)")
      ->check(CLI::IsMember({"train", "val", "test", "all"}));
  verb->add_option("--limit", arguments->limit, "only the first so many pictures")
      ->check(CLI::PositiveNumber);
  add_exif_option(*verb, arguments->exif);
  add_run_options(*verb, arguments->run);
  set_example(*verb, "vitrail eval folder:flowers --model runs/flowers --split val");
  verb->callback([arguments] { evaluate_model(*arguments); });
}

}  // namespace vitrail::cli
