#include "ops/packed_weight.h"

#include "kernels/isa.h"

namespace vitrail {
namespace {

using kernels::Matrix;
using kernels::PackedBf16;
using kernels::PackedInt8;
using kernels::PackedMatrix;

Matrix matrix_of(const Tensor& value, const Parameter& weight) {
  return Matrix::row_major(value.f32(), weight.shape()[0], input_size(weight));
}

}  // namespace

int64_t input_size(const Parameter& weight) {
  return weight.shape()[0] == 0 ? 0 : weight.shape().numel() / weight.shape()[0];
}

std::shared_ptr<const PackedMatrix> packed_f32(Queue& queue, const Parameter& weight) {
  return weight.derived<PackedMatrix>(
      "packed.f32." + kernels::active_isa(), [&](const Tensor& value) {
        return kernels::pack(queue, matrix_of(value, weight).transposed());
      });
}

std::shared_ptr<const PackedBf16> packed_bf16(Queue& queue, const Parameter& weight) {
  return weight.derived<PackedBf16>(
      "packed.bf16." + kernels::active_isa(), [&](const Tensor& value) {
        return kernels::pack_bf16(queue, matrix_of(value, weight).transposed());
      });
}

std::shared_ptr<const PackedInt8> packed_int8(Queue& queue, const Parameter& weight) {
  return weight.derived<PackedInt8>("packed.int8." + kernels::active_isa(), [&] {
    if (const kernels::QuantizedWeight* stored = weight.quantized())
      return kernels::pack_int8(queue, *stored);
    return kernels::pack_int8(
        queue, kernels::quantize_weight(queue, weight.value().f32(), weight.shape()[0],
                                        input_size(weight)));
  });
}

std::shared_ptr<const PackedMatrix> packed_f32_backward(Queue& queue, const Parameter& weight) {
  return weight.derived<PackedMatrix>(
      "packed.f32.backward." + kernels::active_isa(),
      [&](const Tensor& value) { return kernels::pack(queue, matrix_of(value, weight)); });
}

std::shared_ptr<const PackedBf16> packed_bf16_backward(Queue& queue, const Parameter& weight) {
  return weight.derived<PackedBf16>(
      "packed.bf16.backward." + kernels::active_isa(),
      [&](const Tensor& value) { return kernels::pack_bf16(queue, matrix_of(value, weight)); });
}

}  // namespace vitrail
