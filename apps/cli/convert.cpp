// vitrail convert: a model under another family's names.
#include "models/families/convert.h"

#include <fmt/format.h>

#include "apps/cli/common.h"
#include "apps/cli/judged_set.h"
#include "apps/cli/model_export.h"
#include "apps/cli/standard_streams.h"
#include "apps/cli/verbs.h"
#include "core/file_lock.h"
#include "models/families/checkpoint.h"

namespace vitrail::cli {
namespace {

struct ConvertArguments {
  ModelArguments model;
  std::string to, out;
  bool json = false;
};

void convert_model(const ConvertArguments& arguments) {
  const auto model = open_model(arguments.model);
  const FolderLock lock(arguments.out, "convert");
  const Checkpoint checkpoint =
      open_checkpoint(model->path, {.settings = parse_settings(arguments.model.settings)});
  ConversionOptions options{.target = conversion_target(arguments.to, checkpoint.info.config)};
  std::vector<std::string> differences;
  options.preprocess = preprocess_for(options.target, model->preprocess, differences);
  if (model->labels.any_known()) {
    for (const auto& name : model->labels.names) options.labels.push_back(name.value_or(""));
    options.wnids = model->labels.wnids;
  }
  const ConversionReport report = write_converted(arguments.out, checkpoint, options);
  pass_on_record(*model, arguments.model, arguments.out);
  if (arguments.json) {
    nlohmann::ordered_json json;
    json["family"] = name_of(options.target);
    json["files"] = nlohmann::ordered_json::array();
    for (const auto& file : report.files) json["files"].push_back(file.string());
    json["folds"] = report.folds;
    json["left_out"] = report.left_out;
    json["preprocess_differences"] = differences;
    return print_json(json);
  }
  for (const auto& file : report.files) print_stdout("wrote {}\n", file.string());
  for (const std::string& fold : report.folds) print_stdout("folded: {}\n", fold);
  for (const std::string& name : report.left_out) print_stdout("left out: {}\n", name);
  for (const std::string& text : differences) print_stdout("preprocessing: {}\n", text);
}

}  // namespace

void add_convert(CLI::App& app) {
  auto arguments = std::make_shared<ConvertArguments>();
  CLI::App* verb = app.add_subcommand("convert", "Write a model under another family's names");
  add_model_options(*verb, arguments->model);
  verb->add_option(
          "--to", arguments->to,
          "timm, hf, one of transformers' models (hf_vit, hf_clip, ...), dinov2, vit_pytorch or "
          "vitrail")
      ->required();
  verb->add_option("--out", arguments->out, "folder for the files; made when it is missing")
      ->required();
  verb->add_flag("--json", arguments->json, "results as JSON");
  set_example(*verb, "vitrail convert --model vit_tiny --to hf --out vit_tiny-hf");
  verb->callback([arguments] { convert_model(*arguments); });
}

}  // namespace vitrail::cli
