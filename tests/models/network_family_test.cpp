// Files of networks other than the plain Vision Transformer that say nothing of themselves.
#include "models/families/network_family.h"

#include <gtest/gtest.h>

#include "models/architectures.h"
#include "models/families/registry.h"
#include "models/family_fixtures.h"
#include "models/golden_case.h"

namespace vitrail {
namespace {

NamedTensors tensors_of(const std::string& architecture) {
  NamedTensors tensors;
  const std::shared_ptr<Network> network = architecture_config(architecture).make();
  for (const auto& parameter : network->parameters().all())
    tensors.emplace_back(parameter->path(), Tensor::zeros(parameter->shape()));
  return tensors;
}

TEST(BareNetwork, IsAskedForItsDefinitionAndToldWhichFit) {
  const NamedTensors tensors = tensors_of("pvt_v2_b0");
  const std::string message = testing::error_of([&] { testing::read(tensors, nullptr); });
  for (const char* part :
       {"timm's PVT v2", "do not say which", "architecture", "these have such tensors: pvt_v2_b0"})
    EXPECT_NE(message.find(part), std::string::npos) << part << ": " << message;
  const Checkpoint said = testing::read(tensors, nullptr, {{"architecture", "pvt_v2_b0"}});
  EXPECT_EQ(said.info.family, timm_pvt_v2_family());
  EXPECT_EQ(said.info.preprocess_kind, PreprocessKind::timm);
  // Another definition has other tensors.
  EXPECT_ERROR(testing::read(tensors, nullptr, {{"architecture", "pvt_v2_b1"}}),
               "'patch_embed.proj.weight' is");
  EXPECT_ERROR(testing::read(tensors, nullptr, {{"architecture", "pvt_v2_b9"}}),
               "'pvt_v2_b9' is not a definition of timm's PVT v2");
}

// Microsoft's files show the picture by their masks of shifted windows.
TEST(BareNetwork, AnOriginalSwinWithoutMasksIsAskedForItsPicture) {
  const Checkpoint golden =
      open_checkpoint(testing::golden_root() / "swin" / "any_size", testing::without_preprocess());
  const Spelling spelling = spelling_for(swin_original_family(), golden.info.config);
  NamedTensors tensors;
  for (const std::string& name : golden.tensors->names())
    tensors.emplace_back(names_in(spelling, name).front(), golden.tensors->tensor(name));
  tensors.emplace_back("layers.0.blocks.0.attn.relative_position_index",
                       Tensor::zeros({49, 49}, DType::i64));
  EXPECT_ERROR(testing::read(tensors, nullptr), "nothing shows how large");
}

// Of a plain ViT: the angles of DINOv3 and EVA-02 differ in all of it.
TEST(BareRotary, ARuleThatIsSaidByItsKindIsAskedForTheRest) {
  const auto file = SafetensorsFile::open(testing::golden_root() / "timm_positions" /
                                          "dinov3_qkvb" / "model.safetensors");
  NamedTensors tensors;
  for (const std::string& name : file->names()) tensors.emplace_back(name, file->tensor(name));
  const std::string message = testing::error_of([&] {
    testing::read(tensors, nullptr, {{"rotary", "axial"}});
  });
  for (const char* field : {"rotary_base", "rotary_coordinates", "rotary_interleaved",
                            "rotary_column_first", "rotary_reference_height"})
    EXPECT_NE(message.find(field), std::string::npos) << field << ": " << message;
}

}  // namespace
}  // namespace vitrail
