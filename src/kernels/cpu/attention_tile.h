// The register tile of attention's products.
//
// c[r, c] (+)= sum over k of A[r, k] * b[k, c],  A[r, k] = a[r * a_row + k * a_step]
//
// Everything it reads is in units of four bytes: one float, or two bf16 that are neighbours in k,
// the first in the lower half. So the arrangement of memory is the same in every arithmetic, and a
// block of scores serves as A of one product and as B of another without being transposed.
#pragma once

#include <cstdint>

namespace vitrail::kernels {

struct AttentionTileArgs {
  int64_t depth = 0;  // units
  const float* a = nullptr;
  int64_t a_row = 0, a_step = 0;  // one of them is 1
  const float* b = nullptr;       // whole vectors
  int64_t b_row = 0;
  float* c = nullptr;
  int64_t c_row = 0;
  bool accumulate = false;
  float* maximum = nullptr;  // by column, raised to the largest of the rows' sums; null: not wanted
};
using AttentionTile = void (*)(const AttentionTileArgs&);

// The shape of a tile: `rows` by `vectors` whole vectors, or one of half the length (vectors 0).
struct AttentionTileShape {
  int rows = 1;
  int vectors = 1;
  bool adjacent = false;  // a_row is 1, not a_step
};

// By AVX512-BF16: VDPBF16PS on vectors of 16 units; rows to 8, vectors to 3. One file, compiled for
// it alone and called where dispatch.h's dot_products() has it.
AttentionTile attention_tile_avx512_bf16(const AttentionTileShape& shape);

// `count` rows of `dim` floats to units, rounded by its conversions; attention_block-inl.h has the
// same in portable operations. The first pairs neighbours in a row, the second in a column.
struct RowView {
  const float* data = nullptr;
  int64_t stride = 0;
  int64_t count = 0, dim = 0;
};
void pack_rows_avx512_bf16(const RowView& x, float* out);
void pack_row_pairs_avx512_bf16(const RowView& x, float* out);

}  // namespace vitrail::kernels
