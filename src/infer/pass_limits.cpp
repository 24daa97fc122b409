#include "infer/pass_limits.h"

#include "core/advice.h"
#include "core/error.h"
#include "core/machine.h"

namespace vitrail {
namespace {

// Of the pictures alone, whatever the network is.
double image_bytes(const Network& network, const PassSize& size) {
  return sizeof(float) * static_cast<double>(size.batch) *
         static_cast<double>(network.pictures().channels) *
         static_cast<double>(size.picture.height) * static_cast<double>(size.picture.width);
}

double exact_pass_bytes(const Network& network, const PassSize& size, const ModelCost& cost) {
  const auto values = static_cast<double>(cost.largest_values()) +
                      static_cast<double>(size.keeps_attention ? cost.qkv_values() : 0);
  return image_bytes(network, size) * (size.prepares_ahead ? 3 : 2) +
         sizeof(float) * static_cast<double>(size.batch) * values;
}

ModelCost cost_of(const Network& network, const PassSize& size) {
  return network.cost(size.picture.height, size.picture.width);
}

std::string gigabytes(double bytes) {
  return fmt::format("{:.1f} GB", bytes / 1e9);
}

}  // namespace

uint64_t pass_bytes(const Network& network, const PassSize& size) {
  return static_cast<uint64_t>(exact_pass_bytes(network, size, cost_of(network, size)));
}

void check_pass(const Network& network, const PassSize& size, const PassLimits& limits) {
  const double limit =
      static_cast<double>(limits.memory > 0 ? limits.memory : machine_memory() / 2);
  // A size that does not fit is the network's to refuse, and at once where pictures are large.
  constexpr double kSmall = 64e6;
  double needed = image_bytes(network, size);
  ModelCost cost;
  try {
    cost = cost_of(network, size);
    needed = exact_pass_bytes(network, size, cost);
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
  const double scores = cost.scores();
  check(limits.slow || scores <= kMaxAttentionScores, ErrorCode::too_large, "session",
        "a picture of {}x{} has {:.0f} billion scores of attention, above the limit of {:.0f} "
        "billion, and takes minutes to hours; lower {}, or allow it with {}",
        size.picture.height, size.picture.width, scores / 1e9, kMaxAttentionScores / 1e9,
        said(Option::size), said(Option::slow));
}

}  // namespace vitrail
