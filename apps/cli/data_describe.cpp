// vitrail data describe: what a data set holds.
#include <fmt/format.h>

#include "apps/cli/data_verbs.h"
#include "apps/cli/standard_streams.h"
#include "data/picture_source.h"

namespace vitrail::cli {
namespace {

struct DescribeArguments {
  std::string data, split;
  bool json = false;
};

nlohmann::ordered_json describe_split(const Dataset& dataset, Split split) {
  std::vector<int64_t> counts(static_cast<size_t>(dataset.num_classes()));
  for (int64_t i = 0; i < dataset.size(); ++i)
    for (const int64_t label : dataset.labels(i)) ++counts[static_cast<size_t>(label)];
  nlohmann::ordered_json json;
  json["split"] = name_of(split);
  json["count"] = dataset.size();
  if (dataset.multi_label()) json["multi_label"] = true;
  json["channels"] = dataset.channels();
  json["width"] = dataset.width();
  json["height"] = dataset.height();
  json["classes"] = nlohmann::ordered_json::array();
  for (size_t i = 0; i < counts.size(); ++i) {
    nlohmann::ordered_json entry;
    entry["name"] = dataset.classes()[i];
    entry["count"] = counts[i];
    json["classes"].push_back(std::move(entry));
  }
  return json;
}

void describe(const DescribeArguments& arguments) {
  const std::string spec = data_spec(arguments.data);
  const PictureSource source(spec);
  std::vector<Split> splits =
      arguments.split.empty() ? source.splits() : std::vector{split_of(arguments.split)};
  if (splits.empty()) splits = {Split::all};  // opening it says what is missing
  nlohmann::ordered_json json;
  json["data"] = spec;
  json["splits"] = nlohmann::ordered_json::array();
  // What is on the disk: of a split that is asked for by name, what a verb would take for it.
  const OpenOptions open{.val_fraction = arguments.split.empty() ? 0 : OpenOptions().val_fraction};
  for (const Split split : splits)
    json["splits"].push_back(describe_split(*source.open(split, open), split));
  add_left_out(json);
  if (arguments.json) return print_json(json);
  for (const auto& part : json["splits"]) {
    const int64_t width = part["width"], height = part["height"];
    print_stdout("{} {}: {} pictures, {} classes, {}\n", spec, part["split"].get<std::string>(),
                 part["count"].get<int64_t>(), part["classes"].size(),
                 width > 0 ? fmt::format("{}x{}", width, height) : "sizes of their own");
    for (const auto& entry : part["classes"])
      print_stdout("  {:>7}  {}\n", entry["count"].get<int64_t>(),
                   entry["name"].get<std::string>());
  }
}

}  // namespace

void add_data_describe(CLI::App& data) {
  auto arguments = std::make_shared<DescribeArguments>();
  CLI::App* verb = data.add_subcommand("describe", "Count a data set's pictures and classes");
  add_data_option(*verb, arguments->data, "data,--data", "what to count")->required();
  verb->add_option("--split", arguments->split, "train, val, test or all (default: each that is)")
      ->check(CLI::IsMember({"train", "val", "test", "all"}));
  add_strict_option(*verb);
  verb->add_flag("--json", arguments->json, "results as JSON");
  set_example(*verb, "vitrail data describe fashion-mnist:data/fashion-mnist");
  verb->callback([arguments] { describe(*arguments); });
}

}  // namespace vitrail::cli
