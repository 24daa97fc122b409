// vitrail pull: a model from a Hugging Face-compatible hub into its cache.
#include <fmt/format.h>

#include "apps/cli/command_text.h"
#include "apps/cli/common.h"
#include "apps/cli/hub_model.h"
#include "apps/cli/standard_streams.h"
#include "apps/cli/verbs.h"
#include "core/nearest.h"
#include "core/printable.h"
#include "models/families/checkpoint.h"

namespace vitrail::cli {
namespace {

struct PullArguments {
  std::string model, revision;
  std::vector<std::string> files;
  bool json = false;
};

void print_pulled(const HubModel& model, const PulledModel& pulled) {
  nlohmann::ordered_json json;
  json["model"] = model.name;
  json["revision"] = model.revision;
  json["commit"] = pulled.commit;
  json["path"] = pulled.folder.string();
  json["files"] = nlohmann::ordered_json::array();
  for (const PulledFile& file : pulled.files) {
    nlohmann::ordered_json entry;
    entry["name"] = file.name;
    entry["path"] = file.path.string();
    entry["bytes"] = file.bytes;
    entry["downloaded"] = file.downloaded;
    json["files"].push_back(std::move(entry));
  }
  print_json(json);
}

// Whether the model answers with classes. What cannot be read as a model says so when it is used.
bool has_classes(const HubSettings& settings, const HubModel& model) {
  try {
    const auto path = model_from_hub(settings, model, {}, [] {});
    return open_checkpoint(path).info.config.class_answer().classes > 0;
  } catch (const Error&) {
    return true;
  }
}

void pull_model(const PullArguments& arguments) {
  const std::string name = hub_name_of(arguments.model);
  if (!is_hub_name(name))
    throw BadUsage(fmt::format("pull takes OWNER/NAME or a name that '{} models' lists, not '{}'{}",
                               program_name(), printable(name),
                               did_you_mean(name, catalogue_names())));
  HubModel model = parse_hub_name(name);
  if (!arguments.revision.empty()) {
    if (name.find('@') != std::string::npos)
      throw BadUsage("the revision is given twice, with @ and with --revision");
    model = parse_hub_name(name + "@" + arguments.revision);
  }
  const HubSettings settings = hub_settings();
  const PulledModel pulled =
      pull(settings, model, {.patterns = arguments.files, .progress = download_progress()});
  if (arguments.json) return print_pulled(model, pulled);
  for (const PulledFile& file : pulled.files)
    print_stdout("{:<12} {:>10}  {}\n", file.downloaded ? "downloaded" : "was there",
                 human_bytes(file.bytes), file.name);
  print_stdout("{} is in {}\n", model.name, pulled.folder.string());
  if (arguments.files.empty()) {
    const std::string at = model.revision == "main" ? "" : "@" + model.revision;
    print_stdout("{} {} --model {} PICTURE\n", program_name(),
                 has_classes(settings, model) ? "classify" : "embed", shell_word(model.name + at));
  }
}

}  // namespace

void add_pull(CLI::App& app) {
  auto arguments = std::make_shared<PullArguments>();
  CLI::App* verb = app.add_subcommand("pull", "Fetch a model from a Hugging Face hub");
  verb->add_option("model", arguments->model,
                   "OWNER/NAME, OWNER/NAME@REVISION, or a name that 'vitrail models' lists")
      ->required();
  verb->add_option("--revision", arguments->revision, "branch, tag or commit (default: main)");
  verb->add_option("--file", arguments->files,
                   "only the files of this name or pattern, such as '*.md'; may be repeated "
                   "(default: what Vitrail needs)")
      ->allow_extra_args(false);
  verb->add_flag("--json", arguments->json, "results as JSON");
  set_example(*verb,
              "vitrail pull vit_small\n"
              "  vitrail pull google/vit-base-patch16-224");
  verb->callback([arguments] { pull_model(*arguments); });
}

}  // namespace vitrail::cli
