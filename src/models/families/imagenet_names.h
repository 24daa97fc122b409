// The classes of ImageNet-1k, which timm's checkpoints do not name: their head has them in this
// order, and their tag says that it was trained on them.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

namespace vitrail {

struct ImageNetClass {
  std::string_view wnid;  // WordNet's identifier
  std::string_view name;
};

// A thousand, in the order of the head.
std::span<const ImageNetClass> imagenet_classes();

// The tag by which timm's config.json says that the last data its head learned from was ImageNet-1k
// ("augreg_in21k_ft_in1k", "fb_in1k"): in pretrained_cfg, or behind the architecture's name. Empty:
// it does not say so, or the head has another number of classes.
std::string imagenet_tag(const nlohmann::json& config, int64_t classes);

}  // namespace vitrail
