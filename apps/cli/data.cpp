// vitrail data: renders scenes, and describes data sets.
#include <fmt/format.h>

#include <filesystem>

#include "apps/cli/common.h"
#include "apps/cli/verbs.h"
#include "data/dataset.h"
#include "data/scenes.h"
#include "image/codec.h"

namespace vitrail::cli {
namespace {

struct RenderArguments {
  SceneOptions scene;
  int64_t index = 0;
  std::string out, mask;
  bool json = false;
};

nlohmann::ordered_json describe_scene(const std::string& file, const Scene& scene) {
  nlohmann::ordered_json json;
  json["file"] = file;
  json["label"] = scene.label;
  json["class"] = scene_classes().at(static_cast<size_t>(scene.label));
  json["caption"] = scene.caption;
  json["objects"] = nlohmann::ordered_json::array();
  for (const SceneObject& object : scene.objects) {
    nlohmann::ordered_json entry;
    entry["class"] = scene_classes().at(static_cast<size_t>(object.label));
    entry["box"] = object.box;
    entry["visible_fraction"] = object.visible_fraction;
    entry["color"] = object.color;
    entry["texture"] = object.texture;
    entry["size"] = object.size_word;
    json["objects"].push_back(std::move(entry));
  }
  return json;
}

void render(const RenderArguments& arguments) {
  check_scene_options(arguments.scene);
  const Scene scene = render_scene(arguments.scene, arguments.index);
  write_png(arguments.out, scene.image);
  if (!arguments.mask.empty()) {
    Image mask(arguments.scene.size, arguments.scene.size, 1);
    mask.pixels = scene.objects.front().mask;
    write_png(arguments.mask, mask);
  }
  if (arguments.json) return print_json(describe_scene(arguments.out, scene));
  fmt::print("{}: {}\n", arguments.out, scene.caption);
}

void add_render(CLI::App& data) {
  auto arguments = std::make_shared<RenderArguments>();
  CLI::App* verb = data.add_subcommand("render", "Render one scene, with its ground truth");
  verb->add_option("--out", arguments->out, "PNG file")->required();
  verb->add_option("--mask", arguments->mask, "PNG file for the main object's mask");
  verb->add_option("--index", arguments->index, "which scene of the set")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  verb->add_option("--size", arguments->scene.size, "pixels a side")
      ->check(CLI::Range(kSceneMinSize, kSceneMaxSize))
      ->capture_default_str();
  verb->add_option("--seed", arguments->scene.seed, "of the set")->capture_default_str();
  verb->add_option("--objects", arguments->scene.max_objects, "at most so many objects")
      ->check(CLI::Range(1, kSceneMaxObjects))
      ->capture_default_str();
  verb->add_option("--occlusion", arguments->scene.occlusion,
                   "probability that something covers a part of the object")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  verb->add_flag("--json", arguments->json, "class, boxes and caption as JSON");
  set_example(*verb, "vitrail data render --index 7 --size 224 --out scene.png --mask mask.png");
  verb->callback([arguments] { render(*arguments); });
}

struct DescribeArguments {
  std::string data, split;
  bool json = false;
};

nlohmann::ordered_json describe_split(const Dataset& dataset, Split split) {
  std::vector<int64_t> counts(static_cast<size_t>(dataset.num_classes()));
  for (int64_t i = 0; i < dataset.size(); ++i) ++counts[static_cast<size_t>(dataset.label(i))];
  nlohmann::ordered_json json;
  json["split"] = name_of(split);
  json["count"] = dataset.size();
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
  std::vector<Split> splits =
      arguments.split.empty() ? own_splits(spec) : std::vector{split_of(arguments.split)};
  if (splits.empty()) splits = {Split::all};  // opening it says what is missing
  nlohmann::ordered_json json;
  json["data"] = spec;
  json["splits"] = nlohmann::ordered_json::array();
  for (const Split split : splits)
    json["splits"].push_back(describe_split(*open_dataset(spec, split), split));
  if (arguments.json) return print_json(json);
  for (const auto& part : json["splits"]) {
    const int64_t width = part["width"], height = part["height"];
    fmt::print("{} {}: {} pictures, {} classes, {}\n", spec, part["split"].get<std::string>(),
               part["count"].get<int64_t>(), part["classes"].size(),
               width > 0 ? fmt::format("{}x{}", width, height) : "sizes of their own");
    for (const auto& entry : part["classes"])
      fmt::print("  {:>7}  {}\n", entry["count"].get<int64_t>(), entry["name"].get<std::string>());
  }
}

void add_describe(CLI::App& data) {
  auto arguments = std::make_shared<DescribeArguments>();
  CLI::App* verb = data.add_subcommand("describe", "Count a data set's pictures and classes");
  verb->add_option("data", arguments->data, "folder:DIR, mnist:DIR, scenes, ... or a folder")
      ->required();
  verb->add_option("--split", arguments->split, "train, val, test or all (default: each that is)")
      ->check(CLI::IsMember({"train", "val", "test", "all"}));
  verb->add_flag("--json", arguments->json, "results as JSON");
  set_example(*verb, "vitrail data describe fashion-mnist:data/fashion-mnist");
  verb->callback([arguments] { describe(*arguments); });
}

}  // namespace

void add_data(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("data", "Render scenes or describe a data set");
  verb->require_subcommand(1);
  set_example(*verb, "vitrail data render --out scene.png");
  add_render(*verb);
  add_describe(*verb);
}

}  // namespace vitrail::cli
