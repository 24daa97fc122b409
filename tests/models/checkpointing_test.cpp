// Activation checkpointing of every network: blocks that run again in the backward pass, when
// forward() has returned, give the gradients of blocks that were kept.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "models/golden_model.h"
#include "support/random.h"

namespace vitrail {
namespace {

// Over what forward() left behind on the stack.
__attribute__((noinline)) void write_over_the_stack() {
  volatile char below[1 << 16];
  for (volatile char& byte : below) byte = 0x55;
}

// By parameter; undefined where it has none.
std::vector<Tensor> gradients_of(Queue& queue, Network& network, const Tensor& images, bool again) {
  network.parameters().clear_gradients();
  Tape tape;
  Context context(queue);
  context.tape = &tape;
  context.activation_checkpointing = again;
  const Variable tokens = network.backbone().forward(context, images).back().tokens;
  write_over_the_stack();
  const std::vector<Tape::Seed> seeds{{tokens, testing::random_tensor(tokens.shape(), 3)}};
  tape.backward(queue, seeds);
  std::vector<Tensor> all;
  for (const auto& parameter : network.parameters().all()) {
    const Tensor gradient = parameter->gradient();
    all.push_back(gradient.defined() ? gradient.clone() : Tensor());
  }
  return all;
}

TEST(Checkpointing, GivesTheGradientsOfWhatWasKept) {
  Queue queue(1);
  std::map<std::string, int> checked;  // of each family of goldens
  for (const std::string& name : testing::golden_case_names()) {
    if (++checked[name.substr(0, name.find('/'))] > 3) continue;
    SCOPED_TRACE(name);
    const testing::GoldenCase golden = testing::open_golden(name);
    const testing::GoldenModel model = testing::load_golden_model(golden);
    Network& network = *model.network;
    const Tensor& images = golden.at("input");
    const std::vector<Tensor> kept = gradients_of(queue, network, images, false);
    const std::vector<Tensor> again = gradients_of(queue, network, images, true);
    for (size_t i = 0; i < kept.size(); ++i) {
      const std::string& path = network.parameters().all()[i]->path();
      ASSERT_EQ(kept[i].defined(), again[i].defined()) << path;
      if (!kept[i].defined()) continue;
      EXPECT_TRUE(std::ranges::equal(kept[i].values(), again[i].values())) << path;
    }
  }
  EXPECT_GT(checked.size(), 15u);
}

}  // namespace
}  // namespace vitrail
