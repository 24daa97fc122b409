// What a pass takes is known before it begins.
#include "infer/pass_limits.h"

#include <gtest/gtest.h>

#include "core/memory.h"
#include "infer/session.h"
#include "infer/small_models.h"
#include "support/errors.h"

namespace vitrail {
namespace {

TEST(PassLimits, GrowWithBatchAndPixels) {
  const auto model = random_model("vit_tiny_patch16_224", 0, {});
  const auto bytes = [&](int64_t batch, int side) {
    return pass_bytes(*model->network, {.batch = batch, .picture = {side, side}});
  };
  EXPECT_EQ(bytes(4, 224), 4 * bytes(1, 224));
  EXPECT_GT(bytes(1, 448), 3 * bytes(1, 224));
  EXPECT_GT(pass_bytes(*model->network, {.picture = {224, 224}, .keeps_attention = true}),
            bytes(1, 224));
}

// The estimate is no less than what a pass takes, and no more than four times that.
TEST(PassLimits, EstimateWhatAPassTakes) {
  const auto model = random_model("vit_tiny_patch16_224", 0, {});
  Session session(model, {.threads = 1});
  const Tensor images = Tensor::zeros({4, 3, 224, 224});
  session.run(images);
  release_cached_memory();
  const size_t before = memory_stats().bytes_in_use - images.numel() * sizeof(float);
  reset_peak_memory();
  session.run(images);
  const size_t taken = memory_stats().peak_in_use - before;
  const uint64_t estimate = pass_bytes(*model->network, {.batch = 4, .picture = {224, 224}});
  EXPECT_GE(estimate, taken);
  EXPECT_LE(estimate, 4 * taken);
}

TEST(PassLimits, RefuseInOneLineBeforeAllocating) {
  const auto model = random_model("vit_tiny_patch16_224", 0, {});
  const auto refusal = [&](int side, const PassLimits& limits) -> std::string {
    try {
      check_pass(*model->network, {.picture = {side, side}}, limits);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refusal(224, {}), "");
  EXPECT_NE(refusal(16384, {.memory = 1'000'000'000}).find("allow it with SessionOptions::memory"),
            std::string::npos);
  EXPECT_NE(refusal(8192, {.memory = uint64_t{1} << 50}).find("allow it with SessionOptions::slow"),
            std::string::npos);
  EXPECT_EQ(refusal(8192, {.memory = uint64_t{1} << 50, .slow = true}), "");
}

}  // namespace
}  // namespace vitrail
