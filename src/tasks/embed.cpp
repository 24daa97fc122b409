#include "tasks/embed.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/advice.h"
#include "core/error.h"

namespace vitrail {
namespace {

// The name under which the observer is told the layer; "" for the tokens after the final norm.
std::string layer_path(const VisionTransformerConfig& config, std::optional<int64_t> layer) {
  if (!layer) return "";
  check(config.depth > 0, "embed",
        "this model has no transformer blocks; its features are the ones without {}",
        said(Option::layer));
  const int64_t index = *layer < 0 ? *layer + config.depth : *layer;
  check(index >= 0 && index < config.depth, "embed",
        "there is no layer {}: this model has blocks 0 to {}", *layer, config.depth - 1);
  return fmt::format("blocks.{}", index);
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

EmbeddingKind default_embedding(const VisionTransformerConfig& config) {
  return config.class_token ? EmbeddingKind::class_token : EmbeddingKind::mean;
}

void check_embedding(const Model& model, const EmbedOptions& options) {
  const VisionTransformerConfig& config = model.network->config();
  check(options.kind != EmbeddingKind::class_token || config.class_token, "embed",
        "{} has no class token; take the mean or the patches", model.name);
  (void)layer_path(config, options.layer);
}

Tensor embed(Session& session, const Tensor& images, const EmbedOptions& options) {
  const VisionTransformerConfig& config = session.model().network->config();
  check_embedding(session.model(), options);
  const std::string path = layer_path(config, options.layer);
  Tensor tokens;
  RunHooks hooks;
  if (!path.empty())
    hooks.observer = [&](const std::string& name, const Tensor& value) {
      if (name == path) tokens = value;
    };
  const VitOutput output = session.run(images, hooks);
  if (path.empty()) tokens = output.tokens.value();
  switch (options.kind) {
    case EmbeddingKind::class_token:
      return class_tokens(tokens);
    case EmbeddingKind::mean:
      return patch_mean(tokens, output.layout);
    case EmbeddingKind::patches:
      return patch_grid(tokens, output.layout);
  }
  fail("embed", "unknown kind of embedding");
}

}  // namespace vitrail
