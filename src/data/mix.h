// Mixing the pictures of a batch in pairs, first with last: mixup (Zhang et al., ICLR 2018) and
// CutMix (Yun et al., ICCV 2019), with the targets that go with it. The semantics of timm's Mixup.
//
// What is drawn depends on (seed, epoch, number of the batch in the epoch) alone.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "image/image.h"

namespace vitrail {

struct MixOptions {
  double mixup_alpha = 0;  // lambda ~ Beta(alpha, alpha); 0: no mixup
  double cutmix_alpha = 0;
  // With cutmix_max above 0 the box's sides are drawn from these shares of the picture's.
  double cutmix_min = 0, cutmix_max = 0;
  double mix_probability = 1;           // that a batch (or pair, or picture) is mixed at all
  double mix_switch_probability = 0.5;  // of CutMix where both are on
  std::string mix_mode = "batch";       // one draw a "batch", "pair" or "elem"
  int64_t mixup_off_epoch = 0;          // from this epoch on nothing is mixed; 0: never
  // Of the targets. Not a field by name: a run has one label smoothing, that of its loss, and sets
  // this to it.
  double label_smoothing = 0;

  bool enabled() const { return mixup_alpha > 0 || cutmix_alpha > 0 || cutmix_max > 0; }
  bool operator==(const MixOptions&) const = default;
};

// Error naming the field that is out of range.
void check_mix(const MixOptions& options);
// Every field by its name, flat; from_json takes the fields that it finds and leaves others alone;
// set_field is false for a name that is no field. Error: a value that the field cannot have.
nlohmann::json to_json(const MixOptions& options);
void from_json(const nlohmann::json& in, MixOptions& options);
bool set_field(MixOptions& options, const std::string& name, const std::string& value);

// What happens to one picture: it keeps the share lambda of itself, and takes the rest from its
// partner; with CutMix that is the box.
struct MixDraw {
  double lambda = 1;
  bool cutmix = false;
  PixelWindow box;
};
struct MixKey {
  uint64_t seed = 0;
  int64_t epoch = 0;
  int64_t batch = 0;  // of all ranks together
};
// One draw a picture, for `count` pictures of this size.
std::vector<MixDraw> draw_mix(const MixOptions& options, const MixKey& key, int64_t count,
                              int height, int width);
// CutMix's box for a centre, clipped to the picture, and the lambda that its area leaves.
MixDraw cutmix_at(double lambda, int center_x, int center_y, int height, int width);

// In place; images [B, C, H, W], picture i mixed with picture B-1-i.
void mix_images(const Tensor& images, std::span<const MixDraw> draws);
// [B, classes] f32: for labels [B] i64 rows that sum to 1, for labels [B, classes] of 0 and 1 the
// mean of both pictures' rows, without smoothing.
Tensor mix_targets(const Tensor& labels, int64_t classes, double label_smoothing,
                   std::span<const MixDraw> draws);

}  // namespace vitrail
