#include "bench/kernels/gemm_case.h"
#include "kernels/gemm.h"
#include "kernels/gemm_bf16.h"
#include "kernels/gemm_int8.h"

namespace vitrail::bench {
namespace {

// Keeps what a product needs alive; the packed form and the workspace differ by precision.
template <typename Packed>
struct State {
  Packed packed;
  Tensor workspace, c;
};

template <typename Packed, typename Gemm>
Product product(Queue& queue, const GemmData& data, Packed packed, int64_t workspace, Gemm gemm) {
  const GemmShape& shape = data.shape;
  auto state = std::make_shared<State<Packed>>(State<Packed>{
      std::move(packed), Tensor::empty({workspace / 4 + 16}), Tensor::empty({shape.m, shape.n})});
  const kernels::Matrix a = kernels::Matrix::row_major(data.a.data(), shape.m, shape.k);
  const kernels::GemmOutput out{
      .data = state->c.f32(), .row_stride = shape.n, .epilogue = {.bias = data.bias.data()}};
  return {.run = [=, &queue] { gemm(queue, a, state->packed, out, state->workspace.f32()); },
          .c = state->c.f32()};
}

}  // namespace

Product our_product(Queue& queue, Precision precision, const GemmData& data) {
  const GemmShape& shape = data.shape;
  const kernels::Matrix b =
      kernels::Matrix::row_major(data.w.data(), shape.n, shape.k).transposed();
  switch (precision) {
    case Precision::bf16: {
      kernels::PackedBf16 packed = kernels::pack_bf16(queue, b);
      const int64_t workspace = kernels::gemm_bf16_workspace(shape.m, packed);
      return product(queue, data, std::move(packed), workspace,
                     [](Queue& q, const kernels::Matrix& a, const kernels::PackedBf16& p,
                        const kernels::GemmOutput& c,
                        void* scratch) { kernels::gemm_bf16(q, a, p, c, scratch); });
    }
    case Precision::int8: {
      kernels::PackedInt8 packed = kernels::pack_int8(
          queue, kernels::quantize_weight(queue, data.w.data(), shape.n, shape.k));
      const int64_t workspace = kernels::gemm_int8_workspace(shape.m, packed);
      return product(queue, data, std::move(packed), workspace,
                     [](Queue& q, const kernels::Matrix& a, const kernels::PackedInt8& p,
                        const kernels::GemmOutput& c,
                        void* scratch) { kernels::gemm_int8(q, a, p, c, scratch); });
    }
    default:
      return product(queue, data, kernels::pack(queue, b), 0,
                     [](Queue& q, const kernels::Matrix& a, const kernels::PackedMatrix& p,
                        const kernels::GemmOutput& c, void*) { kernels::gemm(q, a, p, c); });
  }
}

}  // namespace vitrail::bench
