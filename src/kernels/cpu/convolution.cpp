#include "kernels/convolution.h"

#include <algorithm>
#include <cassert>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/convolution.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {

void AddFloats(const float* from, int64_t count, float* to) {
  Transform(
      hn::ScalableTag<float>(), to, count, [](auto a, auto b) { return hn::Add(a, b); }, to, from);
}

// The part of one patch's line kh that lies inside the picture: `count` floats, `skip` from the
// line's beginning, and their place in the picture.
struct PatchLine {
  int64_t skip = 0, count = 0, pixel = 0;
  PatchLine(const UnfoldGeometry& g, int64_t oh, int64_t ow, int64_t kh) {
    const int64_t h = oh * g.stride_height - g.padding_height + kh;
    const int64_t left = ow * g.stride_width - g.padding_width;
    const int64_t first = std::max<int64_t>(0, -left);
    const int64_t last = std::min(g.kernel_width, g.width - left);
    if (h < 0 || h >= g.height || first >= last) return;
    skip = first * g.channels;
    count = (last - first) * g.channels;
    pixel = (h * g.width + left + first) * g.channels;
  }
};

// Calls body(row within the picture's batch, oh, ow, picture) for rows [begin, end).
template <class Body>
void ForEachRow(const UnfoldGeometry& g, int64_t begin, int64_t end, const Body& body) {
  const int64_t width = g.out_width(), pixels = g.out_height() * width;
  int64_t picture = begin / pixels, oh = begin % pixels / width, ow = begin % width;
  for (int64_t row = begin; row < end; ++row) {
    body(row - begin, picture, oh, ow);
    if (++ow < width) continue;
    ow = 0;
    if (++oh < g.out_height()) continue;
    oh = 0;
    ++picture;
  }
}

// columns [end - begin, columns()] = patches of rows [begin, end), zeros outside the picture.
void UnfoldRows(const UnfoldGeometry& g, const float* x, int64_t begin, int64_t end,
                float* columns) {
  const int64_t line = g.kernel_width * g.channels, picture_size = g.height * g.width * g.channels;
  ForEachRow(g, begin, end, [&](int64_t row, int64_t picture, int64_t oh, int64_t ow) {
    const float* pixels = x + picture * picture_size;
    float* to = columns + row * g.columns();
    for (int64_t kh = 0; kh < g.kernel_height; ++kh, to += line) {
      const PatchLine part(g, oh, ow, kh);
      if (part.count < line) std::fill_n(to, line, 0.0f);
      std::copy_n(pixels + part.pixel, part.count, to + part.skip);
    }
  });
}

// Adds the patches of rows [begin, end) of one picture to where they came from.
void FoldRows(const UnfoldGeometry& g, const float* columns, int64_t begin, int64_t end,
              float* picture) {
  const int64_t line = g.kernel_width * g.channels;
  ForEachRow(g, begin, end, [&](int64_t row, int64_t, int64_t oh, int64_t ow) {
    const float* from = columns + row * g.columns();
    for (int64_t kh = 0; kh < g.kernel_height; ++kh, from += line) {
      const PatchLine part(g, oh, ow, kh);
      if (part.count > 0) AddFloats(from + part.skip, part.count, picture + part.pixel);
    }
  });
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/dispatch.h"

namespace vitrail::kernels {
namespace {

HWY_EXPORT(AddFloats);
HWY_EXPORT(UnfoldRows);
HWY_EXPORT(FoldRows);

// Patches at a time: 256 KB stay in the second cache until the product has read them. But a product
// of fewer rows would wait for its weights.
constexpr int64_t kBlockFloats = int64_t{1} << 16;
constexpr int64_t kMinBlockRows = 64;
// Patches that all threads make together, for products whose parts are too few or too large to give
// each thread one of its own.
constexpr int64_t kSharedFloats = int64_t{1} << 22;
constexpr int64_t kSplits = 16;                             // of a weight gradient, wanted
constexpr int64_t kMinSplits = 4;                           // fewer would leave threads waiting
constexpr int64_t kPartialFloats = int64_t{1} << 21;        // of all splits together
constexpr int64_t kUnsplitFloats = kSplits * kBlockFloats;  // too little work to be split

int64_t ceil_divide(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// Whether the rows of x are the patches.
bool is_pointwise(const UnfoldGeometry& g) {
  return g.kernel_height == 1 && g.kernel_width == 1 && g.stride_height == 1 &&
         g.stride_width == 1 && g.padding_height == 0 && g.padding_width == 0;
}

// Rows of a block, `rows` in all: as even as may be.
int64_t block_rows(int64_t rows, int64_t columns, int64_t floats) {
  const int64_t most = std::max(kMinBlockRows, floats / std::max<int64_t>(1, columns));
  return ceil_divide(rows, ceil_divide(rows, most));
}

void unfold_shared(Queue& queue, const UnfoldGeometry& g, const float* x, int64_t begin,
                   int64_t end, float* columns) {
  const int64_t rows = block_rows(end - begin, g.columns(), kBlockFloats / 8);
  queue.pool().parallel_ranges(end - begin, rows, [&](int64_t from, int64_t to) {
    VITRAIL_DISPATCH(UnfoldRows)(g, x, begin + from, begin + to, columns + from * g.columns());
  });
}

// Products of one precision, with scratch memory for those of each worker.
class Products {
 public:
  // Of at most so many rows each.
  Products(Queue& queue, const ConvolutionWeight& weight, int64_t rows, int workers)
      : queue_(queue), weight_(weight) {
    if (weight.bf16 == nullptr) return;
    constexpr int64_t kLine = static_cast<int64_t>(kAlignment);
    room_ = ceil_divide(gemm_bf16_workspace(rows, *weight.bf16), kLine) * kLine;
    workspace_ = Tensor::empty({workers, room_}, DType::u8);
  }
  void run(const Matrix& a, const GemmOutput& c, int worker) const {
    if (weight_.f32 != nullptr) return gemm(queue_, a, *weight_.f32, c);
    gemm_bf16(queue_, a, *weight_.bf16, c,
              static_cast<std::byte*>(workspace_.raw()) + worker * room_);
  }

 private:
  Queue& queue_;
  const ConvolutionWeight& weight_;
  int64_t room_ = 0;
  Tensor workspace_;
};

}  // namespace

void convolution(Queue& queue, const UnfoldGeometry& geometry, const float* x,
                 const ConvolutionWeight& weight, const Epilogue& epilogue, float* y) {
  const UnfoldGeometry& g = geometry;
  const int64_t rows = g.rows(), columns = g.columns(), outputs = weight.columns();
  if (rows == 0 || outputs == 0) return;
  assert(weight.rows() == columns);
  const auto product = [&](const Products& products, const float* patches, int64_t begin,
                           int64_t end, int worker) {
    GemmOutput output{.data = y + begin * outputs, .row_stride = outputs, .epilogue = epilogue};
    if (epilogue.residual != nullptr)
      output.epilogue.residual = epilogue.residual + begin * epilogue.residual_stride;
    products.run(Matrix::row_major(patches, end - begin, columns), output, worker);
  };
  if (is_pointwise(g)) return product(Products(queue, weight, rows, 1), x, 0, rows, 0);
  const int threads = queue.pool().num_threads();
  int64_t block = block_rows(rows, columns, kBlockFloats);
  const int64_t blocks = ceil_divide(rows, block);
  if (blocks < 4 * threads) {
    block = block_rows(rows, columns, kSharedFloats);
    const Products products(queue, weight, block, 1);
    const Tensor patches = Tensor::empty({block, columns});
    for (int64_t begin = 0; begin < rows; begin += block) {
      const int64_t end = std::min(rows, begin + block);
      unfold_shared(queue, g, x, begin, end, patches.f32());
      product(products, patches.f32(), begin, end, 0);
    }
    return;
  }
  const Products products(queue, weight, block, threads);
  const Tensor patches = Tensor::empty({threads, block * columns});
  queue.pool().parallel_for(blocks, [&](int64_t i, int worker) {
    float* own = patches.f32() + worker * block * columns;
    const int64_t begin = i * block, end = std::min(rows, begin + block);
    VITRAIL_DISPATCH(UnfoldRows)(g, x, begin, end, own);
    product(products, own, begin, end, worker);
  });
}

void convolution_input_gradient(Queue& queue, const UnfoldGeometry& geometry, const float* dy,
                                const ConvolutionWeight& weight, float* dx) {
  const UnfoldGeometry& g = geometry;
  const int64_t columns = g.columns(), outputs = weight.rows();
  assert(weight.columns() == columns);
  const auto product = [&](const Products& products, int64_t begin, int64_t end, float* patches,
                           int worker) {
    products.run(Matrix::row_major(dy + begin * outputs, end - begin, outputs),
                 {.data = patches, .row_stride = columns}, worker);
  };
  if (is_pointwise(g)) return product(Products(queue, weight, g.rows(), 1), 0, g.rows(), dx, 0);
  const int threads = queue.pool().num_threads();
  const int64_t pixels = g.out_height() * g.out_width();
  const int64_t block = block_rows(pixels, columns, kBlockFloats);
  const Products products(queue, weight, block, threads);
  const Tensor patches = Tensor::empty({threads, block * columns});
  const auto run_picture = [&](int64_t picture, int worker) {
    float* own = patches.f32() + worker * block * columns;
    const int64_t size = g.height * g.width * g.channels;
    std::fill_n(dx + picture * size, size, 0.0f);
    for (int64_t begin = 0; begin < pixels; begin += block) {
      const int64_t end = std::min(pixels, begin + block);
      product(products, picture * pixels + begin, picture * pixels + end, own, worker);
      VITRAIL_DISPATCH(FoldRows)(g, own, begin, end, dx + picture * size);
    }
  };
  if (g.batch >= threads) return queue.pool().parallel_for(g.batch, run_picture);
  for (int64_t picture = 0; picture < g.batch; ++picture) run_picture(picture, 0);
}

void convolution_weight_gradient(Queue& queue, const ConvolutionWeightGradientArgs& args) {
  const UnfoldGeometry& g = args.geometry;
  const int64_t rows = g.rows(), columns = g.columns(), size = args.outputs * columns;
  // Of rows [begin, end), added to what is there but for the first ones.
  const auto product = [&](const float* patches, int64_t begin, int64_t end, bool first, float* dw,
                           float* db) {
    return WeightGradientArgs{.rows = end - begin,
                              .outputs = args.outputs,
                              .inputs = columns,
                              .dy = args.dy + begin * args.outputs,
                              .x = patches,
                              .x_stride = columns,
                              .bf16 = args.bf16,
                              .dw = {dw, !first},
                              .db = {db, !first}};
  };
  const auto run_shared = [&](const WeightGradientArgs& part) {
    const Tensor workspace = Tensor::empty({weight_gradient_workspace(queue, part)}, DType::u8);
    weight_gradient(queue, part, workspace.raw());
  };
  if (is_pointwise(g) || rows == 0)
    return run_shared(product(args.x, 0, rows, true, args.dw, args.db));

  const int64_t stride = size + args.outputs;
  const int64_t splits = std::min(kSplits, kPartialFloats / stride);
  if (splits < kMinSplits || rows * columns <= kUnsplitFloats) {
    const int64_t block = block_rows(rows, columns, kSharedFloats);
    const Tensor patches = Tensor::empty({block, columns});
    for (int64_t begin = 0; begin < rows; begin += block) {
      const int64_t end = std::min(rows, begin + block);
      unfold_shared(queue, g, args.x, begin, end, patches.f32());
      run_shared(product(patches.f32(), begin, end, begin == 0, args.dw, args.db));
    }
    return;
  }
  const int64_t split_rows = ceil_divide(rows, splits);
  const int64_t block = block_rows(split_rows, columns, kBlockFloats);
  // Blocks are of three sizes: whole ones, and the last of a split and of the last split.
  const int64_t last_rows = rows - (rows - 1) / split_rows * split_rows;
  int64_t room = 0;
  for (const int64_t count : {block, (split_rows - 1) % block + 1, (last_rows - 1) % block + 1})
    room = std::max(
        room, weight_gradient_workspace(queue, product(nullptr, 0, count, true, args.dw, args.db)));
  const int threads = queue.pool().num_threads();
  const Tensor workspace = Tensor::empty({threads, room}, DType::u8);
  const Tensor patches = Tensor::empty({threads, block * columns});
  const Tensor partial = Tensor::empty({splits, stride});
  queue.pool().parallel_for(ceil_divide(rows, split_rows), [&](int64_t split, int worker) {
    float* own = patches.f32() + worker * block * columns;
    float* dw = partial.f32() + split * stride;
    float* db = args.db == nullptr ? nullptr : dw + size;
    const int64_t first = split * split_rows, last = std::min(rows, first + split_rows);
    for (int64_t begin = first; begin < last; begin += block) {
      const int64_t end = std::min(last, begin + block);
      VITRAIL_DISPATCH(UnfoldRows)(g, args.x, begin, end, own);
      weight_gradient(queue, product(own, begin, end, begin == first, dw, db),
                      static_cast<std::byte*>(workspace.raw()) + worker * room);
    }
  });
  const auto join = [&](int64_t offset, int64_t count, float* out) {
    const float* from = partial.f32() + offset;
    std::copy_n(from, count, out);
    for (int64_t split = 1; split * split_rows < rows; ++split)
      VITRAIL_DISPATCH(AddFloats)(from + split * stride, count, out);
  };
  join(0, size, args.dw);
  if (args.db != nullptr) join(size, args.outputs, args.db);
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
