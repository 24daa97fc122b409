#include "nn/mobilevit_block.h"

#include <algorithm>

#include "nn/patch_transformer.h"
#include "ops/interpolate.h"
#include "ops/layout.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

int64_t rounded_up(int64_t side, int64_t step) {
  return (side + step - 1) / step * step;
}

LinearEpilogue activated(kernels::Activation activation) {
  return {.activation = activation};
}

}  // namespace

MobileVitBlock::MobileVitBlock(const Scope& scope, const MobileVitBlockConfig& c)
    : config_(c),
      path_(scope.path()),
      conv_kxk_(scope.child("conv_kxk"), {.inputs = c.channels,
                                          .outputs = c.channels,
                                          .kernel = c.kernel,
                                          .depthwise = c.separable}),
      conv_1x1_(scope.child("conv_1x1"), c.channels, c.embed_dim,
                {.bias = false, .pointwise = true}),
      transformer_(make_patch_transformer(scope, c)),
      conv_proj_(scope.child("conv_proj"), {.inputs = c.embed_dim, .outputs = c.channels}) {
  if (!c.separable)
    conv_fusion_.emplace(scope.child("conv_fusion"),
                         NormedConvolutionConfig{
                             .inputs = 2 * c.channels, .outputs = c.channels, .kernel = c.kernel});
}

MobileVitBlock::~MobileVitBlock() = default;

int64_t MobileVitBlock::cells(int64_t side) const {
  return config_.fit == PatchFit::resized ? patched(side) : side;
}

int64_t MobileVitBlock::patched(int64_t side) const {
  return config_.fit == PatchFit::cut ? side / config_.patch * config_.patch
                                      : rounded_up(side, config_.patch);
}

// Resized to whole patches, if it has any other size.
Variable MobileVitBlock::fitted(const Context& context, const Variable& x,
                                bool align_corners) const {
  const int64_t height = patched(x.size(1)), width = patched(x.size(2));
  if (height == x.size(1) && width == x.size(2)) return x;
  return interpolate(context, x, MapOrder::channels_last,
                     {.align_corners = align_corners, .out_height = height, .out_width = width});
}

Variable MobileVitBlock::forward(const Context& context, const Variable& x) const {
  const kernels::Activation act = config_.activation;
  const Variable input = config_.fit == PatchFit::resized ? fitted(context, x, true) : x;
  const int64_t height = input.size(1), width = input.size(2);
  const int64_t whole_height = patched(height), whole_width = patched(width);
  check(whole_height > 0 && whole_width > 0, "mobilevit",
        "{}: a map of {}x{} has no whole patch of {}; larger pictures have", path_, height, width,
        config_.patch);
  const bool whole = whole_height == height && whole_width == width;
  Variable map = conv_1x1_->forward(context, conv_kxk_.forward(context, input, activated(act)));
  const auto margins = [&](int64_t sign) {
    return std::vector<AxisMargin>{{.axis = 1, .after = sign * (height - whole_height)},
                                   {.axis = 2, .after = sign * (width - whole_width)}};
  };
  if (!whole)
    map =
        config_.fit == PatchFit::cut ? pad(context, map, margins(-1)) : fitted(context, map, false);
  map = transformer_->forward(context, map);
  if (!whole)
    map = config_.fit == PatchFit::cut ? pad(context, map, margins(1))
                                       : interpolate(context, map, MapOrder::channels_last,
                                                     {.out_height = height, .out_width = width});
  if (!conv_fusion_) return conv_proj_.forward(context, map);
  map = conv_proj_.forward(context, map, activated(act));
  const std::vector<Variable> both{input, map};
  return conv_fusion_->forward(context, concatenate(context, both, 3), activated(act));
}

void MobileVitBlock::count(CostCounter& counter, int64_t height, int64_t width) const {
  if (config_.fit == PatchFit::resized) {
    height = patched(height);
    width = patched(width);
  }
  const int64_t pixels = height * width;
  counter.add({.path = path_ + ".conv_kxk",
               .output = {pixels, config_.channels},
               .multiply_adds = conv_kxk_.multiply_adds(height, width)});
  counter.add({.path = path_ + ".conv_1x1",
               .output = {pixels, config_.embed_dim},
               .multiply_adds = pixels * config_.channels * config_.embed_dim});
  transformer_->count(counter, patched(height) * patched(width));
  counter.add({.path = path_ + ".conv_proj",
               .output = {pixels, config_.channels},
               .multiply_adds = conv_proj_.multiply_adds(height, width)});
  if (conv_fusion_)
    counter.add({.path = path_ + ".conv_fusion",
                 .output = {pixels, config_.channels},
                 .multiply_adds = conv_fusion_->multiply_adds(height, width)});
}

std::vector<std::string> MobileVitBlock::attentions() const {
  return transformer_->attentions();
}

void MobileVitBlock::visit_linears(const VisitLinear& visit) {
  visit(conv_1x1_);
  transformer_->visit_linears(visit);
}

}  // namespace vitrail
