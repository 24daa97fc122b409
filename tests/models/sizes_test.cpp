// Pictures of other sizes than the model's own, against the family's own library
// (tests/golden/sizes): positions are stretched, and partial patches left out or refused.
#include <gtest/gtest.h>

#include <filesystem>

#include "core/error.h"
#include "formats/safetensors.h"
#include "models/families/canonical.h"
#include "models/families/checkpoint.h"
#include "models/golden_case.h"
#include "models/vit.h"
#include "support/errors.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

const fs::path kSizesGolden = fs::path(VITRAIL_SOURCE_DIR) / "tests/golden/sizes";

std::vector<std::string> golden_sizes() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kSizesGolden))
    if (fs::exists(entry.path() / "golden.safetensors"))
      names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

class Sizes : public ::testing::TestWithParam<std::string> {
 protected:
  static Checkpoint open(const std::string& name) {
    return open_checkpoint(kSizesGolden / name, {.settings = {}, .require_preprocess = false});
  }
  static Tensor logits(const Checkpoint& checkpoint, const Tensor& input) {
    VisionTransformer model(as_vit(checkpoint.info.config));
    load_weights(model, *checkpoint.tensors);
    Queue queue(1);
    return model.forward(Context(queue), input).logits.value().clone();
  }
};

TEST_P(Sizes, AnswersAsItsLibrary) {
  const auto golden = SafetensorsFile::open(kSizesGolden / GetParam() / "golden.safetensors");
  const Checkpoint own = open(GetParam());
  int seen = 0;
  for (const std::string& name : golden->names()) {
    if (!name.starts_with("input.")) continue;
    const std::string size = name.substr(std::string("input.").size());
    const Tensor input = golden->tensor(name), wanted = golden->tensor("logits." + size);
    EXPECT_LE(testing::relative_error(logits(own, input), wanted), 1e-5) << size;
    // The same with the size as the model's own, as --size sets it.
    Checkpoint sized = own;
    sized.info.config.set_image_size(input.size(2), input.size(3));
    EXPECT_LE(testing::relative_error(logits(sized, input), wanted), 1e-5) << size;
    ++seen;
  }
  EXPECT_GE(seen, 1);
}

INSTANTIATE_TEST_SUITE_P(All, Sizes, ::testing::ValuesIn(golden_sizes()),
                         [](const auto& test) { return test.param; });

TEST(SizesGolden, EveryCaseIsThere) {
  EXPECT_EQ(golden_sizes().size(), 7U);
}

// timm asserts it, and so does original DINOv2.
TEST(SizesRefused, PartialPatchesOfAModelThatDoesNotDropThem) {
  VitConfig config = as_vit(open_checkpoint(kSizesGolden / "timm_class_token",
                                            {.settings = {}, .require_preprocess = false})
                                .info.config);
  EXPECT_ERROR(config.set_image_size(17, 16),
               "17 is not a whole number of 4 pixel patches, as 16 "
               "or 20 is");
  EXPECT_ERROR(config.set_image_size(3, 16), "as 4 is");
  EXPECT_EQ(config.image_height, 16);
}

TEST(SizesRefused, PicturesSmallerThanAPatch) {
  const VitConfig config =
      as_vit(open_checkpoint(kSizesGolden / "hf_vit", {.settings = {}, .require_preprocess = false})
                 .info.config);
  EXPECT_TRUE(config.patches.drop_partial);
  EXPECT_EQ(config.grid_height(7), 1);
  EXPECT_ERROR((void)config.grid_height(3), "a picture height of 3");
}

}  // namespace
}  // namespace vitrail
