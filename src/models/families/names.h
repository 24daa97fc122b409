// How the families name a parameter: one table of spellings per family, read in both directions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/tensor_source.h"
#include "models/network_config.h"

namespace vitrail {

class Family;

// Of a file that holds a model's names under a prefix and in one of a family's generations.
struct Spelling {
  const Family* family = nullptr;
  std::string prefix;  // before every name of the backbone: "", "vit.", "module.", ...
  // Bits, which each family defines for itself. kAgeBit alone is a matter of age, with 0 for what
  // the family writes to files today; the others follow from the model.
  int generation = 0;
  // Files of training may keep blocks in chunks: blocks.CHUNK.INDEX.
  std::vector<int64_t> block_chunks;
  // Blocks of each stage, where the family's numbering of layers depends on them
  // (Family::numbered).
  std::vector<int64_t> depths = {};
};
inline constexpr int kAgeBit = 1;
inline constexpr int kMaxGeneration = 127;

// '@' is the file's prefix and each '#' a number of the name, as the block's; '+' joins the parts
// that are stacked, and "*2" behind one says that it has the rows of two (k and v together). Both
// sides are modules: ".weight" and ".bias" follow, or nothing for a bare tensor. At the end of
// theirs, "[1:3/3]" says that the parameter is a part of the tensor alone: of its three equal
// parts, the second and third (q, k and v of a torch.nn.MultiheadAttention).
struct NameRow {
  std::string_view canonical;
  std::array<std::string_view, 2> theirs;  // by column; an empty one is as the first
};

// Of a tensor that holds several parameters one below the other: its equal parts [begin, end) of
// `of`.
struct TensorPart {
  int64_t begin = 0, end = 1, of = 1;
  bool operator==(const TensorPart&) const = default;
};

// How a canonical parameter is made of a checkpoint's tensors.
struct WeightRule {
  std::string canonical;
  std::vector<std::string> parts;    // their names; several are stacked along the first axis
  std::vector<int64_t> shares = {};  // of the rows, one for each part; empty: equal ones
  std::optional<TensorPart> part = std::nullopt;  // of the one tensor in `parts`
};

// What a spelling is read by, the first hit winning.
struct NameTables {
  std::vector<std::span<const NameRow>> rows;
  int column = 0;
  bool identity = false;  // whether what no row has is named as here
};

// How the family writes a model of this configuration today.
Spelling spelling_for(const Family* family, const NetworkConfig& config);
// `today` as an older or newer generation of the same family's files, `other`, would write it.
Spelling respelled(Spelling today, const Spelling& other);

// A spelling in words, to find it again after a conversion; nothing when the words are not ours.
std::string to_words(const Spelling& spelling);
std::optional<Spelling> spelling_from_words(const std::string& words);

// The names that hold canonical parameter `name` in a file of this spelling (several: parts stacked
// along the first axis); empty when the family has no such parameter.
std::vector<std::string> names_in(const Spelling& spelling, std::string_view name);

// The same names, with which part of a tensor it is.
WeightRule rule_for(const Spelling& spelling, std::string_view name);

// A tensor of this file that no answer of the model depends on (mask token, pooler, ...).
bool is_left_out(const Spelling& spelling, std::string_view their_name);

// Blocks of the file: one more than the highest index.
int64_t count_blocks(const TensorSource& tensors, const Spelling& spelling);

}  // namespace vitrail
