// Masked autoencoder (He et al., "Masked autoencoders are scalable vision learners", CVPR 2022):
// an encoder that sees some patches of a picture, and a small decoder that paints the others.
//
// The encoder is a VisionTransformer with a class token, no head, and fixed sine-cosine positions
// in its pos_embed. The decoder's parameters carry the names of the authors' checkpoints:
// mask_token, decoder_embed, decoder_pos_embed, decoder_blocks.i, decoder_norm, decoder_pred.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/rng.h"
#include "formats/tensor_source.h"
#include "models/vit.h"

namespace vitrail {

struct MaeConfig {
  VitConfig encoder;
  int64_t decoder_embed_dim = 512, decoder_depth = 8, decoder_num_heads = 16;
  double mask_ratio = 0.75;   // of the patches, hidden from the encoder
  bool norm_pix_loss = true;  // each patch's colours are normalised before they are compared

  // Patches that the encoder sees, of so many.
  int64_t num_visible(int64_t patches) const;
  // Error naming the field that is out of range.
  void validate() const;
};

// The configuration as masked autoencoding trains it: a class token, positions of a table, no head;
// its answer is the mean of the patches.
// Error: a model that has no patch embedding of its own (a convolutional tokenizer), or other
// prefix tokens.
VitConfig mae_encoder(VitConfig config);

// Which patches are hidden. Indices ascend.
struct PatchMask {
  Tensor visible;  // i64 [B, V]
  Tensor hidden;   // i64 [B, N - V]
};
// A mask of its own for each picture, drawn from the key, the picture's number and how often it has
// come before in the batch: neither its place in the batch nor the other pictures matter.
PatchMask random_mask(RandomKey key, const std::vector<int64_t>& pictures, int64_t patches,
                      int64_t visible);
// The mask of flags u8 [B, N], 1 where hidden. Error: rows that hide different numbers, or all.
PatchMask mask_from_flags(const Tensor& flags);

// The hidden patches' pixels [B, M, ph*pw*C], pixel by pixel, channel fastest. With norm_pix minus
// the patch's mean, divided by its deviation (from the unbiased variance + 1e-6).
Tensor patch_targets(Queue& queue, const Tensor& images, const Tensor& patches,
                     const VitConfig& config, bool norm_pix);

class MaskedAutoencoder {
 public:
  // The encoder, a model of mae_encoder(), must outlive this. Parameters have no values yet:
  // parameters().initialise(), or load_mae(). config.encoder is the encoder's. Error: the config's.
  MaskedAutoencoder(VisionTransformer& encoder, MaeConfig config);

  const MaeConfig& config() const { return config_; }
  VisionTransformer& encoder() { return encoder_; }
  // The encoder's own and the decoder's. The two tables of positions are not trained.
  ParameterRegistry& parameters() { return registry_; }

  // images [B, C, H, W] of the config's size; returns what the decoder paints of the hidden
  // patches, [B, M, ph*pw*C].
  Variable predict(const Context& context, const Variable& images, const PatchMask& mask) const;
  // The mean squared error over the hidden patches, [1].
  Variable loss(const Context& context, const Variable& images, const PatchMask& mask) const;

  // images with the hidden patches painted; with norm_pix_loss each gets the mean and the deviation
  // of the patch that it stands for, as the authors' demonstration does. f32 [B, C, H, W].
  Tensor reconstruct(Queue& queue, const Tensor& images, const PatchMask& mask) const;

 private:
  MaeConfig config_;
  VisionTransformer& encoder_;
  ParameterRegistry registry_;  // outlives the modules below
  LinearSlot decoder_embed_;
  Parameter* mask_token_ = nullptr;
  Parameter* decoder_positions_ = nullptr;
  std::vector<std::unique_ptr<Block>> decoder_blocks_;
  std::optional<LayerNorm> decoder_norm_;
  LinearSlot decoder_pred_;
};

// Every parameter from a checkpoint of the authors' form. Error naming the tensor: one that is
// missing, or has another shape.
void load_mae(MaskedAutoencoder& model, const TensorSource& tensors);

}  // namespace vitrail
