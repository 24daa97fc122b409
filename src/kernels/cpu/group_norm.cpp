#include "kernels/group_norm.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/group_norm.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/channel_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {

// Some neighbouring groups of one picture.
struct Part {
  int64_t picture, group_begin, group_end;
  int64_t width;  // channels of a group
  int64_t at;     // of the picture's first value
  int64_t begin() const { return group_begin * width; }
  int64_t end() const { return group_end * width; }
};

// of_group(g, sum over the group's channels of `by_channel`).
template <class OfGroup>
void SumGroups(const Part& part, const float* by_channel, OfGroup&& of_group) {
  for (int64_t g = part.group_begin; g < part.group_end; ++g) {
    float sum = 0;
    for (int64_t c = g * part.width; c < (g + 1) * part.width; ++c) sum += by_channel[c];
    of_group(g, sum);
  }
}

// scratch: two rows of channels.
void GroupNormPart(const GroupNormArgs& args, const Part& part, float* scratch) {
  const int64_t pixels = args.size.pixels, channels = args.size.channels;
  const float count = static_cast<float>(pixels * part.width);
  float* center = scratch;
  float* scale = scratch + channels;
  const float* x = args.x + part.at;
  ForEachRegister(part.begin(), part.end(), [&](int64_t c, auto load, auto store) HWY_ATTR {
    store(SumRows(pixels, channels, [&](int64_t at) HWY_ATTR { return load(x + at + c); }),
          scale + c);
  });
  SumGroups(part, scale, [&](int64_t g, float sum) {
    if (args.mean != nullptr) args.mean[part.picture * args.size.groups + g] = sum / count;
    std::fill_n(center + g * part.width, part.width, sum / count);
  });
  ForEachRegister(part.begin(), part.end(), [&](int64_t c, auto load, auto store) HWY_ATTR {
    const auto mean = load(center + c);
    store(SumRows(pixels, channels,
                  [&](int64_t at) HWY_ATTR {
                    const auto difference = hn::Sub(load(x + at + c), mean);
                    return hn::Mul(difference, difference);
                  }),
          scale + c);
  });
  SumGroups(part, scale, [&](int64_t g, float sum) {
    const float rstd = 1.0f / std::sqrt(sum / count + args.epsilon);
    if (args.rstd != nullptr) args.rstd[part.picture * args.size.groups + g] = rstd;
    for (int64_t c = g * part.width; c < (g + 1) * part.width; ++c) scale[c] = rstd * args.gamma[c];
  });
  WriteNormalised({.rows = pixels,
                   .channels = channels,
                   .x = x,
                   .residual = args.residual == nullptr ? nullptr : args.residual + part.at,
                   .y = args.y + part.at,
                   .mean = center,
                   .scale = scale,
                   .shift = args.beta},
                  args.relu, part.begin(), part.end());
}

// sums_d and sums_dn [channels] get this picture's sums of d and of d n; scratch: four rows of
// channels.
template <bool kRelu>
void BackwardPart(const GroupNormBackwardArgs& args, const Part& part, float* sums_d,
                  float* sums_dn, float* scratch) {
  const int64_t pixels = args.size.pixels, channels = args.size.channels;
  const float count = static_cast<float>(pixels * part.width);
  float* center = scratch;
  float* factor = scratch + channels;      // rstd gamma
  float* offset = scratch + 2 * channels;  // rstd mean(g)
  float* slope = scratch + 3 * channels;   // rstd^2 mean(g n)
  const NormalisedGradient gradient{
      .rows = pixels,
      .channels = channels,
      .x = args.x + part.at,
      .y = kRelu ? args.y + part.at : nullptr,
      .dy = args.dy + part.at,
      .dx = args.dx == nullptr ? nullptr : args.dx + part.at,
      .dresidual = args.dresidual == nullptr ? nullptr : args.dresidual + part.at,
      .mean = center,
      .rate = factor,
      .even = offset,
      .tilt = slope};
  const int64_t first = part.picture * args.size.groups;
  for (int64_t g = part.group_begin; g < part.group_end; ++g)
    std::fill_n(center + g * part.width, part.width, args.mean[first + g]);
  SumGradient<kRelu>(gradient, part.begin(), part.end(), sums_d, sums_dn);
  for (int64_t g = part.group_begin; g < part.group_end; ++g) {
    const float rstd = args.rstd[first + g];
    float sum_g = 0, sum_gn = 0;
    for (int64_t c = g * part.width; c < (g + 1) * part.width; ++c) {
      sums_dn[c] *= rstd;
      sum_g += args.gamma[c] * sums_d[c];
      sum_gn += args.gamma[c] * sums_dn[c];
    }
    for (int64_t c = g * part.width; c < (g + 1) * part.width; ++c) {
      factor[c] = rstd * args.gamma[c];
      offset[c] = rstd * (sum_g / count);
      slope[c] = rstd * rstd * (sum_gn / count);
    }
  }
  WriteGradient<kRelu>(gradient, part.begin(), part.end());
}

// Calls body(part, worker) for all of the batch: whole pictures, or groups of few of them, so that
// each thread has some. Parts share no sum, so how they are cut changes nothing.
template <class Body>
void ForEachPart(Queue& queue, const GroupNormSize& size, Body&& body) {
  constexpr int64_t kEnoughPictures = 8, kLine = 16;  // channels of a part: whole cache lines
  const int64_t width = size.channels / size.groups;
  int64_t groups = size.groups;
  if (size.batch < kEnoughPictures) groups = std::min(groups, (kLine + width - 1) / width);
  const int64_t parts = (size.groups + groups - 1) / groups;
  queue.pool().parallel_for(size.batch * parts, [&](int64_t i, int worker) {
    const int64_t picture = i / parts, begin = i % parts * groups;
    body(Part{.picture = picture,
              .group_begin = begin,
              .group_end = std::min(size.groups, begin + groups),
              .width = width,
              .at = picture * size.pixels * size.channels},
         worker);
  });
}

void GroupNorm(Queue& queue, const GroupNormArgs& args) {
  const int64_t room = 2 * args.size.channels;
  const Tensor scratch = Tensor::empty({queue.pool().num_threads(), room});
  ForEachPart(queue, args.size, [&](const Part& part, int worker) {
    GroupNormPart(args, part, scratch.f32() + worker * room);
  });
}

void GroupNormBackward(Queue& queue, const GroupNormBackwardArgs& args) {
  const int64_t batch = args.size.batch, channels = args.size.channels, room = 4 * channels;
  const Tensor scratch = Tensor::empty({queue.pool().num_threads(), room});
  const Tensor sums = Tensor::empty({2, batch, channels});
  float* sums_d = sums.f32();
  float* sums_dn = sums_d + batch * channels;
  ForEachPart(queue, args.size, [&](const Part& part, int worker) {
    const int64_t at = part.picture * channels;
    float* own = scratch.f32() + worker * room;
    if (args.y != nullptr)
      BackwardPart<true>(args, part, sums_d + at, sums_dn + at, own);
    else
      BackwardPart<false>(args, part, sums_d + at, sums_dn + at, own);
  });
  const auto join = [&](const float* from, float* to) {
    if (to == nullptr) return;
    for (int64_t b = 0; b < batch; ++b, from += channels)
      for (int64_t c = 0; c < channels; ++c) to[c] += from[c];
  };
  join(sums_dn, args.dgamma);
  join(sums_d, args.dbeta);
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/dispatch.h"

namespace vitrail::kernels {

HWY_EXPORT(GroupNorm);
HWY_EXPORT(GroupNormBackward);

void group_norm(Queue& queue, const GroupNormArgs& args) {
  assert(args.size.channels % args.size.groups == 0);
  VITRAIL_DISPATCH(GroupNorm)(queue, args);
}

void group_norm_backward(Queue& queue, const GroupNormBackwardArgs& args) {
  assert(args.dresidual == nullptr || args.dresidual != args.dx);
  VITRAIL_DISPATCH(GroupNormBackward)(queue, args);
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
