#include "train/recipes.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "core/error.h"
#include "models/architectures.h"

namespace vitrail {
namespace {

struct Recipe {
  std::string_view kind;  // of the spec: what stands before the colon
  std::string_view architecture;
  int64_t image;  // 0: the size of the set's pictures
  int64_t channels;
  std::array<double, 3> mean, std;
  int64_t epochs;
  int64_t crop_padding;
  bool flip;
  double learning_rate = 1e-3;
  double warmup_epochs = 1;
  double label_smoothing = 0.1;
};

// Means and deviations are those of the training pictures, as everybody quotes them.
constexpr std::array kRecipes = {
    Recipe{"fashion-mnist",
           "vitc_nano_patch4",
           28,
           1,
           {0.2860},
           {0.3530},
           9,
           1,
           true,
           2e-3,
           0.5,
           0.05},
    Recipe{"mnist", "vitc_nano_patch4", 28, 1, {0.1307}, {0.3081}, 12, 2, false},
    Recipe{"cifar10",
           "vitc_nano_patch4",
           32,
           3,
           {0.4914, 0.4822, 0.4465},
           {0.2470, 0.2435, 0.2616},
           30,
           4,
           true},
    Recipe{"scenes", "vitc_nano_patch8", 0, 3, {0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}, 12, 4, true},
};
// Photographs of any size.
constexpr Recipe kPhotographs{
    "", "vitc_nano_patch8", 64, 3, {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}, 50, 0, true};

const Recipe& recipe_of(std::string_view data) {
  const std::string_view kind = data.substr(0, data.find(':'));
  const auto found = std::ranges::find(kRecipes, kind, &Recipe::kind);
  return found == kRecipes.end() ? kPhotographs : *found;
}

}  // namespace

TrainConfig recipe_for(const std::string& data, const std::string& architecture) {
  const Recipe& recipe = recipe_of(data);
  const std::unique_ptr<Dataset> set = open_dataset(data, Split::all);
  TrainConfig config;
  config.data = data;
  config.epochs = recipe.epochs;
  config.learning_rate = recipe.learning_rate;
  config.warmup_epochs = recipe.warmup_epochs;
  config.label_smoothing = recipe.label_smoothing;
  config.augment.crop_padding = recipe.crop_padding;
  config.augment.flip_probability = recipe.flip ? 0.5 : 0;
  config.mean.assign(recipe.mean.begin(), recipe.mean.begin() + recipe.channels);
  config.std.assign(recipe.std.begin(), recipe.std.begin() + recipe.channels);

  config.model =
      architecture_config(architecture.empty() ? std::string(recipe.architecture) : architecture);
  config.model.num_classes = set->num_classes();
  config.model.in_channels = recipe.channels;
  const bool photographs = &recipe == &kPhotographs;
  if (photographs) {
    // A size that the architecture was made for; pictures are cropped to it.
    config.augment.random_resized_crop = true;
    config.augment.min_scale = 0.35;
    config.crop_fraction = 0.875;
  } else {
    const int64_t side = recipe.image > 0 ? recipe.image : set->width();
    config.model.image_height = config.model.image_width = side;
  }
  return config;
}

}  // namespace vitrail
