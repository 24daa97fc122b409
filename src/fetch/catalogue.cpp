// Repositories, licences, classes and preprocessing of vit_* and deit_* are those of timm 1.0.31's
// pretrained configurations. Those of dinov2_* are the cards of facebook/dinov2-small and -base
// (Apache-2.0, as the code and the weights of github.com/facebookresearch/dinov2) and their
// preprocessor_config.json: shortest edge 256, bicubic, crop of 224x224, which is also
// make_classification_eval_transform() of the original code.
// Weights are counted from the definitions. No revision is pinned: the hub's `main` of these
// repositories is what their libraries take, and each file is checked against the hash that the hub
// gives.
#include "fetch/catalogue.h"

#include <algorithm>
#include <array>

namespace vitrail {
namespace {

constexpr std::string_view kImageNet = "the 1000 classes of ImageNet-1k";
constexpr std::string_view kFeatures = "no classes: features, for embed and finetune";
constexpr std::string_view kHalf = "224x224 of 248, bicubic, mean and std 0.5";
constexpr std::string_view kImageNetPictures = "224x224 of 248, bicubic, ImageNet's mean and std";
constexpr std::string_view kDinoPictures = "224x224 of 256, bicubic, ImageNet's mean and std";
constexpr std::string_view kApache = "Apache-2.0";

constexpr std::array<CatalogueModel, 9> kCatalogue = {{
    {.name = "vit_tiny",
     .knows = kImageNet,
     .classes = 1000,
     .weights = 5'717'416,
     .licence = kApache,
     .repository = "timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k",
     .revision = "main",
     .pictures = kHalf},
    {.name = "vit_small",
     .knows = kImageNet,
     .classes = 1000,
     .weights = 22'050'664,
     .licence = kApache,
     .repository = "timm/vit_small_patch16_224.augreg_in21k_ft_in1k",
     .revision = "main",
     .pictures = kHalf},
    {.name = "vit_base",
     .knows = kImageNet,
     .classes = 1000,
     .weights = 86'567'656,
     .licence = kApache,
     .repository = "timm/vit_base_patch16_224.augreg2_in21k_ft_in1k",
     .revision = "main",
     .pictures = kHalf},
    {.name = "deit_tiny",
     .knows = kImageNet,
     .classes = 1000,
     .weights = 5'717'416,
     .licence = kApache,
     .repository = "timm/deit_tiny_patch16_224.fb_in1k",
     .revision = "main",
     .pictures = kImageNetPictures},
    {.name = "deit_small",
     .knows = kImageNet,
     .classes = 1000,
     .weights = 22'050'664,
     .licence = kApache,
     .repository = "timm/deit_small_patch16_224.fb_in1k",
     .revision = "main",
     .pictures = kImageNetPictures},
    {.name = "dinov2_small",
     .knows = kFeatures,
     .classes = 0,
     .weights = 22'056'576,
     .licence = kApache,
     .repository = "facebook/dinov2-small",
     .revision = "main",
     .pictures = kDinoPictures},
    {.name = "dinov2_base",
     .knows = kFeatures,
     .classes = 0,
     .weights = 86'580'480,
     .licence = kApache,
     .repository = "facebook/dinov2-base",
     .revision = "main",
     .pictures = kDinoPictures},
    {.name = "photos",
     .knows = "airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck",
     .classes = 10,
     .weights = 1'460'482,
     .licence = kApache,
     .repository = "",
     .revision = "",
     .pictures = "32x32"},
    {.name = "scenes",
     .knows = "ten shapes in pictures that Vitrail renders itself",
     .classes = 10,
     .weights = 370'330,
     .licence = kApache,
     .repository = "",
     .revision = "",
     .pictures = "64x64"},
}};

}  // namespace

std::string CatalogueModel::hub_name() const {
  std::string text(repository);
  if (!revision.empty() && revision != "main") text.append("@").append(revision);
  return text;
}

std::span<const CatalogueModel> catalogue() {
  return kCatalogue;
}

const CatalogueModel* find_catalogued(std::string_view name) {
  const auto* const found = std::ranges::find(kCatalogue, name, &CatalogueModel::name);
  return found == kCatalogue.end() ? nullptr : found;
}

std::vector<std::string> catalogue_names() {
  std::vector<std::string> names;
  for (const CatalogueModel& model : kCatalogue) names.emplace_back(model.name);
  return names;
}

const CatalogueModel& default_model() {
  return kCatalogue.front();
}

}  // namespace vitrail
