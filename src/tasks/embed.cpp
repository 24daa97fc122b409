#include "tasks/embed.h"

#include <algorithm>

#include "core/advice.h"
#include "core/error.h"

namespace vitrail {
namespace {

bool has_class_token(const Network& network) {
  const PictureInput input = network.pictures();
  return network.layout(input.height, input.width).class_tokens > 0;
}

// Where the layer lies; nothing for the tokens after the final norm.
std::optional<BlockPlace> place_of(const Network& network, std::optional<int64_t> layer) {
  if (!layer) return std::nullopt;
  const std::vector<BlockPlace> blocks = network.backbone().blocks();
  const auto depth = static_cast<int64_t>(blocks.size());
  check(depth > 0, "embed",
        "this model has no transformer blocks; its features are the ones without {}",
        said(Option::layer));
  const int64_t index = *layer < 0 ? *layer + depth : *layer;
  check(index >= 0 && index < depth, "embed", "there is no layer {}: this model has blocks 0 to {}",
        *layer, depth - 1);
  return blocks[static_cast<size_t>(index)];
}

Tensor class_tokens(const Tensor& tokens) {
  const int64_t batch = tokens.size(0), count = tokens.size(1), dim = tokens.size(2);
  Tensor out = Tensor::empty({batch, dim});
  for (int64_t b = 0; b < batch; ++b)
    std::copy_n(tokens.f32() + b * count * dim, dim, out.f32() + b * dim);
  return out;
}

Tensor patch_grid(const Tensor& tokens, const TokenLayout& layout) {
  const int64_t batch = tokens.size(0), count = tokens.size(1), dim = tokens.size(2);
  Tensor out = Tensor::empty({batch, layout.grid_height, layout.grid_width, dim});
  const int64_t floats = layout.patches() * dim;
  for (int64_t b = 0; b < batch; ++b)
    std::copy_n(tokens.f32() + (b * count + layout.prefix()) * dim, floats, out.f32() + b * floats);
  return out;
}

Tensor patch_mean(const Tensor& tokens, const TokenLayout& layout) {
  const int64_t batch = tokens.size(0), count = tokens.size(1), dim = tokens.size(2);
  Tensor out = Tensor::empty({batch, dim});
  std::vector<double> sum(static_cast<size_t>(dim));
  for (int64_t b = 0; b < batch; ++b) {
    std::fill(sum.begin(), sum.end(), 0.0);
    for (int64_t t = layout.prefix(); t < count; ++t)
      for (int64_t d = 0; d < dim; ++d)
        sum[static_cast<size_t>(d)] += tokens.f32()[(b * count + t) * dim + d];
    for (int64_t d = 0; d < dim; ++d)
      out.f32()[b * dim + d] =
          static_cast<float>(sum[static_cast<size_t>(d)] / static_cast<double>(layout.patches()));
  }
  return out;
}

}  // namespace

EmbeddingKind default_embedding(const Network& network) {
  return has_class_token(network) ? EmbeddingKind::class_token : EmbeddingKind::mean;
}

void check_embedding(const Model& model, const EmbedOptions& options) {
  check(options.kind != EmbeddingKind::class_token || has_class_token(*model.network), "embed",
        "{} has no class token; take the mean or the patches", model.name);
  (void)place_of(*model.network, options.layer);
}

Tensor embed(Session& session, const Tensor& images, const EmbedOptions& options) {
  check_embedding(session.model(), options);
  const std::optional<BlockPlace> place = place_of(*session.model().network, options.layer);
  Tensor tokens;
  RunHooks hooks;
  if (place)
    hooks.observer = [&](const std::string& name, const Tensor& value) {
      if (name == place->path) tokens = value;
    };
  const NetworkOutput output = session.run(images, hooks);
  if (!place) tokens = output.tokens().value();
  const TokenLayout& layout =
      place ? output.features[static_cast<size_t>(place->stage)].layout : output.layout();
  switch (options.kind) {
    case EmbeddingKind::class_token:
      return class_tokens(tokens);
    case EmbeddingKind::mean:
      return patch_mean(tokens, layout);
    case EmbeddingKind::patches:
      return patch_grid(tokens, layout);
  }
  fail("embed", "unknown kind of embedding");
}

}  // namespace vitrail
