// How the families name a parameter: one table of spellings per family, read in both directions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/tensor_source.h"
#include "models/families/family.h"

namespace vitrail {

// Of a file that holds a model's names under a prefix and in one of a family's generations.
struct Spelling {
  Family family = Family::timm;
  std::string prefix;  // before every name of the backbone: "", "vit.", "module.", ...
  int generation = 0;  // the row's column: 0 is what the family writes to files today
  // Original DINOv2's training files keep blocks in chunks: blocks.CHUNK.INDEX.
  std::vector<int64_t> block_chunks;
};

// Recognises the family from names and, where they leave a choice, from config.json (which may be
// null). Error: none of the known families.
Spelling recognise(const TensorSource& tensors, const nlohmann::json& config);

// How the family writes a model of this configuration today.
Spelling spelling_for(Family family, const VisionTransformerConfig& config);
// `today` as an older or newer generation of the same family's files, `other`, would write it.
Spelling respelled(Spelling today, const Spelling& other);

// A spelling in words, to find it again after a conversion; nothing when the words are not ours.
std::string to_words(const Spelling& spelling);
std::optional<Spelling> spelling_from_words(const std::string& words);

// The names that hold canonical parameter `name` in a file of this spelling (several: parts stacked
// along the first axis); empty when the family has no such parameter.
std::vector<std::string> names_in(const Spelling& spelling, std::string_view name);

// Whether other models of the library have these very names and compute something else:
// vit-pytorch's ats_vit and vit_3d have those of an older ViT.
bool is_ambiguous(const Spelling& spelling);

// A tensor of this file that no answer of the model depends on (mask token, pooler, ...).
bool is_left_out(const Spelling& spelling, std::string_view their_name);

// Blocks of the file: one more than the highest index.
int64_t count_blocks(const TensorSource& tensors, const Spelling& spelling);

}  // namespace vitrail
