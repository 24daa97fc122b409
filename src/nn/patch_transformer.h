// The transformers of MobileViT's block, over maps [B, H, W, D] whose sides are multiples of the
// patch: pixels at the same place of their patches make a sequence.
#pragma once

#include <string>
#include <vector>

#include "nn/mobilevit_block.h"

namespace vitrail {

class PatchTransformer {
 public:
  PatchTransformer() = default;
  virtual ~PatchTransformer() = default;
  PatchTransformer(const PatchTransformer&) = delete;
  PatchTransformer& operator=(const PatchTransformer&) = delete;

  // The map behind the last norm.
  virtual Variable forward(const Context& context, const Variable& map) const = 0;
  virtual std::vector<std::string> attentions() const = 0;
  virtual void visit_linears(const VisitLinear& visit) = 0;
  virtual void count(CostCounter& counter, int64_t tokens) const = 0;
};

// Parameters: transformer.k.{norm1, attn, norm2, mlp}.*, norm.*.
std::unique_ptr<PatchTransformer> make_patch_transformer(const Scope& scope,
                                                         const MobileVitBlockConfig& config);

}  // namespace vitrail
