#include "models/families/imagenet_names.h"

namespace vitrail {
namespace {

std::string text_of(const nlohmann::json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

std::string imagenet_tag(const nlohmann::json& config, int64_t classes) {
  if (!config.is_object() || classes != static_cast<int64_t>(imagenet_classes().size())) return "";
  std::string tag;
  if (const auto pretrained = config.find("pretrained_cfg"); pretrained != config.end())
    tag = text_of(*pretrained, "tag");
  if (tag.empty()) tag = text_of(config, "tag");
  if (tag.empty()) {
    const std::string architecture = text_of(config, "architecture");
    const size_t dot = architecture.find('.');
    if (dot != std::string::npos) tag = architecture.substr(dot + 1);
  }
  // Further words may follow: "augreg_in1k_384".
  const size_t last = tag.rfind("_in");
  const std::string data = tag.starts_with("in1k") && last == std::string::npos ? tag
                           : last == std::string::npos                          ? ""
                                                       : tag.substr(last + 1);
  return data == "in1k" || data.starts_with("in1k_") ? tag : "";
}

}  // namespace vitrail
