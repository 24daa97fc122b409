// vitrail quantize: a model whose projections run in 8 bits, written only when its answers hold.
#include "tasks/quantize.h"

#include <fmt/format.h>

#include <filesystem>

#include "apps/cli/common.h"
#include "apps/cli/judged_set.h"
#include "apps/cli/standard_streams.h"
#include "apps/cli/verbs.h"
#include "core/file_lock.h"
#include "core/log.h"
#include "models/model_folder.h"

namespace vitrail::cli {
namespace {

namespace fs = std::filesystem;

struct QuantizeArguments {
  ModelArguments model;
  std::string data, split = "all", out;
  std::vector<std::string> keep;
  QuantizeOptions options;
  bool json = false;
};

void add_kept(const std::vector<std::string>& keep, PrecisionPlan& plan) {
  for (const std::string& text : keep) {
    const size_t split = text.find('=');
    const std::string path = text.substr(0, split);
    if (path.empty())
      throw BadUsage(fmt::format("--keep takes LAYER or LAYER=f32, not '{}'", text));
    plan.layers[path] =
        split == std::string::npos ? Precision::bf16 : precision_from_name(text.substr(split + 1));
  }
}

void write_folder(const QuantizeArguments& arguments, const Model& model,
                  const PrecisionPlan& plan) {
  pass_on_record(model, arguments.model, arguments.out);
  ModelFolder folder{.network = *model.network,
                     .preprocess = to_json(model.preprocess),
                     .labels = {},
                     .precision = plan,
                     .rejection = model.rejection,
                     .metadata = split_metadata(arguments.out)};
  if (model.labels.any_known()) {
    for (const auto& name : model.labels.names) folder.labels.push_back(name.value_or(""));
    folder.wnids = model.labels.wnids;
  }
  write_model_folder(arguments.out, folder);
}

void print_report(const QuantizeArguments& arguments, const QuantizeReport& report,
                  const std::optional<int64_t>& learned) {
  if (arguments.json) {
    nlohmann::ordered_json json;
    json["out"] = arguments.out;
    json["pictures"] = report.pictures;
    json["trained_on"] = trained_on_json(learned, report.pictures);
    json["measure"] = report.measure;
    json["before"] = report.before;
    json["after"] = report.after;
    json["drop"] = report.drop;
    json["drop_interval"] = {report.drop_low, report.drop_high};
    json["agreement"] = report.agreement;
    json["answer_error"] = report.answer_error;
    json["raised"] = report.raised;
    json["layers"] = nlohmann::ordered_json::array();
    for (const LayerError& layer : report.layers)
      json["layers"].push_back({{"path", layer.path},
                                {"precision", name_of(layer.precision)},
                                {"weight_error", layer.weight_error},
                                {"answer_error", layer.answer_error}});
    return print_json(json);
  }
  print_stdout("{:<28} {:<9} {:>12} {:>12}\n", "layer", "runs in", "weight error", "answer error");
  for (const LayerError& layer : report.layers)
    print_stdout("{:<28} {:<9} {:>11.3f}% {:>11.3f}%\n", layer.path, name_of(layer.precision),
                 100 * layer.weight_error, 100 * layer.answer_error);
  if (report.measure == "top1")
    print_stdout("top-1 of {} pictures: {:.2f}% before, {:.2f}% after\n", report.pictures,
                 100 * report.before, 100 * report.after);
  else
    print_stdout("{} on {} pictures: {:.5f}\n",
                 report.measure == "decisions" ? "share of yes and no that stay"
                 : report.measure == "values"  ? "1 less the relative change of the values"
                                               : "mean cosine of the answers",
                 report.pictures, report.after);
  print_stdout("loss {:.2f} points (95% interval {:.2f} to {:.2f}), {} {:.2f}%\n", report.drop,
               report.drop_low, report.drop_high,
               report.measure == "decisions" ? "pictures with the same classes"
               : report.measure == "values"  ? "pictures within 1%"
                                             : "same best class",
               100 * report.agreement);
  print_stdout("wrote {}\n", arguments.out);
}

void quantize_model(QuantizeArguments arguments) {
  const auto model = open_model(arguments.model);
  const FolderLock lock(arguments.out, "quantize");
  const std::string spec = data_spec(arguments.data);
  JudgedSets sets(*model, arguments.model, {}, arguments.options.threads);
  const auto pictures = sets.open(spec, split_of(arguments.split));
  const std::optional<int64_t> learned = sets.learned(*pictures, arguments.options.limit);
  QuantizeOptions options = arguments.options;
  add_kept(arguments.keep, options.plan);
  options.classes_by_number = !model->labels.any_known();
  std::string stage;
  std::unique_ptr<Progress> progress;
  options.progress = [&](const std::string& what, int64_t done, int64_t total) {
    if (what != stage || progress == nullptr) {
      progress.reset();
      progress = std::make_unique<Progress>(what, total);
      stage = what;
    }
    progress->update(done);
    if (done == total) progress.reset();
  };
  const QuantizeReport report = quantize(model, *pictures, options);
  if (report.measure == "cosine")
    log_info("the set's classes are not the model's: measured by how far the answers move");
  if (!report.within(options.max_drop)) {
    const std::string worst = report.worst_layer();
    fail("quantize",
         "the loss of {:.2f} points (95% interval {:.2f} to {:.2f}) exceeds --max-drop {}; layer "
         "'{}' suffers most: keep it with --keep {}, or let --auto choose. Nothing was written",
         report.drop, report.drop_low, report.drop_high, options.max_drop, worst, worst);
  }
  write_folder(arguments, *model, report.plan);
  print_report(arguments, report, learned);
}

}  // namespace

void add_quantize(CLI::App& app) {
  auto arguments = std::make_shared<QuantizeArguments>();
  QuantizeOptions& options = arguments->options;
  CLI::App* verb = app.add_subcommand(
      "quantize", "Write a model that runs in 8 bits, when its answers stay the same");
  add_model_options(*verb, arguments->model);
  add_size_option(*verb, arguments->model);
  add_data_option(*verb, arguments->data, "--data", "pictures that the loss is measured on")
      ->required();
  verb->add_option("--split", arguments->split, "train, val, test or all")
      ->check(CLI::IsMember({"train", "val", "test", "all"}))
      ->capture_default_str();
  verb->add_option("--out", arguments->out, "folder for the model; made when it is missing")
      ->required();
  verb->add_option("--max-drop", options.max_drop,
                   "accepted loss in points: of top-1, or 100 (1 - cosine) of the answers")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  verb->add_option("--keep", arguments->keep,
                   "LAYER or LAYER=f32: a layer, or all below a path, kept at bf16 or f32")
      ->allow_extra_args(false);
  verb->add_flag("--auto", options.raise_layers,
                 "keep the layers that lose most in bf16 until the loss is within bounds");
  verb->add_option("--limit", options.limit, "only the first so many pictures")
      ->check(CLI::PositiveNumber);
  verb->add_option("--layer-pictures", options.layer_pictures,
                   "pictures that the error of each layer alone is measured on")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb->add_option("--threads", options.threads, "threads (default: all cores)")
      ->check(CLI::Range(0, 1024));
  verb->add_option("--batch", options.batch, "pictures that run at once")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  add_strict_option(*verb);
  verb->add_flag("--json", arguments->json, "results as JSON");
  set_example(*verb,
              "vitrail quantize --model vit_tiny --data photos --out vit_tiny-int8 --max-drop 0.5");
  verb->callback([arguments] { quantize_model(*arguments); });
}

}  // namespace vitrail::cli
