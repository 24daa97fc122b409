// vitrail data get: a data set from its publisher.
#include <fmt/format.h>

#include "apps/cli/common.h"
#include "apps/cli/hub_model.h"
#include "apps/cli/standard_streams.h"
#include "apps/cli/verbs.h"
#include "fetch/published_data.h"

namespace vitrail::cli {
namespace {

struct GetArguments {
  std::string name, out, mirror;
  bool json = false;
};

void get(const GetArguments& arguments) {
  const PublishedDataset& set = published_dataset(arguments.name);
  const std::string folder = arguments.out.empty() ? "data/" + set.name : arguments.out;
  DataOptions options{.mirror = arguments.mirror,
                      .timeouts = hub_settings().transfers,
                      .progress = download_progress()};
  while (options.mirror.ends_with('/')) options.mirror.pop_back();
  const std::vector<std::string> downloaded = fetch_dataset(set, folder, options);
  const std::string spec = set.name + ":" + folder;
  if (arguments.json) {
    nlohmann::ordered_json json;
    json["data"] = spec;
    json["source"] = set.source;
    json["downloaded"] = downloaded;
    return print_json(json);
  }
  print_stdout("{} is in {}{}; its terms: {}\nvitrail train --data {} --out runs/{}\n", set.name,
               folder, downloaded.empty() ? " (it was there)" : "", set.source, spec, set.name);
}

}  // namespace

void add_data_get(CLI::App& data) {
  auto arguments = std::make_shared<GetArguments>();
  std::string names;
  for (const PublishedDataset& set : published_datasets())
    names += (names.empty() ? "" : " or ") + set.name;
  CLI::App* verb = data.add_subcommand("get", "Fetch a data set from its publisher");
  verb->add_option("name", arguments->name, names)->required();
  verb->add_option("--out", arguments->out, "folder (default: data/NAME)");
  verb->add_option("--from", arguments->mirror,
                   "address below which the same archives lie; their content is checked");
  verb->add_flag("--json", arguments->json, "results as JSON");
  set_example(*verb, "vitrail data get fashion-mnist --out data/fashion-mnist");
  verb->callback([arguments] { get(*arguments); });
}

}  // namespace vitrail::cli
