// What is added to the scores of attention: a sum of terms, each a short description. None is ever
// spread to N x N for each sample and head: the kernels compute the terms of one block of keys as
// they come to it.
//
// Every term may be learned; attention_backward gives its gradient.
#pragma once

#include <array>
#include <cstdint>
#include <limits>

namespace vitrail::kernels {

// A table of biases by relative position, values[entry * H + h], with an entry for each pair of
// query and key: index[i * Nk + j], or by the rule of a grid, query_entry[i] - key_entry[j]. An
// entry of -1 adds nothing. (Swin: Liu et al. 2021, eq. 4; BEiT with entries for the class token.)
struct RelativeTable {
  const float* values = nullptr;  // [entries, H]; null: no such term
  int64_t entries = 0;
  const int32_t* index = nullptr;  // [Nq, Nk]; null: by the rule
  const int32_t* query_entry = nullptr;
  const int32_t* key_entry = nullptr;
  // The rule is for tokens behind the first `prefix`, which have entries of their own.
  int64_t prefix = 0;
  int32_t prefix_to_token = -1, token_to_prefix = -1, prefix_to_prefix = -1;

  int32_t entry(int64_t i, int64_t j, int64_t keys) const {
    if (index != nullptr) return index[i * keys + j];
    if (i < prefix) return j < prefix ? prefix_to_prefix : prefix_to_token;
    return j < prefix ? token_to_prefix : query_entry[i] - key_entry[j];
  }
};

// Positions decomposed into a row's and a column's term, each a product with q (Li et al. 2022,
// MViT v2, eq. 4; the image encoder of SAM). Queries and keys are the same grid, row by row:
//   q_i . rows[y_i - y_j + height - 1]  +  q_i . columns[x_i - x_j + width - 1]
// with q as it is multiplied but not scaled. These products are f32 in every precision.
struct DecomposedTables {
  const float* rows = nullptr;     // [2*height - 1, d]; null: no such term
  const float* columns = nullptr;  // [2*width - 1, d]
  int64_t height = 0, width = 0;
  int64_t row_entries() const { return 2 * height - 1; }
  int64_t entries() const { return row_entries() + 2 * width - 1; }
};

// -slope[h] times the distance of query and key (Press et al. 2022, ALiBi; in two dimensions:
// Fuller et al. 2023). The first `prefix` tokens have no place: nothing is added.
struct DistanceSlopes {
  const float* slopes = nullptr;        // [H]; null: no such term
  const float* query_places = nullptr;  // [Nq, 2]
  const float* key_places = nullptr;    // [Nk, 2]
  int64_t prefix = 0;
};

// `penalty` is added where query and key belong to different groups: the parts of the picture that
// meet in a shifted window (Liu et al. 2021, figure 4), or pictures packed into one sequence.
struct TokenGroups {
  const int32_t* query_groups = nullptr;  // [periods, Nq], of index b: row b % periods; null: none
  const int32_t* key_groups = nullptr;    // [periods, Nk]
  int64_t periods = 1;
  float penalty = -std::numeric_limits<float>::infinity();
};

struct AttentionBias {
  const float* dense = nullptr;  // element (b, h, query, key) at the strides below; null: none
  std::array<int64_t, 4> stride{};
  const float* by_key = nullptr;  // element (b, h, key): a second dense term
  std::array<int64_t, 3> key_stride{};
  RelativeTable table;
  DecomposedTables decomposed;
  DistanceSlopes distance;
  TokenGroups groups;
  bool causal = false;                   // key j is visible to query i when j <= i + (Nk - Nq)
  const int64_t* key_lengths = nullptr;  // [B]: keys from there on are invisible; null: all seen

  // Whether anything is added; what hides keys is not counted.
  bool adds() const {
    return dense != nullptr || by_key != nullptr || table.values != nullptr ||
           decomposed.rows != nullptr || distance.slopes != nullptr ||
           groups.query_groups != nullptr;
  }
  bool present() const { return adds() || causal || key_lengths != nullptr; }
};

// Where the gradients of the terms go, all `+=`; null: not wanted.
struct AttentionBiasGradient {
  float* dense = nullptr;  // by the strides of the bias, 0 where it is broadcast
  float* by_key = nullptr;
  float* table = nullptr;            // [entries, H]
  float* decomposed_rows = nullptr;  // both or neither
  float* decomposed_columns = nullptr;
  float* slopes = nullptr;  // [H]
  bool wanted() const {
    return dense != nullptr || by_key != nullptr || table != nullptr ||
           decomposed_rows != nullptr || slopes != nullptr;
  }
};

}  // namespace vitrail::kernels
