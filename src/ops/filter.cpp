#include "ops/filter.h"

#include <string>

#include "kernels/copy.h"
#include "kernels/isa.h"

namespace vitrail {

View channels_last(const Tensor& weight) {
  View view = weight.view();
  view.shape = Shape{view.shape[0], view.shape[2], view.shape[3], view.shape[1]};
  const auto strides = view.strides;
  view.strides[1] = strides[2];
  view.strides[2] = strides[3];
  view.strides[3] = strides[1];
  return view;
}

PackedFilter::PackedFilter(Queue& queue, const Parameter& weight, Reads reads, bool bf16) {
  const bool transposed = reads == Reads::patches;
  const std::string form = std::string("convolution.") + (transposed ? "forward." : "backward.") +
                           (bf16 ? "bf16." : "f32.") + kernels::active_isa();
  const auto pack = [&](auto by) {
    return [&queue, transposed, by](const Tensor& value) {
      const View view = channels_last(value);
      const Tensor ordered = Tensor::empty(view.shape);
      kernels::copy_strided(queue, ordered.view(), view);
      const int64_t outputs = value.size(0);
      const kernels::Matrix matrix =
          kernels::Matrix::row_major(ordered.f32(), outputs, value.numel() / outputs);
      return by(queue, transposed ? matrix.transposed() : matrix);
    };
  };
  if (bf16)
    bf16_ = weight.derived<kernels::PackedBf16>(form, pack(kernels::pack_bf16));
  else
    f32_ = weight.derived<kernels::PackedMatrix>(form, pack(kernels::pack));
}

}  // namespace vitrail
