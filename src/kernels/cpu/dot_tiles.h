// Tiles by dot-product instructions, which Highway 1.0.3 lacks: one file per instruction set, each
// compiled for it alone and called only where the processor has it (dispatch.h: dot_products()).
//
// sums[r, c] (+)= sum over k of a[r, k] * panel[k, c]. Left values of one row lie side by side;
// a panel keeps kGroup values of k together for each column: [depth / kGroup][columns][kGroup].
// `ahead` is memory that will be wanted soon; a line is fetched at every fourth step.
#pragma once

#include <cstdint>

namespace vitrail::kernels {

template <class Left, class Right, class Sum>
using DotTile = void (*)(int64_t depth, const Left* a, int64_t a_stride, const Right* panel,
                         Sum* sums, int64_t sums_stride, bool accumulate, const char* ahead);
using Int8Tile = DotTile<uint8_t, int8_t, int32_t>;  // exact: 32-bit sums never saturate
using Bf16Tile = DotTile<uint16_t, uint16_t, float>;

// vectors of the panel and rows of A, both from 1 to what gemm_micro-inl.h's tile has.
Int8Tile int8_tile_avx512_vnni(int vectors, int rows);
Int8Tile int8_tile_avx2_vnni(int vectors, int rows);
Bf16Tile bf16_tile_avx512(int vectors, int rows);

}  // namespace vitrail::kernels
