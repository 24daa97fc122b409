// vitrail data preview: a contact sheet of what training would see.
#include <fmt/format.h>

#include "apps/cli/data_verbs.h"
#include "apps/cli/standard_streams.h"
#include "data/preview.h"
#include "image/codec/codec.h"
#include "train/run/recipes.h"

namespace vitrail::cli {
namespace {

struct PreviewArguments {
  std::string data, out, split = "train";
  std::vector<std::string> settings;
  bool json = false;
  PreviewOptions options;
};

void preview(const PreviewArguments& arguments) {
  TrainConfig config = recipe_for(data_spec(arguments.data), "");
  for (const auto& [name, value] : parse_settings(arguments.settings))
    set_field(config, name, value);
  check_writable(arguments.out);
  LoaderOptions loader;
  loader.seed = static_cast<uint64_t>(config.seed);
  loader.preprocess = config.preprocess();
  loader.augment = config.augment;
  const auto set = open_dataset(config.data, split_of(arguments.split), config.open_options());
  write_png(arguments.out, preview_sheet(*set, loader, arguments.options));
  if (arguments.json)
    return print_json({{"out", arguments.out},
                       {"data", config.data},
                       {"pictures", std::min(arguments.options.pictures, set->size())},
                       {"versions", arguments.options.versions}});
  print_stdout("{}: {} pictures of {}, the original and {} versions each\n", arguments.out,
               std::min(arguments.options.pictures, set->size()), config.data,
               arguments.options.versions);
}

}  // namespace

void add_data_preview(CLI::App& data) {
  auto arguments = std::make_shared<PreviewArguments>();
  CLI::App* verb =
      data.add_subcommand("preview", "Draw pictures beside what training makes of them");
  add_data_option(*verb, arguments->data, "data,--data", "what to draw from")->required();
  verb->add_option("--out", arguments->out, "PNG file that is written")->required();
  add_set_option(*verb, arguments->settings, SettingsOf::training);
  verb->add_option("--split", arguments->split, "train, val, test or all")
      ->check(CLI::IsMember({"train", "val", "test", "all"}))
      ->capture_default_str();
  verb->add_option("--count", arguments->options.pictures, "pictures, a row each")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  verb->add_option("--versions", arguments->options.versions, "of each picture")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  add_strict_option(*verb);
  verb->add_flag("--json", arguments->json, "what was drawn as JSON");
  set_example(*verb,
              "vitrail data preview --data folder:photos --set auto_augment=rand-m9-mstd0.5-inc1 "
              "--out sheet.png");
  verb->callback([arguments] { preview(*arguments); });
}

}  // namespace vitrail::cli
