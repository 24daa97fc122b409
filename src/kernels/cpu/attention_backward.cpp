// Backward attention: P is recomputed from q, k and the saved log-sum-exp, block by block.
//
// With D_i = sum(dO_i * O_i):  dV = P^T dO,  dP = dO V^T,  dS = P * (dP - D),
// dQ = scale * dS K,  dK = scale * dS^T Q,  dbias = dS                      (Dao et al. 2022, B.4)
//
// dQ and dK then go back through the transforms, and dS to the terms of the bias.
#include <algorithm>

#include "kernels/attention.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_backward.cpp"
#include "hwy/foreach_target.h"
// Highway's order: per-target headers come after foreach_target.
#include "kernels/cpu/attention_softmax_backward-inl.h"
#include "kernels/cpu/attention_sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

// What a thread needs besides, for what is not the plain case: all of it may be empty.
struct TermScratch {
  float* fetched;                     // keys or values that are not read in place
  float *q_rows, *o_rows, *d_o_rows;  // and rows of a panel
  float *row, *scratch_row, *gradient_row;
  float *decomposed, *d_decomposed;  // terms of rows and columns, and their gradient
  float* products;                   // of q with the tables, then their gradient
  float *q_columns, *q_floats;       // [d, kQueryPanel] and [kQueryPanel, width] in floats
  float* gathered;                   // dS of a head, summed over sequences

  // Returns the floats used; base may be null to measure.
  int64_t carve(const AttentionArgs& args, bool gathers, float* base) {
    Carver memory{base};
    const AttentionShape& s = args.shape;
    const bool fetches = !ReadsInPlace(args), decomposes = args.bias.decomposed.rows != nullptr;
    memory.take(fetched, FetchedFloats(args));
    const int64_t widest = std::max(s.head_dim, s.value_dim());
    for (float** rows : {&q_rows, &o_rows, &d_o_rows})
      memory.take(*rows, fetches ? kQueryPanel * widest : 0);
    for (float** one : {&row, &scratch_row, &gradient_row}) memory.take(*one, fetches ? widest : 0);
    memory.take(decomposed, DecomposedTermFloats(args));
    memory.take(d_decomposed, DecomposedTermFloats(args));
    memory.take(products, DecomposedProductFloats(args));
    memory.take(q_columns, decomposes ? s.head_dim * kQueryPanel : 0);
    memory.take(q_floats, decomposes ? RoundUp(s.head_dim, kLanes) * kQueryPanel : 0);
    memory.take(gathered, gathers ? BiasGradient::gathered_floats(args) : 0);
    return memory.used;
  }
};

int64_t BackwardFloats(const AttentionShape& shape) {
  HeadScratch scratch;
  int64_t floats = 0;
  for (const Precision precision : {Precision::f32, Precision::bf16})
    floats = std::max(floats, scratch.carve(shape, ArithmeticOf(precision), nullptr));
  return floats;
}

// What all tasks of a call read.
struct BackwardCall {
  const AttentionArgs& args;
  const AttentionBackward& grad;
  const Arithmetic arithmetic = ArithmeticOf(args.precision);
  const BiasTerms bias;
  const GradientSums fields{args, grad};
  const BiasGradient bias_gradient{args, grad, fields};
  const bool reads_in_place = ReadsInPlace(args);
  const bool decomposes = args.bias.decomposed.rows != nullptr;
  const bool wants_ds = grad.bias.wanted() || decomposes;
};

class HeadBackward {
 public:
  HeadBackward(const BackwardCall& call, const HeadScratch& scratch, const TermScratch& terms)
      : call_(call),
        args_(call.args),
        grad_(call.grad),
        arithmetic_(call.arithmetic),
        s_(scratch),
        terms_(terms) {}

  // `sums`: of head h, for what sequences share; `gathered`: dS over sequences, or null.
  void run(int64_t b, int64_t h, float* sums, float* gathered, RowsAhead* ahead) const {
    const AttentionShape& shape = args_.shape;
    const RowView k = FetchKeys(args_, b, h, terms_.fetched);
    PackRows(arithmetic_, k, s_.k_rows);
    if (s_.k_pairs != s_.k_rows) PackRowPairs(arithmetic_, k, s_.k_pairs);
    PackRows(arithmetic_, FetchValues(args_, b, h, terms_.fetched), s_.v_rows);
    std::fill_n(s_.dk, shape.keys * s_.width, 0.0f);
    std::fill_n(s_.dv, shape.keys * s_.value_width, 0.0f);
    Block block{.b = b, .h = h};
    for (; block.query < shape.queries; block.query += kQueryPanel) {
      block.queries = std::min(kQueryPanel, shape.queries - block.query);
      start_panel(block);
      const int64_t step = KeyBlock(shape.keys);
      for (block.key = 0; block.key < shape.keys; block.key += step) {
        block.keys = std::min(step, shape.keys - block.key);
        score(block, ahead);
        if (call_.wants_ds) share_ds(block, sums, gathered);
        accumulate(block, ahead);
      }
      if (shape.keys == 0) std::fill_n(s_.dq, block.queries * s_.width, 0.0f);
      finish_panel(block, sums);
    }
    const HeadTransformGradient k_sums = call_.fields.of_keys(sums);
    copy_scaled({.values = s_.dk,
                 .dim = shape.head_dim,
                 .factor = args_.scale,
                 .read = KeyRows(args_, args_.k, b, h),
                 .write = KeyRows(args_, grad_.dk, b, h),
                 .transform = &args_.k_transform,
                 .transform_sums = &k_sums,
                 .padding = call_.fields.k_padding.in(sums)},
                h, {.count = shape.keys});
    copy_scaled({.values = s_.dv,
                 .dim = shape.value_dim(),
                 .factor = 1,
                 .read = KeyRows(args_, args_.v, b, h),
                 .write = KeyRows(args_, grad_.dv, b, h),
                 .padding = call_.fields.v_padding.in(sums)},
                h, {.count = shape.keys});
  }

 private:
  // Gradients of rows as they were multiplied, on their way to memory.
  struct Outgoing {
    const float* values;  // [tokens, RoundUp(dim, kLanes)]
    int64_t dim;
    float factor;
    HeadRows read, write;
    const HeadTransform* transform = nullptr;  // null: none
    const HeadTransformGradient* transform_sums = nullptr;
    float* padding = nullptr;  // null: what padding gets is dropped
  };
  void copy_scaled(const Outgoing& out, int64_t h, const Lanes& lanes) const {
    const int64_t dim = out.dim, width = RoundUp(dim, kLanes);
    const bool transforms = out.transform != nullptr && out.transform->present();
    for (int64_t r = 0; r < lanes.count; ++r) {
      const int64_t n = lanes[r];
      float* to = out.write.row(n);
      if (to != nullptr && !transforms) {
        CopyScaled(out.values + r * width, dim, out.factor, to);
        continue;
      }
      float* gradient = terms_.gradient_row;
      CopyScaled(out.values + r * width, dim, out.factor, gradient);
      if (transforms) {
        out.read.read(n, dim, terms_.row);
        TransformBackward(*out.transform, h, n, dim, *out.transform_sums, terms_.row,
                          terms_.scratch_row, gradient);
      }
      if (to != nullptr)
        std::copy_n(gradient, dim, to);
      else if (out.padding != nullptr)
        for (int64_t i = 0; i < dim; ++i) out.padding[i] += gradient[i];
    }
  }

  void start_panel(const Block& block) const {
    const AttentionShape& shape = args_.shape;
    const Lanes lanes{block.query, block.queries};
    const auto rows = [&](const HeadView& view, float* memory) {
      return FetchRows(QueryRows(args_, view, block.b, block.h), {}, block.h, lanes,
                       shape.value_dim(), memory);
    };
    const RowView q = FetchQueries(args_, block.b, block.h, lanes, terms_.q_rows);
    const RowView o = rows(grad_.o, terms_.o_rows), d_o = rows(grad_.d_o, terms_.d_o_rows);
    PackColumns(arithmetic_, q, s_.scores, s_.q_columns);
    PackColumns(arithmetic_, d_o, s_.scores, s_.d_o_columns);
    PackRowPairs(arithmetic_, q, s_.q_pairs);
    PackRowPairs(arithmetic_, d_o, s_.d_o_pairs);
    if (call_.decomposes) {
      PackColumns({}, q, s_.scores, terms_.q_columns);
      PackRows({}, q, terms_.q_floats);
      call_.bias.decomposed_terms(terms_.q_columns, lanes, terms_.products, terms_.decomposed);
      std::fill_n(terms_.d_decomposed, DecomposedTermFloats(args_), 0.0f);
    }
    const float* lse = grad_.lse + (block.b * shape.heads + block.h) * shape.queries + block.query;
    for (int64_t r = 0; r < kQueryPanel; ++r) {
      const bool seen = r < block.queries && lse[r] != -std::numeric_limits<float>::infinity();
      s_.shift[r] = seen ? lse[r] * kLog2E : 0.0f;
      s_.delta[r] = 0;
      if (!seen) continue;
      const FloatTag d;
      auto sum = hn::Zero(d);
      const int64_t dim = shape.value_dim();
      for (int64_t i = 0; i < dim; i += kLanes)
        sum = hn::MulAdd(LoadPart(o.data + r * o.stride + i, dim - i),
                         LoadPart(d_o.data + r * d_o.stride + i, dim - i), sum);
      s_.delta[r] = hn::GetLane(hn::SumOfLanes(d, sum));
    }
  }

  // dS of the block, which lies in s_.tile, to the terms of the bias.
  void share_ds(const Block& block, float* sums, float* gathered) const {
    if (grad_.bias.wanted()) call_.bias_gradient.add(block, s_.tile, sums, gathered);
    if (!call_.decomposes) return;
    const FloatTag d;
    const DecomposedTables& positions = args_.bias.decomposed;
    for (int64_t j = 0; j < block.keys; ++j) {
      const int64_t key = block.key + j;
      float* row = terms_.d_decomposed + key / positions.width * kQueryPanel;
      float* column =
          terms_.d_decomposed + (positions.height + key % positions.width) * kQueryPanel;
      for (int64_t c = 0; c < kQueryPanel; c += kLanes) {
        const auto ds = hn::LoadU(d, s_.tile + j * kQueryPanel + c);
        hn::StoreU(hn::Add(hn::LoadU(d, row + c), ds), d, row + c);
        hn::StoreU(hn::Add(hn::LoadU(d, column + c), ds), d, column + c);
      }
    }
  }

  void finish_panel(const Block& block, float* sums) const {
    const Lanes lanes{block.query, block.queries};
    float factor = args_.scale;
    if (call_.decomposes) {
      for (int64_t r = 0; r < block.queries; ++r)
        CopyScaled(s_.dq + r * s_.width, s_.width, factor, s_.dq + r * s_.width);
      factor = 1;
      add_decomposed(lanes, sums);
    }
    const HeadTransformGradient q_sums = call_.fields.of_queries(sums);
    copy_scaled({.values = s_.dq,
                 .dim = args_.shape.head_dim,
                 .factor = factor,
                 .read = QueryRows(args_, args_.q, block.b, block.h),
                 .write = QueryRows(args_, grad_.dq, block.b, block.h),
                 .transform = &args_.q_transform,
                 .transform_sums = &q_sums,
                 .padding = call_.fields.q_padding.in(sums)},
                block.h, lanes);
  }

  // dq += d_products^T tables, and d_tables += d_products q.
  void add_decomposed(const Lanes& lanes, float* sums) const {
    const DecomposedTables& positions = args_.bias.decomposed;
    const int64_t dim = args_.shape.head_dim, width = s_.width;
    std::fill_n(terms_.products, DecomposedProductFloats(args_), 0.0f);
    call_.bias.for_each_entry(lanes, [&](int64_t term, int64_t entry) {
      terms_.products[entry] = terms_.d_decomposed[term];
    });
    Multiply({}, lanes.count, dim,
             {.depth = positions.entries(),
              .a = terms_.products,
              .a_row = 1,
              .a_step = kQueryPanel,
              .b = call_.bias.decomposed_tables(),
              .b_row = width,
              .c = s_.dq,
              .c_row = width,
              .accumulate = true});
    const auto add_table = [&](const SumField& field, const float* products) {
      if (field.target == nullptr) return;
      Multiply({}, field.rows, dim,
               {.depth = lanes.count,
                .a = products,
                .a_row = kQueryPanel,
                .a_step = 1,
                .b = terms_.q_floats,
                .b_row = width,
                .c = field.in(sums),
                .c_row = width,
                .accumulate = true});
    };
    add_table(call_.fields.decomposed_rows, terms_.products);
    add_table(call_.fields.decomposed_columns,
              terms_.products + positions.row_entries() * kQueryPanel);
  }

  // S and dP of the block, then P and dS.
  void score(const Block& block, RowsAhead* ahead) const {
    const int64_t row_units = arithmetic_.row_units(args_.shape.head_dim);
    AttentionTileArgs tile{.depth = arithmetic_.units(args_.shape.head_dim),
                           .a = s_.k_rows + block.key * row_units,
                           .a_row = row_units,
                           .a_step = 1,
                           .b = s_.q_columns,
                           .b_row = kQueryPanel,
                           .c = s_.scores,
                           .c_row = kQueryPanel};
    Multiply(arithmetic_, block.keys, block.queries, tile, ahead);
    const int64_t value_units = arithmetic_.row_units(args_.shape.value_dim());
    tile.depth = arithmetic_.units(args_.shape.value_dim());
    tile.a = s_.v_rows + block.key * value_units;
    tile.a_row = value_units;
    tile.b = s_.d_o_columns;
    tile.c = s_.gradient;
    Multiply(arithmetic_, block.keys, block.queries, tile, ahead);
    if (!ScalesLate(args_))
      FinishScores(args_, block, call_.bias.of_block(block, terms_.decomposed, s_.tile), s_.scores,
                   nullptr);
    if (args_.dropout.probability > 0) DropoutFactors(args_, block, s_.dropout);
    WithPacking(arithmetic_.packing, [&](auto packing) HWY_ATTR {
      ForEachVector(block.queries, [&](auto d, int64_t column) HWY_ATTR {
        SoftmaxBackward<packing()>(d, args_, block, column, call_.wants_ds, s_);
      });
    });
  }

  void accumulate(const Block& block, RowsAhead* ahead) const {
    const int64_t dim = args_.shape.head_dim, width = s_.width;
    Multiply(arithmetic_, block.queries, dim,
             {.depth = arithmetic_.units(block.keys),
              .a = s_.gradient,
              .a_row = 1,
              .a_step = kQueryPanel,
              .b = s_.k_pairs + arithmetic_.units(block.key) * width,
              .b_row = width,
              .c = s_.dq,
              .c_row = width,
              .accumulate = block.key > 0},
             ahead);
    AttentionTileArgs by_key{.depth = arithmetic_.units(block.queries),
                             .a = s_.weights,
                             .a_row = kQueryPanel / arithmetic_.group(),
                             .a_step = 1,
                             .b = s_.d_o_pairs,
                             .b_row = s_.value_width,
                             .c = s_.dv + block.key * s_.value_width,
                             .c_row = s_.value_width,
                             .accumulate = true};
    Multiply(arithmetic_, block.keys, args_.shape.value_dim(), by_key, ahead);
    by_key.a = s_.ds_rows;
    by_key.b = s_.q_pairs;
    by_key.b_row = by_key.c_row = width;
    by_key.c = s_.dk + block.key * width;
    Multiply(arithmetic_, block.keys, dim, by_key, ahead);
  }

  const BackwardCall& call_;
  const AttentionArgs& args_;
  const AttentionBackward& grad_;
  const Arithmetic& arithmetic_;
  const HeadScratch& s_;
  const TermScratch& terms_;
};

// What is ahead of (b, h): its operands, and the gradients that will be written.
RowsAhead AheadOf(const AttentionArgs& args, const AttentionBackward& grad, int64_t b, int64_t h) {
  const AttentionShape& s = args.shape;
  const int64_t dim = s.head_dim, value = s.value_dim();
  if (!ReadsInPlace(args)) return {};  // a window's rows are not one behind the other
  return {.views = {RowsOf(args.q, b, h, s.queries, dim), RowsOf(args.k, b, h, s.keys, dim),
                    RowsOf(args.v, b, h, s.keys, value), RowsOf(grad.o, b, h, s.queries, value),
                    RowsOf(grad.d_o, b, h, s.queries, value), RowsOf(grad.dq, b, h, s.queries, dim),
                    RowsOf(grad.dk, b, h, s.keys, dim), RowsOf(grad.dv, b, h, s.keys, value)},
          .rows_per_tile = 1};
}

// Memory of one thread, and the kernel over it.
struct BackwardWorker {
  HeadScratch scratch;
  TermScratch terms;
  HeadBackward head;

  BackwardWorker(const BackwardCall& call, float* base, float* terms_base, bool gathers)
      : head(call, scratch, terms) {
    scratch.carve(call.args.shape, call.arithmetic, base);
    terms.carve(call.args, gathers, terms_base);
  }
  BackwardWorker(const BackwardWorker&) = delete;  // `head` refers to its neighbours
  BackwardWorker& operator=(const BackwardWorker&) = delete;
};

// Heads one by one, in any order: they share nothing but what is their own to write.
void RunApart(Queue& queue, const BackwardCall& call,
              const FunctionRef<BackwardWorker(int)>& worker_of) {
  const AttentionShape& shape = call.args.shape;
  const int64_t heads = shape.batch * shape.heads;
  constexpr int64_t kTasksPerThread = 12;
  const int64_t step = std::max<int64_t>(1, heads / (kTasksPerThread * queue.pool().num_threads()));
  queue.pool().parallel_for((heads + step - 1) / step, [&](int64_t task, int worker) {
    const BackwardWorker thread = worker_of(worker);
    const int64_t end = std::min(heads, (task + 1) * step);
    for (int64_t i = task * step; i < end; ++i) {
      RowsAhead ahead;
      if (i + 1 < end)
        ahead = AheadOf(call.args, call.grad, (i + 1) / shape.heads, (i + 1) % shape.heads);
      thread.head.run(i / shape.heads, i % shape.heads, nullptr, nullptr, &ahead);
    }
  });
}

// One head over a chunk of the batch after the other. Where heads write to the same gradient of a
// sequence's own bias, a task takes all of them.
void RunByChunks(Queue& queue, const BackwardCall& call, bool heads_together,
                 const FunctionRef<BackwardWorker(int)>& worker_of) {
  const AttentionShape& shape = call.args.shape;
  const GradientSums& fields = call.fields;
  const Tensor sums = Tensor::zeros({fields.chunks() * shape.heads, fields.floats()});
  const auto sums_of = [&](int64_t chunk, int64_t h) {
    return sums.f32() + (chunk * shape.heads + h) * fields.floats();
  };
  const int64_t head_tasks = heads_together ? 1 : shape.heads;
  const int64_t gathered_floats = heads_together ? 0 : BiasGradient::gathered_floats(call.args);
  queue.pool().parallel_for(fields.chunks() * head_tasks, [&](int64_t task, int worker) {
    const BackwardWorker thread = worker_of(worker);
    const int64_t chunk = task / head_tasks, first = task % head_tasks;
    const int64_t last = heads_together ? shape.heads : first + 1;
    float* gathered = gathered_floats == 0 ? nullptr : thread.terms.gathered;
    if (gathered != nullptr) std::fill_n(gathered, gathered_floats, 0.0f);
    for (int64_t b = fields.begin(chunk); b < fields.begin(chunk + 1); ++b)
      for (int64_t h = first; h < last; ++h)
        thread.head.run(b, h, sums_of(chunk, h), gathered, nullptr);
    call.bias_gradient.give_gathered(first, gathered, sums_of(chunk, first));
  });
  fields.join(queue, sums.f32());
}

void Backward(Queue& queue, const AttentionArgs& args, const AttentionBackward& grad,
              float* workspace) {
  const BackwardCall call{args, grad, ArithmeticOf(args.precision), BiasTerms(queue, args)};
  const AttentionBias& bias = args.bias;
  const auto meets = [](const float* wanted, int64_t batch_stride, int64_t head_stride) {
    return wanted != nullptr && batch_stride != 0 && head_stride == 0;
  };
  const bool heads_together = meets(grad.bias.dense, bias.stride[0], bias.stride[1]) ||
                              meets(grad.bias.by_key, bias.key_stride[0], bias.key_stride[1]);
  const bool by_chunks = call.fields.floats() > 0 || heads_together;
  TermScratch measure;
  const int64_t per_thread = BackwardFloats(args.shape);
  const int64_t term_floats = measure.carve(args, by_chunks, nullptr);
  const Tensor terms = Tensor::empty({queue.pool().num_threads(), term_floats});
  const auto worker_of = [&](int worker) {
    return BackwardWorker(call, workspace + worker * per_thread, terms.f32() + worker * term_floats,
                          by_chunks);
  };
  if (by_chunks)
    RunByChunks(queue, call, heads_together, worker_of);
  else
    RunApart(queue, call, worker_of);
}

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vitrail::kernels {

HWY_EXPORT(BackwardFloats);
HWY_EXPORT(Backward);

int64_t attention_backward_workspace(Queue& queue, const AttentionShape& shape) {
  return queue.pool().num_threads() * VITRAIL_DISPATCH(BackwardFloats)(shape) *
         static_cast<int64_t>(sizeof(float));
}

void attention_backward(Queue& queue, const AttentionArgs& args, const AttentionBackward& grad,
                        void* workspace) {
  VITRAIL_DISPATCH(Backward)(queue, args, grad, static_cast<float*>(workspace));
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
