// LeViT, CvT and PVT, what they refuse; and what packing makes of batch normalisation.
#include <gtest/gtest.h>

#include <set>

#include "models/backbones/cvt.h"
#include "models/backbones/levit.h"
#include "models/backbones/pvt.h"
#include "models/golden_model.h"
#include "support/errors.h"

namespace vitrail {
namespace {

using testing::GoldenCase;
using testing::relative_error;

// Goldens with batch normalisation behind products: packed, their networks answer as their
// libraries do, and no normalisation is left.
TEST(PyramidNetworks, AnswerAsTheirLibrariesWithBatchNormalisationFolded) {
  std::set<std::string> checked;
  for (const std::string& name : testing::golden_case_names()) {
    const GoldenCase golden = testing::open_golden(name);
    testing::GoldenModel model = testing::load_golden_model(golden);
    Network& network = *model.network;
    if (network.parameters().folds().empty()) continue;
    checked.insert(name.substr(0, name.find('/')));
    Queue queue(2);
    network.pack_for_inference(queue);
    for (const auto& fold : network.parameters().folds()) EXPECT_TRUE(fold->folded) << name;
    const NetworkOutput output = network.forward(Context(queue), golden.at("input"));
    const Variable& answer = output.logits.defined() ? output.logits : output.pooled;
    EXPECT_LE(relative_error(answer.value(), golden.at("logits")), golden.bound("logits", 1e-5))
        << name;
  }
  EXPECT_EQ(checked, (std::set<std::string>{"cvt", "efficientformer", "levit", "mobilevit",
                                            "timm_blocks", "tiny_vit", "xcit"}));
}

TEST(PyramidNetworks, HaveOneWordForEachField) {
  const auto expect_same = [](const NetworkConfig& config) {
    EXPECT_EQ(network_config_from_json(to_json(config)), config);
  };
  LevitConfig levit;
  levit.stem_stride = 8;
  levit.activation = Activation::silu;
  expect_same(levit);
  CvtConfig cvt;
  cvt.key_strides = {1, 2, 3};
  expect_same(cvt);
  PvtConfig pvt;
  pvt.qkv_bias = false;
  expect_same(pvt);
  NetworkConfig set{levit};
  set.set("value_dims", "16,32,64");
  EXPECT_EQ(set.get_if<LevitConfig>()->value_dims, (std::vector<int64_t>{16, 32, 64}));
  EXPECT_ERROR(set.set("value_dim", "16"), "there is no field 'value_dim'");
}

TEST(PyramidNetworks, LevitRefusesWhatContradictsItself) {
  const LevitConfig usual;
  LevitConfig c;
  c.key_dims = {16, 16};
  EXPECT_ERROR(c.validate(), "key_dims names 2 stages and depths 3");
  c = usual;
  c.image_width = 230;
  EXPECT_ERROR(c.validate(), "224x230 is not a whole number of the stem's 16 pixels");
  c = usual;
  c.stem_stride = 4;
  EXPECT_ERROR(c.validate(), "stem_stride is 4; it may be 16 or 8");
  c = usual;
  c.key_dims.front() = 200;
  EXPECT_ERROR(c.validate(), "behind stage 0 has 128 / 200 heads");
  c = usual;
  EXPECT_ERROR(c.set_image_size(256, 256), "positions are of pictures of 224x224");
  c.set_image_size(224, 224);
}

TEST(PyramidNetworks, CvtAndPvtRefuseGridsThatAreTooSmall) {
  const CvtConfig usual_cvt;
  const PvtConfig usual_pvt;
  CvtConfig cvt;
  cvt.set_image_size(16, 16);
  EXPECT_ERROR(cvt.set_image_size(2, 16), "2x16 is too small for the patches of stage 0");
  cvt.key_paddings = {1, 1, 0};
  EXPECT_ERROR(cvt.validate(), "into which its keys' kernel of 3 does not fit");
  cvt = usual_cvt;
  cvt.kernels = {3, 4, 3};
  EXPECT_ERROR(cvt.validate(), "kernels must be odd, and stage 1 has 4");
  PvtConfig pvt;
  pvt.reductions = {8, 4, 2, 2};
  EXPECT_ERROR(pvt.validate(), "the last of reductions is 2; it must be 1");
  pvt = usual_pvt;
  pvt.image_height = 28;
  EXPECT_ERROR(pvt.validate(), "a grid of 7x56, which its reduction of 8 does not fit into");
  pvt = usual_pvt;
  EXPECT_ERROR(pvt.set_image_size(256, 224), "has no rule for 256x224");
}

}  // namespace
}  // namespace vitrail
