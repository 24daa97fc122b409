#include "kernels/elementwise.h"

#include "kernels/cpu/strided_loop.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/elementwise.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/vector_loop-inl.h"
#include "kernels/cpu/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {

void ScaleSpan(int64_t count, float factor, const float* x, float* out) {
  const hn::ScalableTag<float> d;
  const auto factors = hn::Set(d, factor);
  Transform(
      d, out, count, [&](auto v) { return hn::Mul(v, factors); }, x);
}

void AddSpan(int64_t count, const float* a, const float* b, float* out) {
  const hn::ScalableTag<float> d;
  Transform(
      d, out, count, [](auto u, auto v) { return hn::Add(u, v); }, a, b);
}

void MultiplySpan(int64_t count, const float* a, const float* b, float* out) {
  const hn::ScalableTag<float> d;
  Transform(
      d, out, count, [](auto u, auto v) { return hn::Mul(u, v); }, a, b);
}

void AddScaledSpan(const AddScaledArgs& args, int64_t begin, int64_t end) {
  const hn::ScalableTag<float> d;
  const auto factor = hn::Set(d, args.scale);
  Transform(
      d, args.out + begin, end - begin, [&](auto u, auto v) { return hn::MulAdd(v, factor, u); },
      args.a + begin, args.b + begin);
}

// Calls body(operation) with a function of two vectors.
template <class Body>
HWY_INLINE void WithArithmetic(Arithmetic operation, Body&& body) {
  switch (operation) {
    case Arithmetic::add:
      return body([](auto u, auto v) { return hn::Add(u, v); });
    case Arithmetic::subtract:
      return body([](auto u, auto v) { return hn::Sub(u, v); });
    case Arithmetic::multiply:
      return body([](auto u, auto v) { return hn::Mul(u, v); });
    case Arithmetic::divide:
      return body([](auto u, auto v) { return hn::Div(u, v); });
  }
}

void ArithmeticBlock(const ArithmeticArgs& args, const StridedLoop<3>::Block& block) {
  const hn::ScalableTag<float> d;
  const hn::CappedTag<float, 1> one;
  const int64_t out_step = block.inner.strides[0], count = block.inner.size;
  const int64_t a_step = block.inner.strides[1], b_step = block.inner.strides[2];
  WithArithmetic(args.operation, [&](auto combine) {
    for (int64_t i = 0; i < block.outer.size; ++i) {
      float* out = args.out.as<float>() + block.offsets[0] + i * block.outer.strides[0];
      const float* a = args.a.as<float>() + block.offsets[1] + i * block.outer.strides[1];
      const float* b = args.b.as<float>() + block.offsets[2] + i * block.outer.strides[2];
      if (out_step == 1 && a_step == 1 && b_step == 1) {
        Transform(d, out, count, combine, a, b);
      } else if (out_step == 1 && a_step == 1 && b_step == 0) {
        const auto v = hn::Set(d, *b);
        Transform(
            d, out, count, [&](auto u) { return combine(u, v); }, a);
      } else if (out_step == 1 && a_step == 0 && b_step == 1) {
        const auto u = hn::Set(d, *a);
        Transform(
            d, out, count, [&](auto v) { return combine(u, v); }, b);
      } else {
        for (int64_t j = 0; j < count; ++j)
          hn::StoreU(combine(hn::Set(one, a[j * a_step]), hn::Set(one, b[j * b_step])), one,
                     out + j * out_step);
      }
    }
  });
}

void FunctionSpan(const FunctionArgs& args, int64_t begin, int64_t end) {
  const hn::ScalableTag<float> d;
  const auto run = [&](auto function) {
    Transform(d, args.y + begin, end - begin, function, args.x + begin);
  };
  switch (args.function) {
    case Function::exp:
      return run([&](auto x) { return Exp(d, x); });
    case Function::log:
      return run([&](auto x) { return Log(d, x); });
    case Function::sqrt:
      return run([](auto x) { return hn::Sqrt(x); });
    case Function::rsqrt:
      return run([&](auto x) { return hn::Div(hn::Set(d, 1.0f), hn::Sqrt(x)); });
  }
}

void FunctionBackwardSpan(const FunctionBackwardArgs& args, int64_t begin, int64_t end) {
  const hn::ScalableTag<float> d;
  const auto half = hn::Set(d, 0.5f);
  const auto run = [&](auto derive) {
    Transform(d, args.dx + begin, end - begin, derive, args.saved + begin, args.dy + begin);
  };
  switch (args.function) {
    case Function::exp:
      return run([](auto y, auto dy) { return hn::Mul(dy, y); });
    case Function::log:
      return run([](auto x, auto dy) { return hn::Div(dy, x); });
    case Function::sqrt:
      return run([&](auto y, auto dy) { return hn::Div(hn::Mul(dy, half), y); });
    case Function::rsqrt:
      return run([&](auto y, auto dy) {
        return hn::Neg(hn::Mul(hn::Mul(dy, half), hn::Mul(y, hn::Mul(y, y))));
      });
  }
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <algorithm>
#include <cassert>

#include "kernels/cpu/chunks.h"
#include "kernels/cpu/dispatch.h"

namespace vitrail::kernels {

HWY_EXPORT(ScaleSpan);
HWY_EXPORT(AddSpan);
HWY_EXPORT(MultiplySpan);
HWY_EXPORT(AddScaledSpan);
HWY_EXPORT(ArithmeticBlock);
HWY_EXPORT(FunctionSpan);
HWY_EXPORT(FunctionBackwardSpan);

void fill(Queue& queue, int64_t count, float value, float* out) {
  queue.pool().parallel_ranges(count, kElementsPerChunk, [&](int64_t begin, int64_t end) {
    std::fill(out + begin, out + end, value);
  });
}

void scale(Queue& queue, int64_t count, float factor, const float* x, float* out) {
  queue.pool().parallel_ranges(count, kElementsPerChunk, [&](int64_t begin, int64_t end) {
    VITRAIL_DISPATCH(ScaleSpan)(end - begin, factor, x + begin, out + begin);
  });
}

void add(Queue& queue, const BinaryArgs& args) {
  queue.pool().parallel_ranges(args.count, kElementsPerChunk, [&](int64_t begin, int64_t end) {
    VITRAIL_DISPATCH(AddSpan)(end - begin, args.a + begin, args.b + begin, args.out + begin);
  });
}

void multiply(Queue& queue, const BinaryArgs& args) {
  queue.pool().parallel_ranges(args.count, kElementsPerChunk, [&](int64_t begin, int64_t end) {
    VITRAIL_DISPATCH(MultiplySpan)(end - begin, args.a + begin, args.b + begin, args.out + begin);
  });
}

void add_scaled(Queue& queue, const AddScaledArgs& args) {
  queue.pool().parallel_ranges(args.count, kElementsPerChunk, [&](int64_t begin, int64_t end) {
    VITRAIL_DISPATCH(AddScaledSpan)(args, begin, end);
  });
}

void arithmetic(Queue& queue, const ArithmeticArgs& args) {
  assert(args.a.shape == args.out.shape && args.b.shape == args.out.shape);
  const StridedLoop<3> loop({args.out, args.a, args.b});
  loop.run(queue, [&](const StridedLoop<3>::Block& block) {
    VITRAIL_DISPATCH(ArithmeticBlock)(args, block);
  });
}

void apply(Queue& queue, const FunctionArgs& args) {
  queue.pool().parallel_ranges(args.count, kElementsPerChunk, [&](int64_t begin, int64_t end) {
    VITRAIL_DISPATCH(FunctionSpan)(args, begin, end);
  });
}

void apply_backward(Queue& queue, const FunctionBackwardArgs& args) {
  queue.pool().parallel_ranges(args.count, kElementsPerChunk, [&](int64_t begin, int64_t end) {
    VITRAIL_DISPATCH(FunctionBackwardSpan)(args, begin, end);
  });
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
