// What a parameter is to its model. Whoever registers it says so (nn/registry.h), so that
// optimizers, adapters and fine-tuning ask the parameter and never read meaning out of its path.
#pragma once

#include <cstdint>

namespace vitrail {

// Where in the model a parameter works, from the pixels on.
struct ParameterPlace {
  enum class Section : uint8_t {
    stem,        // makes the tokens: patch embedding, tokens, positions
    block,       // transformer block number `block`
    final_norm,  // behind the last block
    pool,        // makes one vector of the tokens
    head,        // makes the answer of it
    auxiliary    // trained beside the model and not part of it: a decoder, a projection
  };
  Section section = Section::auxiliary;
  int64_t block = -1;   // from 0; of section block alone
  bool hidden = false;  // in a transformer block, of the model or of a decoder
};

struct ParameterRole {
  enum class Kind : uint8_t {
    matrix,    // of a product: [outputs, inputs], or a patch embedding's [outputs, C, ph, pw]
    filter,    // of a convolution: [outputs, C, h, w]
    bias,      // added to a product's or a convolution's outputs
    norm,      // scale or shift behind a normalisation, or its running statistic
    scale,     // of each channel of a branch (LayerScale), of each output (weight norm)
    token,     // a learned token or query
    position,  // a table of positions
    adapter    // a low-rank factor beside a matrix
  };
  // What Muon takes it as (train/optimizer/muon.h).
  enum class Muon : uint8_t {
    none,
    matrix,
    filter,            // as a matrix [outputs, the rest]
    normalised_filter  // the same, in front of a normalisation: its size changes no answer
  };
  Kind kind = Kind::matrix;
  Muon muon = Muon::none;
  ParameterPlace place;

  // A factor of what goes in: a product's or a convolution's.
  bool is_weight() const { return kind == Kind::matrix || kind == Kind::filter; }
  // The field's convention (timm's param_groups_weight_decay): weights are pulled to zero; vectors,
  // tokens and positions are not.
  bool decays() const { return is_weight() || kind == Kind::adapter; }
  bool in(ParameterPlace::Section section) const { return place.section == section; }
};

}  // namespace vitrail
