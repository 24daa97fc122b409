// A constructor of timm that makes plain Vision Transformers: its arguments as a closed list, and
// the model that it makes of a definition and them. timm has several: VisionTransformer, Eva, Beit,
// VisionTransformerRelPos.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "models/families/reading/fields.h"
#include "models/families/timm/timm_arguments.h"
#include "models/vit_config.h"

namespace vitrail {

struct TimmConstructor {
  const char* owner = "";  // whose arguments they are, for messages: "timm's Eva"
  std::span<const FieldRule> arguments;
  // `arguments` (model_args) replace what the definition says. Error: a value that Vitrail does not
  // implement.
  VitConfig (*model)(const VitConfig& definition, const nlohmann::json& arguments,
                     const std::string& place) = nullptr;
  // Whether tensors alone say where the norms of the end stand and how wide the MLP is: the
  // definitions' own arguments, which a configuration does not hold, decide it.
  bool ends_by_tensors = false;
};

// The sizes that every constructor takes: embed_dim, depth, num_heads, in_chans, num_classes,
// patch_size, img_size. Error: out of range.
void read_timm_sizes(const TimmArguments& arguments, VitConfig& model);
// int(embed_dim * ratio); of a ratio that is no number of a field's range, more than any has.
int64_t timm_width(int64_t embed_dim, double ratio);
// The width of an MLP, with the definition's ratio where the arguments give none.
int64_t timm_mlp_hidden(const TimmArguments& arguments, int64_t embed_dim,
                        const VitConfig& definition);

extern const TimmConstructor kTimmVisionTransformer, kTimmEva, kTimmBeit, kTimmRelPos;

}  // namespace vitrail
