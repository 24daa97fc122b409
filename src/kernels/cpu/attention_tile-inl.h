// The body of attention_tile.h, for files that define classes of vector operations and enclose this
// in their target attributes. Included inside a namespace of that target.
//
// Ops: Vector; kLanes; zero, load, store, spread (one unit to every lane), multiply_add, max.

// With one of the steps of A known at compile time, the rows' addresses are displacements of one
// register, or registers that do not move.
template <class Ops, bool kAdjacent, int kRows, int kVectors>
HWY_NOINLINE void attention_tile(const AttentionTileArgs& args) {
  using Vector = typename Ops::Vector;
  constexpr int kWidth = Ops::kLanes;
  Vector sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v)
      sum[r][v] = args.accumulate ? Ops::load(args.c + r * args.c_row + v * kWidth) : Ops::zero();
  const int64_t a_row = kAdjacent ? 1 : args.a_row;
  const int64_t a_step = kAdjacent ? args.a_step : 1;
  const int64_t b_row = args.b_row;
  const float* a = args.a;
  const float* b = args.b;
  for (int64_t k = args.depth; k > 0; --k, a += a_step, b += b_row) {
    Vector right[kVectors];
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) right[v] = Ops::load(b + v * kWidth);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const Vector left = Ops::spread(a + r * a_row);
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v) sum[r][v] = Ops::multiply_add(left, right[v], sum[r][v]);
    }
  }
  if (args.maximum != nullptr) {
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) {
      Vector highest = Ops::load(args.maximum + v * kWidth);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) highest = Ops::max(sum[r][v], highest);
      Ops::store(args.maximum + v * kWidth, highest);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) Ops::store(args.c + r * args.c_row + v * kWidth, sum[r][v]);
}

template <class Ops, bool kAdjacent, int kVectors, int... kRowIndex>
AttentionTile attention_tile_of_rows(int rows, std::integer_sequence<int, kRowIndex...>) {
  static constexpr AttentionTile kTiles[] = {
      attention_tile<Ops, kAdjacent, kRowIndex + 1, kVectors>...};
  return kTiles[rows - 1];
}

template <class Ops, int kMaxRows, int kVectors>
AttentionTile find_attention_tile(const AttentionTileShape& shape) {
  constexpr std::make_integer_sequence<int, kMaxRows> kRows;
  return shape.adjacent ? attention_tile_of_rows<Ops, true, kVectors>(shape.rows, kRows)
                        : attention_tile_of_rows<Ops, false, kVectors>(shape.rows, kRows);
}
