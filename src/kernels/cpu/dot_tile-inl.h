// The body of dot_tiles.h, for files that define `Ops` (one instruction set's vectors) and enclose
// this in its target attributes. Included inside an anonymous namespace: no symbol leaves the file.
//
// Ops: Left, Right, Sum, Vector (of right values), Accumulator; kGroup; kLanes; kRows, kVectors (the
// tile, as in gemm_micro-inl.h); zero, load, store, load_panel, spread (kGroup left values to every
// lane), dot.

template <int kRowCount, int kVectorCount>
void tile(int64_t depth, const Ops::Left* a, int64_t a_stride, const Ops::Right* panel,
          Ops::Sum* sums, int64_t sums_stride, bool accumulate, const char* ahead) {
  constexpr int kGroup = Ops::kGroup, kLanes = Ops::kLanes;
  Ops::Accumulator sum[kRowCount][kVectorCount];
#pragma GCC unroll 8
  for (int r = 0; r < kRowCount; ++r)
#pragma GCC unroll 3
    for (int v = 0; v < kVectorCount; ++v)
      sum[r][v] =
          accumulate ? Ops::load(sums + r * sums_stride + v * kLanes) : Ops::zero();
#pragma GCC unroll 4
  for (int64_t k = 0; k < depth; k += kGroup) {
    if (k % (4 * kGroup) == 0) __builtin_prefetch(ahead + k / kGroup * 16, 0, 2);  // into L2
    Ops::Vector b[kVectorCount];
#pragma GCC unroll 3
    for (int v = 0; v < kVectorCount; ++v) b[v] = Ops::load_panel(panel + v * kLanes * kGroup);
    panel += Ops::kVectors * kLanes * kGroup;
#pragma GCC unroll 8
    for (int r = 0; r < kRowCount; ++r) {
      const Ops::Vector left = Ops::spread(a + r * a_stride + k);
#pragma GCC unroll 3
      for (int v = 0; v < kVectorCount; ++v) sum[r][v] = Ops::dot(sum[r][v], left, b[v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRowCount; ++r)
#pragma GCC unroll 3
    for (int v = 0; v < kVectorCount; ++v)
      Ops::store(sums + r * sums_stride + v * kLanes, sum[r][v]);
}

using Tile = DotTile<Ops::Left, Ops::Right, Ops::Sum>;

template <int kVectorCount, int... kRowIndex>
Tile tile_of_rows(int rows, std::integer_sequence<int, kRowIndex...>) {
  static constexpr Tile kTiles[] = {tile<kRowIndex + 1, kVectorCount>...};
  return kTiles[rows - 1];
}

inline Tile find_tile(int vectors, int rows) {
  constexpr std::make_integer_sequence<int, Ops::kRows> kRows;
  if (vectors == 1) return tile_of_rows<1>(rows, kRows);
  if constexpr (Ops::kVectors == 3)
    if (vectors == 3) return tile_of_rows<3>(rows, kRows);
  return tile_of_rows<2>(rows, kRows);
}
