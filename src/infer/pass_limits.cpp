#include "infer/pass_limits.h"

#include <algorithm>

#include "core/advice.h"
#include "core/error.h"
#include "core/machine.h"
#include "infer/cost.h"

namespace vitrail {
namespace {

// Of the pictures alone, whatever the network is.
double image_bytes(const VisionTransformer& network, const PassSize& size) {
  return sizeof(float) * static_cast<double>(size.batch) *
         static_cast<double>(network.config().in_channels) *
         static_cast<double>(size.picture.height) * static_cast<double>(size.picture.width);
}

double exact_pass_bytes(const VisionTransformer& network, const PassSize& size) {
  const VisionTransformerConfig& config = network.config();
  const ModelCost cost = model_cost(network, size.picture.height, size.picture.width);
  const auto tokens = static_cast<double>(cost.tokens);
  const auto inner = static_cast<double>(config.num_heads * config.head_size());
  const auto hidden = static_cast<double>(config.mlp_hidden());
  // A block holds its input, its sum and its norm, and either q, k, v and their mix or the MLP's
  // hidden layer, twice where that is gated.
  const double block =
      tokens * (3 * static_cast<double>(config.embed_dim) + std::max(4 * inner, 2 * hidden));
  double largest = block;
  // A stage of convolutions: what goes in, what comes out, and what is between.
  for (const LayerCost& layer : cost.layers)
    largest = std::max(largest, 3 * static_cast<double>(layer.output.numel()));
  const double kept =
      size.keeps_attention ? static_cast<double>(config.depth) * tokens * 3 * inner : 0;
  return image_bytes(network, size) * (size.prepares_ahead ? 3 : 2) +
         sizeof(float) * static_cast<double>(size.batch) * (largest + kept);
}

double attention_scores(const VisionTransformer& network, const PassSize& size) {
  const VisionTransformerConfig& config = network.config();
  const auto tokens =
      static_cast<double>(network.layout(size.picture.height, size.picture.width).tokens());
  return tokens * tokens * static_cast<double>(config.num_heads * config.depth);
}

std::string gigabytes(double bytes) {
  return fmt::format("{:.1f} GB", bytes / 1e9);
}

}  // namespace

uint64_t pass_bytes(const VisionTransformer& network, const PassSize& size) {
  return static_cast<uint64_t>(exact_pass_bytes(network, size));
}

void check_pass(const VisionTransformer& network, const PassSize& size, const PassLimits& limits) {
  const double limit =
      static_cast<double>(limits.memory > 0 ? limits.memory : machine_memory() / 2);
  // A size that does not fit is the network's to refuse, and at once where pictures are large.
  constexpr double kSmall = 64e6;
  double needed = image_bytes(network, size);
  try {
    needed = exact_pass_bytes(network, size);
  } catch (const Error&) {
    if (needed > kSmall) throw;
    return;
  }
  check(needed <= limit, ErrorCode::too_large, "session",
        "a pass of {} at {}x{} takes about {}, above the limit of {}; lower {} or {}, or allow it "
        "with {}",
        size.batch == 1 ? "one picture" : fmt::format("{} pictures", size.batch),
        size.picture.height, size.picture.width, gigabytes(needed), gigabytes(limit),
        said(Option::size), said(Option::batch),
        said_gigabytes(Option::memory, static_cast<int64_t>(needed / 1e9) + 1));
  const double scores = attention_scores(network, size);
  check(limits.slow || scores <= kMaxAttentionScores, ErrorCode::too_large, "session",
        "a picture of {}x{} has {:.0f} billion scores of attention, above the limit of {:.0f} "
        "billion, and takes minutes to hours; lower {}, or allow it with {}",
        size.picture.height, size.picture.width, scores / 1e9, kMaxAttentionScores / 1e9,
        said(Option::size), said(Option::slow));
}

}  // namespace vitrail
