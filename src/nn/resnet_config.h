// ResNetConfig: a residual network (He et al. 2016) as data.
#pragma once

#include <cstdint>
#include <vector>

namespace vitrail {

// What stands behind every convolution.
enum class Normalisation : uint8_t {
  group,  // GroupNorm (Wu and He 2018): a picture's answer in training depends on itself alone
  batch,  // of the paper; its running statistics are trained with the weights and saved with them
};

// Every halving rounds up, so that pictures of all sizes are taken.
struct ResNetConfig {
  int64_t stem_channels = 64;
  int64_t stem_kernel = 7, stem_stride = 2;  // an odd kernel
  bool stem_pool = true;                     // 3x3 max-pooling of stride 2 behind it
  // Residual blocks and channels of each stage; all stages but the first begin with stride 2.
  std::vector<int64_t> blocks{2, 2, 2, 2};
  std::vector<int64_t> channels{64, 128, 256, 512};
  // Stages, the first too, begin with a transition instead: a 3x3 convolution, 3x3 max-pooling of
  // stride 2, norm and ReLU; their blocks then change no shape, and may be none.
  bool pooled = false;
  // 1x1 to a quarter of the channels, 3x3, 1x1 back; otherwise two 3x3.
  bool bottleneck = false;
  Normalisation norm = Normalisation::group;
  int64_t norm_groups = 32;  // of every GroupNorm
  double norm_epsilon = 0;   // 0: the model's
  // Every filter is normalised over what one output reads (Qiao et al. 2019, weight
  // standardisation), as Big Transfer and the published hybrids have it (Kolesnikov et al. 2020).
  bool standardised = false;
  bool same_padding = false;  // TensorFlow's: what is uneven is put behind, and depends on the size
  // ResNet-D (He et al. 2019, "Bag of Tricks", figure 2): the stem is three 3x3 convolutions, and a
  // shortcut halves by the mean of 2x2 before its projection.
  bool deep_stem = false;
  bool average_shortcut = false;
  bool operator==(const ResNetConfig&) const = default;

  // Of the feature map; a stem alone has no stages.
  int64_t out_channels() const { return channels.empty() ? stem_channels : channels.back(); }
  // Strides along an axis of the picture, in their order.
  std::vector<int64_t> strides() const {
    std::vector<int64_t> all{stem_stride};
    if (stem_pool) all.push_back(2);
    for (size_t stage = pooled ? 0 : 1; stage < channels.size(); ++stage) all.push_back(2);
    return all;
  }
  // Cells of the feature map along an axis of so many pixels.
  int64_t cells(int64_t pixels) const {
    for (const int64_t stride : strides()) pixels = (pixels + stride - 1) / stride;
    return pixels;
  }
};

}  // namespace vitrail
