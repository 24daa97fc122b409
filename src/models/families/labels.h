// The names of a model's classes, from the configuration that its family writes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace vitrail {

struct ConfigLabels {
  std::vector<std::string> names;  // empty: unknown, else one for each class; an empty name: that
                                   // class is unknown
  std::vector<std::string> wnids;  // empty, or one for each name
  std::string source;
};

// transformers' id2label, timm's label_names and label_descriptions, Vitrail's labels, of a model
// that answers `classes`. Names that a library made up itself (LABEL_0, ...) count as unknown. A
// map may leave classes out and name others by numbers, as transformers loads it: there must be as
// many names as classes, or the last one named be the last class. Error: a class named twice,
// another number of names.
ConfigLabels labels_from_config(const nlohmann::json& config, int64_t classes,
                                const std::string& place);

// The labels file that stands in a model's folder: labels or classes or imagenet_classes, .json or
// .txt. Empty when there is none.
std::filesystem::path labels_file_in(const std::filesystem::path& folder);

}  // namespace vitrail
