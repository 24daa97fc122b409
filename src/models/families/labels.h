// The names of a model's classes, from the configuration that its family writes.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace vitrail {

struct ConfigLabels {
  std::vector<std::string> names;  // empty: unknown; an empty name: that class is unknown
  std::vector<std::string> wnids;  // empty, or one for each name
  std::string source;
};

// transformers' id2label, timm's label_names and label_descriptions, Vitrail's labels. Names that a
// library made up itself (LABEL_0, ...) count as unknown. Error: a class named twice or not at all.
ConfigLabels labels_from_config(const nlohmann::json& config, const std::string& place);

// The labels file that stands in a model's folder: labels or classes or imagenet_classes, .json or
// .txt. Empty when there is none.
std::filesystem::path labels_file_in(const std::filesystem::path& folder);

}  // namespace vitrail
