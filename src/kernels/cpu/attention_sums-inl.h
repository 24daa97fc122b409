// Gradients of what many sequences share: of the bias, of norms and angles, of padding.
//
// A task sums them for one head over a chunk of the batch; the chunks' sums are joined in order.
// How many chunks there are follows from the shape alone, so no bit depends on the threads, and few
// heads keep many of them busy.
//
// Per-target code: included once for each instruction set.
#include <algorithm>
#include <vector>

#include "hwy/highway.h"

#if defined(VITRAIL_ATTENTION_SUMS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRAIL_ATTENTION_SUMS_INL_H_
#undef VITRAIL_ATTENTION_SUMS_INL_H_
#else
#define VITRAIL_ATTENTION_SUMS_INL_H_
#endif

#include "kernels/cpu/attention_bias-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

// One sum of a task, [rows, columns], and where it goes.
struct SumField {
  float* target = nullptr;                                     // null: not wanted
  int64_t head_stride = 0, row_stride = 0, column_stride = 0;  // of the target
  int64_t rows = 1, columns = 0;
  int64_t own_row = 0;  // floats of a row of the sum
  int64_t offset = 0;   // among the task's sums

  float* in(float* sums) const { return target == nullptr ? nullptr : sums + offset; }
};

class GradientSums {
 public:
  SumField dense, by_key, table, slope;
  SumField decomposed_rows, decomposed_columns;
  SumField q_weight, q_bias, q_gain, q_angles, k_weight, k_bias, k_gain, k_angles;
  SumField q_padding, k_padding, v_padding;

  GradientSums(const AttentionArgs& args, const AttentionBackward& grad) : shape_(args.shape) {
    const AttentionShape& s = args.shape;
    const AttentionBias& bias = args.bias;
    if (bias.stride[0] == 0)
      place(dense, {.target = grad.bias.dense,
                    .head_stride = bias.stride[1],
                    .row_stride = bias.stride[2],
                    .column_stride = bias.stride[3],
                    .rows = bias.stride[2] == 0 ? 1 : s.queries,
                    .columns = bias.stride[3] == 0 ? 1 : s.keys});
    if (bias.key_stride[0] == 0)
      place(by_key, {.target = grad.bias.by_key,
                     .head_stride = bias.key_stride[1],
                     .column_stride = bias.key_stride[2],
                     .columns = bias.key_stride[2] == 0 ? 1 : s.keys});
    place(table, {.target = grad.bias.table,
                  .head_stride = 1,
                  .column_stride = s.heads,
                  .columns = bias.table.entries});
    place(slope, {.target = grad.bias.slopes, .head_stride = 1, .columns = 1});
    const DecomposedTables& d = bias.decomposed;
    const auto decomposed = [&](float* target, int64_t rows) {
      return SumField{.target = target,
                      .row_stride = s.head_dim,
                      .column_stride = 1,
                      .rows = rows,
                      .columns = s.head_dim,
                      .own_row = RoundUp(s.head_dim, kLanes)};
    };
    place(decomposed_rows, decomposed(grad.bias.decomposed_rows, d.row_entries()));
    place(decomposed_columns, decomposed(grad.bias.decomposed_columns, 2 * d.width - 1));
    place_transform(grad.q_transform, args.q_transform, s.queries,
                    {&q_weight, &q_bias, &q_gain, &q_angles});
    place_transform(grad.k_transform, args.k_transform, s.keys,
                    {&k_weight, &k_bias, &k_gain, &k_angles});
    const auto padding = [&](SumField& field, const HeadView& view, int64_t columns) {
      place(field, {.target = view.padding,
                    .head_stride = view.stride[1],
                    .column_stride = 1,
                    .columns = columns});
    };
    padding(q_padding, grad.dq, s.head_dim);
    padding(k_padding, grad.dk, s.head_dim);
    padding(v_padding, grad.dv, s.value_dim());
    constexpr int64_t kTasks = 64, kMostFloats = int64_t{1} << 24;
    const int64_t most = floats_ == 0 ? kTasks : kMostFloats / floats_;
    const int64_t wanted = std::min((kTasks + s.heads - 1) / s.heads, most / s.heads);
    chunks_ = std::clamp<int64_t>(wanted, 1, std::max<int64_t>(1, s.batch));
  }

  GradientSums(const GradientSums&) = delete;  // fields_ points into it
  GradientSums& operator=(const GradientSums&) = delete;

  int64_t floats() const { return floats_; }  // of a task
  int64_t chunks() const { return chunks_; }
  int64_t begin(int64_t chunk) const { return shape_.batch * chunk / chunks_; }

  HeadTransformGradient of_queries(float* sums) const {
    return {q_weight.in(sums), q_bias.in(sums), q_gain.in(sums), q_angles.in(sums)};
  }
  HeadTransformGradient of_keys(float* sums) const {
    return {k_weight.in(sums), k_bias.in(sums), k_gain.in(sums), k_angles.in(sums)};
  }

  // Adds sums [chunks, H, floats] to their targets, heads and chunks in order.
  void join(Queue& queue, const float* sums) const {
    for (const SumField* field : fields_)
      queue.pool().parallel_ranges(field->rows, 1 + 4096 / std::max<int64_t>(1, field->columns),
                                   [&](int64_t begin, int64_t end) {
                                     for (int64_t r = begin; r < end; ++r)
                                       join_row(*field, r, sums);
                                   });
  }

 private:
  void place(SumField& field, SumField described) {
    if (described.target == nullptr) return;
    field = described;
    if (field.own_row == 0) field.own_row = field.columns;
    field.offset = floats_;
    floats_ += RoundUp(field.rows * field.own_row, 16);
    fields_.push_back(&field);
  }
  void place_transform(const HeadTransformGradient& grad, const HeadTransform& transform,
                       int64_t tokens, const std::array<SumField*, 4>& to) {
    const int64_t dim = shape_.head_dim;
    place(*to[0], {.target = grad.weight, .column_stride = 1, .columns = dim});
    place(*to[1], {.target = grad.bias, .column_stride = 1, .columns = dim});
    place(*to[2], {.target = grad.gain, .head_stride = 1, .columns = 1});
    place(*to[3], {.target = grad.angles,
                   .head_stride = transform.rotary.head_stride,
                   .row_stride = dim / 2,
                   .column_stride = 1,
                   .rows = tokens - transform.rotary.prefix,
                   .columns = dim / 2});
  }
  void join_row(const SumField& field, int64_t r, const float* sums) const {
    for (int64_t h = 0; h < shape_.heads; ++h)
      for (int64_t chunk = 0; chunk < chunks_; ++chunk) {
        const float* from =
            sums + (chunk * shape_.heads + h) * floats_ + field.offset + r * field.own_row;
        float* to = field.target + h * field.head_stride + r * field.row_stride;
        for (int64_t c = 0; c < field.columns; ++c) to[c * field.column_stride] += from[c];
      }
  }

  AttentionShape shape_;
  int64_t floats_ = 0, chunks_ = 1;
  std::vector<const SumField*> fields_;
};

// Where dS of the blocks of one task goes.
class BiasGradient {
 public:
  BiasGradient(const AttentionArgs& args, const AttentionBackward& grad, const GradientSums& fields)
      : args_(args), grad_(grad), fields_(fields) {
    shares_ = fields.dense.target != nullptr || fields.by_key.target != nullptr ||
              fields.table.target != nullptr || fields.slope.target != nullptr;
  }

  // Floats for dS of one head, summed over a task's sequences before it is given to the terms.
  // 0: each block is given to them at once, where that would be large.
  static int64_t gathered_floats(const AttentionArgs& args) {
    const int64_t panels = (args.shape.queries + kQueryPanel - 1) / kQueryPanel;
    const int64_t floats = panels * args.shape.keys * kQueryPanel;
    constexpr int64_t kMostFloats = int64_t{1} << 18;  // 1 MB: all of it stays in L2
    return floats <= kMostFloats ? floats : 0;
  }

  // ds [keys, kQueryPanel] of a block. `gathered`: null, or what gathered_floats() measures, zeros
  // at first.
  void add(const Block& block, const float* ds, float* sums, float* gathered) const {
    const AttentionBias& bias = args_.bias;
    if (grad_.bias.dense != nullptr && bias.stride[0] != 0)
      add_dense(block, ds, grad_.bias.dense + block.b * bias.stride[0] + block.h * bias.stride[1],
                {bias.stride[2], bias.stride[3]});
    if (grad_.bias.by_key != nullptr && bias.key_stride[0] != 0)
      add_dense(block, ds,
                grad_.bias.by_key + block.b * bias.key_stride[0] + block.h * bias.key_stride[1],
                {0, bias.key_stride[2]});
    if (!shares_) return;
    if (gathered == nullptr) return give(block, ds, sums);
    float* to = gathered + (block.query / kQueryPanel * args_.shape.keys + block.key) * kQueryPanel;
    Transform(
        FloatTag(), to, block.keys * kQueryPanel,
        [](auto a, auto b) HWY_ATTR { return hn::Add(a, b); }, to, ds);
  }

  // What was gathered of head h, to the terms' sums.
  void give_gathered(int64_t h, const float* gathered, float* sums) const {
    const AttentionShape& s = args_.shape;
    if (!shares_ || gathered == nullptr) return;
    for (int64_t query = 0; query < s.queries; query += kQueryPanel)
      give({.b = 0,
            .h = h,
            .query = query,
            .queries = std::min(kQueryPanel, s.queries - query),
            .key = 0,
            .keys = s.keys},
           gathered + query * s.keys, sums);
  }

 private:
  struct Strides {
    int64_t query, key;
  };
  static void add_dense(const Block& block, const float* ds, float* to, Strides stride) {
    for (int64_t j = 0; j < block.keys; ++j)
      for (int64_t c = 0; c < block.queries; ++c)
        to[(block.query + c) * stride.query + (block.key + j) * stride.key] +=
            ds[j * kQueryPanel + c];
  }

  void give(const Block& block, const float* ds, float* sums) const {
    const int64_t keys = args_.shape.keys;
    const auto of_sum = [](const SumField& field) {
      return Strides{field.row_stride == 0 ? 0 : field.own_row, field.column_stride == 0 ? 0 : 1};
    };
    if (float* dense = fields_.dense.in(sums)) add_dense(block, ds, dense, of_sum(fields_.dense));
    if (float* by_key = fields_.by_key.in(sums))
      add_dense(block, ds, by_key, of_sum(fields_.by_key));
    float* table = fields_.table.in(sums);
    float* slope = fields_.slope.in(sums);
    for (int64_t j = 0; j < block.keys && (table != nullptr || slope != nullptr); ++j)
      for (int64_t c = 0; c < block.queries; ++c) {
        const float value = ds[j * kQueryPanel + c];
        const int64_t query = block.query + c, key = block.key + j;
        if (table != nullptr) {
          const int64_t entry = args_.bias.table.entry(query, key, keys);
          if (entry >= 0) table[entry] += value;
        }
        if (slope != nullptr) *slope -= value * DistanceOf(args_.bias.distance, query, key);
      }
  }

  const AttentionArgs& args_;
  const AttentionBackward& grad_;
  const GradientSums& fields_;
  bool shares_ = false;
};

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
