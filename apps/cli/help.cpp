// vitrail help and vitrail version.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/cli/command_text.h"
#include "apps/cli/common.h"
#include "apps/cli/standard_streams.h"
#include "apps/cli/verb_list.h"
#include "apps/cli/verbs.h"

namespace vitrail::cli {
namespace {

using nlohmann::ordered_json;

struct HelpArguments {
  std::vector<std::string> verb;
  bool json = false;
};

ordered_json to_json(const CLI::OptionDescription& option) {
  return {{"names", option.names},           {"description", option.description},
          {"value", option.value},           {"words", option.words},
          {"default", option.default_value}, {"positional", option.positional},
          {"required", option.required},     {"repeats", option.repeats}};
}

ordered_json to_json(const CLI::VerbDescription& verb) {
  ordered_json json{{"name", verb.name},
                    {"description", verb.description},
                    {"example", verb.footer},
                    {"options", ordered_json::array()}};
  for (const CLI::OptionDescription& option : verb.options)
    json["options"].push_back(to_json(option));
  return json;
}

void help(const CLI::App& app, const HelpArguments& arguments) {
  const std::string text = [&] {
    try {
      return app.help(arguments.verb);
    } catch (const CLI::ParseError& error) {
      throw BadUsage(error.what());
    }
  }();
  if (!arguments.json) return write_stdout(text);
  if (!arguments.verb.empty())
    throw BadUsage(fmt::format("--json has all verbs at once: {} help --json", program_name()));
  ordered_json json{{"version", VITRAIL_VERSION}, {"verbs", ordered_json::array()}};
  const CLI::VerbDescription program = app.described();
  for (const CLI::VerbDescription* verb : last_verbs(program))
    json["verbs"].push_back(to_json(*verb));
  print_json(json);
}

}  // namespace

void add_help(CLI::App& app) {
  auto arguments = std::make_shared<HelpArguments>();
  CLI::App* verb = app.add_subcommand("help", "Say what a verb does and which options it has");
  verb->add_option("verb", arguments->verb,
                   "such as classify, or data get (default: all, briefly)");
  verb->add_flag("--json", arguments->json, "all verbs and their options as JSON");
  set_example(*verb, "vitrail help classify");
  verb->callback([&app, arguments] { help(app, *arguments); });
}

void add_version(CLI::App& app) {
  auto json = std::make_shared<bool>(false);
  CLI::App* verb = app.add_subcommand("version", "Say which version this is");
  verb->add_flag("--json", *json, "the version as JSON");
  set_example(*verb, "vitrail version");
  verb->callback([json] {
    if (*json) return print_json({{"version", VITRAIL_VERSION}});
    print_stdout("{}\n", kVersionText);
  });
}

}  // namespace vitrail::cli
