// vitrail models: the catalogue, what --model takes by name.
#include <fmt/format.h>

#include "apps/cli/command_text.h"
#include "apps/cli/common.h"
#include "apps/cli/hub_model.h"
#include "apps/cli/standard_streams.h"
#include "apps/cli/verbs.h"

namespace vitrail::cli {
namespace {

// Where a model is now: "bundled", "here" (in the cache) or "hub".
std::string place_of(const CatalogueModel& model, const HubSettings& settings) {
  if (model.bundled()) return "bundled";
  return has_weights(settings, parse_hub_name(model.hub_name())) ? "here" : "hub";
}

nlohmann::ordered_json to_json(const CatalogueModel& model, const std::string& place) {
  nlohmann::ordered_json json{{"name", model.name},
                              {"default", &model == &default_model()},
                              {"knows", model.knows},
                              {"classes", model.classes},
                              {"weights", model.weights},
                              {"bytes", model.bytes()},
                              {"licence", model.licence},
                              {"repository", nullptr},
                              {"revision", nullptr},
                              {"preprocessing", model.pictures},
                              {"place", place}};
  if (!model.bundled()) {
    json["repository"] = model.repository;
    json["revision"] = model.revision;
  }
  return json;
}

void print_text(const CatalogueModel& model, const std::string& place) {
  print_stdout("{:<13} {:>8}  {:<7}  {}{}\n", model.name, human_bytes(model.bytes()), place,
               model.knows, &model == &default_model() ? " (the default)" : "");
  print_stdout("{:<13} {:>8}  {} weights, {}, {}{}\n", "", "",
               human_count(static_cast<double>(model.weights)), model.pictures, model.licence,
               model.bundled() ? "" : ", " + model.hub_name());
}

void list_models(bool as_json) {
  const HubSettings settings = hub_settings();
  for (const CatalogueModel& model : catalogue()) {
    const std::string place = place_of(model, settings);
    if (as_json)
      print_json(to_json(model, place));
    else
      print_text(model, place);
  }
  if (!as_json)
    print_stdout(
        "\nEach name stands wherever --model does: {} classify --model {} PICTURE\n"
        "'hub': fetched when it is first used, or by {} pull NAME; 'here': it was. Any other\n"
        "model of a Hugging Face hub is --model OWNER/NAME.\n",
        program_name(), default_model().name, program_name());
}

}  // namespace

void add_models(CLI::App& app) {
  auto as_json = std::make_shared<bool>(false);
  CLI::App* verb = app.add_subcommand("models", "List the models that have a name of their own");
  verb->add_flag("--json", *as_json, "a model a line, as JSON");
  set_example(*verb, "vitrail models --json");
  verb->callback([as_json] { list_models(*as_json); });
}

}  // namespace vitrail::cli
