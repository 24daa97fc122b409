// What parameters say of themselves, for every architecture, against the conventions of the
// libraries whose names they have: timm's groups, torchvision's layers, the authors of Muon.
#include <gtest/gtest.h>

#include <regex>
#include <string>

#include "models/architectures.h"
#include "models/families/published.h"
#include "models/lora.h"
#include "models/vit.h"

namespace vitrail {
namespace {

using Section = ParameterPlace::Section;
using Muon = ParameterRole::Muon;

bool matches(const std::string& path, const char* pattern) {
  return std::regex_search(path, std::regex(pattern));
}

void expect_conventions(const std::string& name, const Parameter& parameter) {
  const std::string& path = parameter.path();
  const ParameterRole& role = parameter.role();
  SCOPED_TRACE(name + ": " + path);
  const int64_t rank = parameter.shape().rank();
  const bool table =
      matches(path, "^(cls_token|dist_token|reg_token|pos_embed|attn_pool\\.latent)$");
  EXPECT_EQ(role.decays(), rank > 1 && !table);

  const bool in_block = matches(path, "^blocks\\.");
  EXPECT_EQ(role.in(Section::block), in_block);
  EXPECT_EQ(role.place.block, in_block ? std::stoll(path.substr(7)) : -1);
  EXPECT_EQ(role.in(Section::stem),
            matches(path,
                    "^(cls_token|dist_token|reg_token|pos_embed|patch_embed|tokenizer|"
                    "norm_pre)"));
  EXPECT_EQ(role.in(Section::final_norm), matches(path, "^norm\\."));
  EXPECT_EQ(role.in(Section::pool), matches(path, "^(attn_pool|sequence_pool|fc_norm)\\."));
  EXPECT_EQ(role.in(Section::head), matches(path, "^(head|head_dist)\\."));

  Muon muon = Muon::none;
  if (rank == 2 && in_block) muon = Muon::matrix;
  if (rank == 4 && matches(path, "\\.conv_layers\\.[1-9]")) muon = Muon::filter;
  if (rank == 4 && matches(path, "\\.layer[0-9]")) muon = Muon::normalised_filter;
  EXPECT_EQ(role.muon, muon);
}

void expect_conventions(const std::string& name) {
  VitConfig config = as_vit(architecture_config(name));
  config.block.layer_scale = config.depth > 0;  // so that every kind occurs
  const VisionTransformer model(config);
  for (const auto& parameter : model.parameters().all()) expect_conventions(name, *parameter);
}

TEST(Roles, AreTheLibrariesConventions) {
  for (const auto& row : compact_architectures()) expect_conventions(std::string(row.name));
  for (const auto& row : residual_architectures()) expect_conventions(std::string(row.name));
  for (const char* name : {"vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224",
                           "vit_small_patch14_reg4_dinov2", "vit_base_patch16_siglip_224"})
    if (is_architecture(name)) expect_conventions(name);
}

TEST(Roles, AnAdapterWorksWhereItsMatrixDoes) {
  VisionTransformer model(as_vit(architecture_config("vitc_nano_patch8")));
  model.parameters().initialise(0);
  ASSERT_GT(add_lora(model, {.rank = 2}, 0), 0);
  int64_t adapters = 0;
  for (const auto& parameter : model.parameters().all()) {
    const ParameterRole& role = parameter->role();
    EXPECT_EQ(role.kind == ParameterRole::Kind::adapter, matches(parameter->path(), "\\.lora_"));
    if (role.kind != ParameterRole::Kind::adapter) continue;
    ++adapters;
    EXPECT_TRUE(role.decays());
    EXPECT_TRUE(role.in(Section::block));
    EXPECT_EQ(role.muon, Muon::matrix);
    EXPECT_EQ(role.place.block, std::stoll(parameter->path().substr(7)));
  }
  EXPECT_EQ(adapters, 2 * 4 * model.config().depth);
}

}  // namespace
}  // namespace vitrail
