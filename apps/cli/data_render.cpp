// vitrail data render: a scene that Vitrail draws itself.
#include <fmt/format.h>

#include "apps/cli/data_verbs.h"
#include "apps/cli/standard_streams.h"
#include "data/scenes.h"
#include "image/codec/codec.h"

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
  print_stdout("{}: {}\n", arguments.out, scene.caption);
}

}  // namespace

void add_data_render(CLI::App& data) {
  auto arguments = std::make_shared<RenderArguments>();
  CLI::App* verb = data.add_subcommand("render", "Render one scene, with its ground truth");
  verb->add_option("--out", arguments->out, "PNG file that is written")->required();
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

}  // namespace vitrail::cli
