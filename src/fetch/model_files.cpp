#include "fetch/model_files.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "core/printable.h"
#include "fetch/http.h"
#include "formats/json.h"

namespace vitrail {
namespace {

constexpr const char* kTexts[] = {"config.json",
                                  "preprocessor_config.json",
                                  "open_clip_config.json",
                                  "labels.json",
                                  "labels.txt",
                                  "classes.json",
                                  "classes.txt",
                                  "imagenet_classes.json",
                                  "imagenet_classes.txt",
                                  "rejection.safetensors"};
// What training and calibration leave beside a model; none of it is weights.
constexpr const char* kNotWeights[] = {"training_args.bin",    "optimizer.bin", "scheduler.bin",
                                       "optimizer.pt",         "scheduler.pt",  "rng_state.pth",
                                       "rejection.safetensors"};

bool ends_with_any(const std::string& name, std::initializer_list<const char*> endings) {
  return std::any_of(endings.begin(), endings.end(),
                     [&](const char* ending) { return name.ends_with(ending); });
}

std::vector<std::string> weights_among(const std::vector<std::string>& names,
                                       std::initializer_list<const char*> endings) {
  std::vector<std::string> found;
  for (const std::string& name : names) {
    const bool top = name.find('/') == std::string::npos;
    const bool other =
        std::find(std::begin(kNotWeights), std::end(kNotWeights), name) != std::end(kNotWeights);
    if (top && !other && ends_with_any(name, endings)) found.push_back(name);
  }
  return found;
}

}  // namespace

ModelFiles choose_model_files(const std::vector<std::string>& names, const std::string& model) {
  const auto there = [&](const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  ModelFiles files;
  for (const char* name : kTexts)
    if (there(name)) files.texts.emplace_back(name);
  const auto only = [&](std::initializer_list<const char*> endings) {
    const std::vector<std::string> found = weights_among(names, endings);
    if (found.empty()) return std::string();
    if (found.size() > 1)
      fail("hub",
           "{} holds several files of weights ({}) and none is named model.safetensors; "
           "fetch one with --file and name its path",
           model, printable(fmt::format("{}", fmt::join(found, ", "))));
    return found.front();
  };
  if (there("model.safetensors"))
    files.weights = "model.safetensors";
  else if (there("model.safetensors.index.json"))
    files.index = "model.safetensors.index.json";
  else if (std::string name = only({".safetensors"}); !name.empty())
    files.weights = name;
  else if (there("pytorch_model.bin"))
    files.weights = "pytorch_model.bin";
  else if (there("pytorch_model.bin.index.json"))
    files.index = "pytorch_model.bin.index.json";
  else
    files.weights = only({".bin", ".pth", ".pt", ".pth.tar"});
  check(!files.weights.empty() || !files.index.empty(), "hub",
        "{} holds no weights that Vitrail reads (.safetensors, .bin, .pth)", model);
  return files;
}

std::vector<std::string> shards_of(const std::string& index_text, const std::string& place) {
  const Json index = parse_json(index_text, place, kIndexJson);
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  check(index.is_object() && map != index.end() && map->is_object(), "hub", "{} has no weight_map",
        place);
  std::set<std::string> shards;
  for (const Json& file : *map) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    check(!name.empty() && name.find('/') == std::string::npos && name[0] != '.' &&
              ends_with_any(name, {".safetensors", ".bin"}),
          "hub", "{} names '{}', which is no file of weights beside it", place, printable(name));
    shards.insert(name);
  }
  return {shards.begin(), shards.end()};
}

}  // namespace vitrail
