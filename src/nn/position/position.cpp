#include "nn/position/position.h"

namespace vitrail {

Variable PositionStrategy::table(const Context& /*context*/, const TokenLayout& /*layout*/) const {
  return {};
}

void PositionStrategy::describe(const Context& /*context*/, const TokenLayout& /*layout*/,
                                int64_t /*block*/, AttentionOptions* /*options*/) const {}

}  // namespace vitrail
