#include "models/mae.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include "core/advice.h"
#include "core/error.h"
#include "nn/position_embedding.h"
#include "ops/elementwise.h"
#include "ops/gather.h"
#include "ops/losses.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

constexpr const char* kMae = "mae";

// [1, 1 + patches, D]: the class token has no place in the picture.
Tensor position_table(const VitConfig& c, int64_t dim) {
  const Tensor grid =
      sincos_2d_table(c.grid_height(c.image_height), c.grid_width(c.image_width), dim);
  Tensor table = Tensor::zeros({1, 1 + grid.size(1), dim});
  std::ranges::copy(grid.values(), table.f32() + dim);
  return table;
}

int64_t patch_pixels(const VitConfig& c) {
  return c.patches.patch_height * c.patches.patch_width * c.in_channels;
}

BlockConfig decoder_block(const MaeConfig& c) {
  return {.attention = {.embed_dim = c.decoder_embed_dim,
                        .num_heads = c.decoder_num_heads,
                        .head_dim = c.decoder_embed_dim / c.decoder_num_heads,
                        .epsilon = c.encoder.layer_norm_epsilon},
          .mlp = {.inputs = c.decoder_embed_dim,
                  .hidden = 4 * c.decoder_embed_dim,
                  .epsilon = c.encoder.layer_norm_epsilon},
          .epsilon = c.encoder.layer_norm_epsilon};
}

// Calls visit(offset in the picture, place within the patch) for each value of a patch.
template <typename Visit>
void for_each_pixel(const VitConfig& c, int64_t patch, Visit visit) {
  const int64_t columns = c.grid_width(c.image_width);
  const int64_t top = patch / columns * c.patches.patch_height,
                left = patch % columns * c.patches.patch_width;
  int64_t place = 0;
  for (int64_t y = top; y < top + c.patches.patch_height; ++y)
    for (int64_t x = left; x < left + c.patches.patch_width; ++x)
      for (int64_t channel = 0; channel < c.in_channels; ++channel)
        visit((channel * c.image_height + y) * c.image_width + x, place++);
}

struct PatchStatistics {
  double mean = 0, deviation = 1;
};

PatchStatistics statistics_of(const float* values, int64_t count) {
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < count; ++i) sum += values[i];
  const double mean = sum / static_cast<double>(count);
  for (int64_t i = 0; i < count; ++i) squares += (values[i] - mean) * (values[i] - mean);
  return {mean, std::sqrt(squares / static_cast<double>(count - 1) + 1e-6)};
}

// What decoder input each position reads: the class token, the encoder's token of a visible patch,
// or the mask token, which stands behind them all.
Tensor positions_of(const PatchMask& mask) {
  const int64_t batch = mask.visible.size(0), seen = mask.visible.size(1);
  const int64_t patches = seen + mask.hidden.size(1);
  Tensor index = Tensor::empty({batch, 1 + patches}, DType::i64);
  for (int64_t b = 0; b < batch; ++b) {
    int64_t* row = index.data<int64_t>() + b * (1 + patches);
    row[0] = 0;
    std::fill_n(row + 1, patches, 1 + seen);
    for (int64_t i = 0; i < seen; ++i) row[1 + mask.visible.data<int64_t>()[b * seen + i]] = 1 + i;
  }
  return index;
}

// Patches as rows of a sequence with a class token in front; `with_class` puts its row first.
Tensor behind_class_token(const Tensor& patches, bool with_class) {
  const int64_t batch = patches.size(0), count = patches.size(1), first = with_class ? 1 : 0;
  Tensor index = Tensor::zeros({batch, first + count}, DType::i64);
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t i = 0; i < count; ++i)
      index.data<int64_t>()[b * (first + count) + first + i] =
          1 + patches.data<int64_t>()[b * count + i];
  return index;
}

void check_pictures(const VitConfig& c, const Shape& shape) {
  check(shape.rank() == 4 && shape[1] == c.in_channels && shape[2] == c.image_height &&
            shape[3] == c.image_width,
        kMae, "pictures of {} are given and [B, {}, {}, {}] wanted", shape.str(), c.in_channels,
        c.image_height, c.image_width);
}

}  // namespace

int64_t MaeConfig::num_visible(int64_t patches) const {
  return static_cast<int64_t>(static_cast<double>(patches) * (1 - mask_ratio));
}

void MaeConfig::validate() const {
  mae_encoder(encoder).validate();
  check(
      decoder_embed_dim > 0 && decoder_num_heads > 0 && decoder_embed_dim % decoder_num_heads == 0,
      kMae, "decoder_num_heads {} does not divide decoder_embed_dim {}", decoder_num_heads,
      decoder_embed_dim);
  check(decoder_embed_dim % 4 == 0, kMae,
        "decoder_embed_dim is {}; sine-cosine positions need a multiple of 4", decoder_embed_dim);
  check(decoder_depth >= 0 && decoder_depth <= 1000, kMae,
        "decoder_depth is {}; it must lie between 0 and 1000", decoder_depth);
  const int64_t patches =
      encoder.grid_height(encoder.image_height) * encoder.grid_width(encoder.image_width);
  check(mask_ratio > 0 && mask_ratio < 1 && num_visible(patches) >= 1 &&
            num_visible(patches) < patches,
        kMae, "mask_ratio {} of {} patches leaves none hidden or none visible", mask_ratio,
        patches);
  check(!norm_pix_loss || patch_pixels(encoder) > 1, kMae,
        "norm_pix_loss needs patches of more than one value");
}

VitConfig mae_encoder(VitConfig config) {
  check(!config.has_feature_map(), kMae,
        "a convolutional stem mixes the patches that are to be hidden; choose an architecture "
        "with plain patches ({} vit_tiny_patch16_224, for instance)",
        said(Option::architecture));
  check(!config.tokens.distillation_token && config.tokens.register_tokens == 0, kMae,
        "the encoder has a class token and no distillation or register tokens");
  check(config.rotary.kind == Rotary::none && !config.relative.present(), kMae,
        "positions in attention are of all patches, and the encoder sees some; choose an "
        "architecture whose positions are added ({} vit_tiny_patch16_224, for instance)",
        said(Option::architecture));
  config.tokens.class_token = true;
  config.position.kind = Position::learned;
  config.position.prefix = 1;
  config.position.grid_height = config.position.grid_width = 0;
  config.head.pooling = Pooling::mean;  // what the authors fine-tune
  config.head.norm = false;
  config.num_classes = 0;
  return config;
}

PatchMask random_mask(RandomKey key, const std::vector<int64_t>& pictures, int64_t patches,
                      int64_t visible) {
  const auto batch = static_cast<int64_t>(pictures.size());
  PatchMask mask{Tensor::empty({batch, visible}, DType::i64),
                 Tensor::empty({batch, patches - visible}, DType::i64)};
  std::unordered_map<int64_t, int64_t> appearances;
  std::vector<int64_t> order(static_cast<size_t>(patches));
  for (int64_t b = 0; b < batch; ++b) {
    const int64_t picture = pictures[static_cast<size_t>(b)];
    Rng rng(key, fmt::format("mae.mask.{}.{}", picture, appearances[picture]++));
    std::iota(order.begin(), order.end(), 0);
    for (int64_t i = 0; i < visible; ++i)  // Fisher and Yates, as far as is needed
      std::swap(order[static_cast<size_t>(i)],
                order[static_cast<size_t>(i + rng.below(patches - i))]);
    std::sort(order.begin(), order.begin() + visible);
    std::sort(order.begin() + visible, order.end());
    std::copy_n(order.begin(), visible, mask.visible.data<int64_t>() + b * visible);
    std::copy(order.begin() + visible, order.end(),
              mask.hidden.data<int64_t>() + b * (patches - visible));
  }
  return mask;
}

PatchMask mask_from_flags(const Tensor& flags) {
  check(flags.dtype() == DType::u8 && flags.rank() == 2 && flags.size(0) > 0, kMae,
        "flags {} {} must be u8 [B, N]", name_of(flags.dtype()), flags.shape().str());
  const int64_t batch = flags.size(0), patches = flags.size(1);
  const auto hidden_in = [&](int64_t b) {
    const uint8_t* row = flags.data<uint8_t>() + b * patches;
    return static_cast<int64_t>(
        std::count_if(row, row + patches, [](uint8_t f) { return f != 0; }));
  };
  const int64_t hidden = hidden_in(0), seen = patches - hidden;
  check(hidden > 0 && seen > 0, kMae, "a mask that hides {} of {} patches leaves nothing to do",
        hidden, patches);
  PatchMask mask{Tensor::empty({batch, seen}, DType::i64),
                 Tensor::empty({batch, hidden}, DType::i64)};
  for (int64_t b = 0; b < batch; ++b) {
    check(hidden_in(b) == hidden, kMae, "row {} of the mask hides {} patches and row 0 {}", b,
          hidden_in(b), hidden);
    int64_t* to_seen = mask.visible.data<int64_t>() + b * seen;
    int64_t* to_hidden = mask.hidden.data<int64_t>() + b * hidden;
    for (int64_t i = 0; i < patches; ++i)
      *(flags.data<uint8_t>()[b * patches + i] != 0 ? to_hidden++ : to_seen++) = i;
  }
  return mask;
}

Tensor patch_targets(Queue& queue, const Tensor& images, const Tensor& patches,
                     const VitConfig& config, bool norm_pix) {
  check_pictures(config, images.shape());
  const int64_t count = patches.size(1), pixels = patch_pixels(config);
  Tensor targets = Tensor::empty({images.size(0), count, pixels});
  queue.pool().parallel_for(images.size(0), [&](int64_t b, int) {
    const float* image = images.f32() + b * images.numel() / images.size(0);
    for (int64_t i = 0; i < count; ++i) {
      float* row = targets.f32() + (b * count + i) * pixels;
      for_each_pixel(config, patches.data<int64_t>()[b * count + i],
                     [&](int64_t from, int64_t place) { row[place] = image[from]; });
      if (!norm_pix) continue;
      const PatchStatistics s = statistics_of(row, pixels);
      for (int64_t j = 0; j < pixels; ++j)
        row[j] = static_cast<float>((row[j] - s.mean) / s.deviation);
    }
  });
  return targets;
}

MaskedAutoencoder::MaskedAutoencoder(VisionTransformer& encoder, MaeConfig config)
    : config_(std::move(config)), encoder_(encoder) {
  config_.encoder = encoder.config();
  config_.validate();
  const VitConfig& c = config_.encoder;
  check(c == mae_encoder(c), kMae,
        "the encoder must have a class token, a table of positions and no head");
  const Scope root(registry_);
  const int64_t dim = config_.decoder_embed_dim;
  decoder_embed_ = LinearSlot(root.child("decoder_embed"), c.embed_dim, dim);
  mask_token_ = &root.parameter("mask_token", {1, 1, dim}, Initializer::truncated_normal(0.02),
                                ParameterRole::Kind::token);
  const Tensor table = position_table(c, dim);
  decoder_positions_ = &root.parameter("decoder_pos_embed", table.shape(),
                                       Initializer::table(table), ParameterRole::Kind::position);
  for (int64_t i = 0; i < config_.decoder_depth; ++i)
    decoder_blocks_.push_back(std::make_unique<Block>(
        root.child("decoder_blocks").child(i).in_auxiliary_block(), decoder_block(config_)));
  decoder_norm_.emplace(root.child("decoder_norm"), dim, c.layer_norm_epsilon);
  decoder_pred_ = LinearSlot(root.child("decoder_pred"), dim, patch_pixels(c));
  Parameter& positions = encoder_.parameters().at("pos_embed");
  encoder_.parameters().set_initializer(positions,
                                        Initializer::table(position_table(c, c.embed_dim)));
  positions.set_trainable(false);
  decoder_positions_->set_trainable(false);
  registry_.include(encoder_.parameters());
}

Variable MaskedAutoencoder::predict(const Context& context, const Variable& images,
                                    const PatchMask& mask) const {
  check_pictures(config_.encoder, images.shape());
  const TokenLayout layout = encoder_.layout(images.size(2), images.size(3));
  check(mask.visible.size(0) == images.size(0) &&
            mask.visible.size(1) + mask.hidden.size(1) == layout.patches(),
        kMae, "a mask of {} pictures and {} patches does not fit {}", mask.visible.size(0),
        mask.visible.size(1) + mask.hidden.size(1), images.shape().str());
  const Variable tokens = encoder_.backbone().embed(context, images, layout);
  const Variable latent = encoder_.backbone().encode(
      context, gather_tokens(context, tokens, behind_class_token(mask.visible, true)), layout);
  const std::array parts{decoder_embed_->forward(context, latent), mask_token_->variable()};
  Variable x = gather_tokens(context, concatenate(context, parts, 1), positions_of(mask));
  x = add_broadcast(context, x, decoder_positions_->variable());
  for (const auto& block : decoder_blocks_) x = block->forward(context, std::move(x));
  // Only what is compared is predicted.
  x = gather_tokens(context, x, behind_class_token(mask.hidden, false));
  return decoder_pred_->forward(context, decoder_norm_->before(x));
}

Variable MaskedAutoencoder::loss(const Context& context, const Variable& images,
                                 const PatchMask& mask) const {
  const Variable predicted = predict(context, images, mask);
  return mean_squared_error(context, predicted,
                            patch_targets(context.queue, images.value(), mask.hidden,
                                          config_.encoder, config_.norm_pix_loss));
}

Tensor MaskedAutoencoder::reconstruct(Queue& queue, const Tensor& images,
                                      const PatchMask& mask) const {
  const Tensor predicted = predict(Context(queue), images, mask).value();
  const Tensor truth = patch_targets(queue, images, mask.hidden, config_.encoder, false);
  Tensor painted = images.clone();
  const int64_t count = predicted.size(1), pixels = predicted.size(2);
  for (int64_t i = 0; i < predicted.size(0) * count; ++i) {
    const float* row = predicted.f32() + i * pixels;
    const PatchStatistics s =
        config_.norm_pix_loss ? statistics_of(truth.f32() + i * pixels, pixels) : PatchStatistics{};
    float* image = painted.f32() + i / count * (painted.numel() / painted.size(0));
    for_each_pixel(config_.encoder, mask.hidden.data<int64_t>()[i], [&](int64_t to, int64_t place) {
      image[to] = static_cast<float>(row[place] * s.deviation + s.mean);
    });
  }
  return painted;
}

void load_mae(MaskedAutoencoder& model, const TensorSource& tensors) {
  for (const auto& parameter : model.parameters().all()) {
    const TensorInfo& info = tensors.info(parameter->path());
    check(info.shape == parameter->shape(), kMae, "{}: {} is {} and {} wanted", tensors.place(),
          parameter->path(), info.shape.str(), parameter->shape().str());
    parameter->set_value(tensors.tensor(parameter->path()).to(DType::f32).clone());
  }
}

}  // namespace vitrail
