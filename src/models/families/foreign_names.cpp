#include "models/families/foreign_names.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail {
namespace {

// Parts of names, all of which such a file has; the first row that fits is it.
struct ForeignModel {
  const char* model;
  std::vector<std::string_view> parts;
};

const std::vector<ForeignModel>& foreign_models() {
  static const std::vector<ForeignModel> models = {
      {"vit-pytorch's ViT for small data sets, with shifted patches", {"to_patch_tokens.1.weight"}},
      {"vit-pytorch's CCT", {"classifier.attention_pool.weight", "classifier.blocks.0.self_attn."}},
      {"vit-pytorch's CvT, with convolutions before attention", {".0.to_q.net.0.weight"}},
      {"vit-pytorch's T2T-ViT, with tokens made of tokens",
       {"to_patch_embedding.3.layers.0.0.to_qkv.weight"}},
      {"vit-pytorch's LeViT, with convolutions before attention",
       {"conv_embedding.0.weight", "backbone.0.layers.0.0.pos_indices"}},
      {"vit-pytorch's PiT, which pools between stages", {".downsample.net.0.weight", ".cls_ff."}},
      {"vit-pytorch's NesT, a hierarchy of blocks",
       {"to_patch_embedding.1.g", "layers.0.0.pos_emb"}},
      {"vit-pytorch's MaxViT, with convolutions between attention",
       {"conv_stem.0.weight", ".gate.1.weight"}},
      {"vit-pytorch's MobileViT, with names of its own",
       {"conv1.0.weight", "stem.0.conv.0.weight"}},
      {"vit-pytorch's Twins, a pyramid of stages", {"layers.0.0.proj.0.g"}},
      {"vit-pytorch's CrossFormer, with patches of several sizes",
       {"layers.0.0.convs.0.weight", ".dpb.0.weight"}},
      {"vit-pytorch's ScalableViT, with attention of two scales",
       {"to_patches.weight", ".0.to_k.weight"}},
      {"vit-pytorch's SepViT, with windows and tokens of them", {".window_tokens_to_qk."}},
      {"vit-pytorch's normalized ViT, whose weights lie on a sphere",
       {".parametrizations.weight.original", "residual_lerp_scales."}},
  };
  return models;
}

}  // namespace

const char* foreign_model(const TensorSource& tensors) {
  const std::vector<std::string> names = tensors.names();
  const auto has = [&](std::string_view part) {
    return std::ranges::any_of(
        names, [&](const std::string& name) { return name.find(part) != std::string::npos; });
  };
  for (const ForeignModel& one : foreign_models())
    if (std::ranges::all_of(one.parts, has)) return one.model;
  return nullptr;
}

}  // namespace vitrail
