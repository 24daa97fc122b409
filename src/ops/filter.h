// The forms of a convolution's filter that its products read, built once per version of the weight
// and instruction set. For convolution and its adjoint.
#pragma once

#include <memory>

#include "autograd/parameter.h"
#include "kernels/convolution.h"

namespace vitrail {

// A weight [O, C, kh, kw] with its channels behind the taps, through its strides: [O, kh, kw, C].
View channels_last(const Tensor& weight);

class PackedFilter {
 public:
  // [kh * kw * C, O], by which patches are multiplied; or [O, kh * kw * C], which makes patches.
  enum class Reads : uint8_t { patches, outputs };

  PackedFilter(Queue& queue, const Parameter& weight, Reads reads, bool bf16);
  kernels::ConvolutionWeight get() const {
    if (bf16_ != nullptr) return *bf16_;
    return *f32_;
  }

 private:
  std::shared_ptr<const kernels::PackedMatrix> f32_;
  std::shared_ptr<const kernels::PackedBf16> bf16_;
};

}  // namespace vitrail
