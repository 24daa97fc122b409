#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "nn/linear.h"
#include "nn/mlp.h"
#include "nn/position_embedding.h"
#include "support/compare.h"
#include "support/random.h"

namespace vitrail {
namespace {

using testing::max_relative_error;
using testing::random_tensor;

TEST(Registry, NamesTiesAndFindsParameters) {
  ParameterRegistry registry;
  const Scope blocks = Scope(registry).child("blocks");
  Parameter& weight = blocks.child(3).in_block(3).parameter(
      "ls1.gamma", {4}, Initializer::constant(0.5), ParameterRole::Kind::scale);
  EXPECT_EQ(weight.path(), "blocks.3.ls1.gamma");
  EXPECT_THROW(blocks.child(3).parameter("ls1.gamma", {4}, {}, ParameterRole::Kind::scale), Error);
  registry.tie("head.gamma", weight);
  EXPECT_EQ(registry.find("head.gamma"), &weight);
  EXPECT_EQ(registry.all().size(), 1u);  // listed and trained once
  try {
    (void)registry.at("blocks.3.ls1.gama");
    FAIL() << "a wrong name was found";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("blocks.3.ls1.gamma"), std::string::npos);
  }
}

TEST(Registry, InitialValuesDependOnSeedAndPathAlone) {
  const auto first_value = [](uint64_t seed, bool with_neighbour) {
    ParameterRegistry registry;
    const Scope root(registry);
    constexpr auto kMatrix = ParameterRole::Kind::matrix;
    if (with_neighbour) root.parameter("a", {100}, Initializer::truncated_normal(0.02), kMatrix);
    Parameter& b = root.parameter("b", {1000}, Initializer::truncated_normal(0.02), kMatrix);
    registry.initialise(seed);
    for (const float value : b.value().values()) EXPECT_LE(std::abs(value), 0.04f);
    return b.value().f32()[0];
  };
  EXPECT_EQ(first_value(1, false), first_value(1, true));
  EXPECT_NE(first_value(1, false), first_value(2, false));
}

// A layer that stands in another's place, as a low-rank adapter would.
class Negated : public Linear {
 public:
  Negated(const Scope& scope, std::unique_ptr<Linear>* inner)
      : Linear(scope, 1, 1), inner_(inner) {}
  Variable forward(const Context& context, const LinearInput& input,
                   const LinearEpilogue& epilogue) const override {
    Tensor y = (*inner_)->forward(context, input, epilogue).value().clone();
    for (float& element : y.values()) element = -element;
    return y;
  }

 private:
  std::unique_ptr<Linear>* inner_;
};

TEST(LinearSlot, TakesAReplacement) {
  ParameterRegistry registry;
  LinearSlot slot(Scope(registry).child("fc"), 3, 2);
  std::unique_ptr<Linear> original;
  auto wrapper = std::make_unique<Negated>(Scope(registry).child("wrapper"), &original);
  registry.initialise(1);
  Queue queue(1);
  const Context context(queue);
  const Variable x = random_tensor({4, 3}, 1);
  const Tensor before = slot->forward(context, x).value();
  original = slot.replace(std::move(wrapper));
  const Tensor after = slot->forward(context, x).value();
  for (int64_t i = 0; i < before.numel(); ++i) EXPECT_EQ(after.f32()[i], -before.f32()[i]);
}

TEST(Mlp, RowsInBlocksGiveTheSameBitsAlsoInPlace) {
  const int64_t rows = 2500, width = 12;  // three blocks, the last one shorter
  ParameterRegistry registry;
  const Mlp mlp(Scope(registry).child("mlp"), {.inputs = width, .hidden = 40});
  registry.initialise(1);
  Queue queue(2);
  const Context context(queue);
  const Variable x = random_tensor({1, rows, width}, 1);
  const Variable residual = random_tensor({1, rows, width}, 2);
  const Tensor whole = mlp.forward(context, x, {.residual = &residual}).value();
  for (const int64_t row : {int64_t{0}, int64_t{833}, int64_t{834}, rows - 1}) {
    const auto part = [&](const Variable& of) -> Variable {
      return of.value().reshape({rows, width}).rows(row, row + 1);
    };
    const Variable one = part(residual);
    const Tensor alone = mlp.forward(context, part(x), {.residual = &one}).value();
    for (int64_t c = 0; c < width; ++c)
      ASSERT_EQ(whole.f32()[row * width + c], alone.f32()[c]) << row;
  }
  const Tensor target = residual.value();
  const Tensor placed =
      mlp.forward(context, x, {.residual = &residual, .destination = &target}).value();
  EXPECT_EQ(placed.raw(), target.raw());
  for (int64_t i = 0; i < whole.numel(); ++i) ASSERT_EQ(target.f32()[i], whole.f32()[i]);
}

TEST(Position, SinusoidsAreThoseOfThePapers) {
  const Tensor line = sinusoidal_1d_table(5, 6);
  EXPECT_FLOAT_EQ(line.f32()[3 * 6 + 2], std::sin(3 / std::pow(10000.0, 2.0 / 6)));
  EXPECT_FLOAT_EQ(line.f32()[3 * 6 + 3], std::cos(3 / std::pow(10000.0, 2.0 / 6)));
  const Tensor plane = sincos_2d_table(2, 3, 8);
  const float* last = plane.f32() + 5 * 8;  // row 1, column 2
  const double omega = std::pow(10000.0, -0.5);
  EXPECT_FLOAT_EQ(last[1], std::sin(2 * omega));
  EXPECT_FLOAT_EQ(last[3], std::cos(2 * omega));
  EXPECT_FLOAT_EQ(last[5], std::sin(1 * omega));
  EXPECT_FLOAT_EQ(last[7], std::cos(1 * omega));
  EXPECT_THROW(sincos_2d_table(2, 2, 6), Error);
  // The lowest frequency is 1/10000 itself.
  const Tensor closed = sincos_2d_table(2, 3, 8, SincosFrequencies::closed);
  const float* end = closed.f32() + 5 * 8;
  EXPECT_FLOAT_EQ(end[0], std::sin(2.0));
  EXPECT_FLOAT_EQ(end[1], std::sin(2.0 / 10000));
  EXPECT_FLOAT_EQ(end[7], std::cos(1.0 / 10000));
  EXPECT_THROW(sincos_2d_table(2, 2, 4, SincosFrequencies::closed), Error);
}

TEST(Position, ALearnedGridFollowsThePictureAndKeepsItsPrefix) {
  for (const PositionResize rule : {PositionResize::bicubic_antialias, PositionResize::bicubic,
                                    PositionResize::bicubic_offset, PositionResize::bilinear}) {
    ParameterRegistry registry;
    const PositionEmbedding position(
        Scope(registry),
        {.embed_dim = 2, .prefix = 1, .grid_height = 4, .grid_width = 4, .resize = rule});
    // A plane over the grid: every rule reproduces it away from the edges.
    Tensor table = Tensor::empty({1, 17, 2});
    for (int64_t i = 0; i < 17; ++i)
      for (int64_t c = 0; c < 2; ++c)
        table.f32()[2 * i + c] = i == 0 ? 9.0f : static_cast<float>((i - 1) / 4 + (i - 1) % 4);
    registry.at("pos_embed").set_value(table);
    Queue queue(1);
    const Context context(queue);
    const Variable same = position.table(context, {.grid_height = 4, .grid_width = 4});
    EXPECT_EQ(same.value().f32()[3], table.f32()[3]);
    const Variable larger = position.table(context, {.grid_height = 8, .grid_width = 8});
    ASSERT_EQ(larger.shape(), (Shape{1, 65, 2}));
    EXPECT_EQ(larger.value().f32()[0], 9.0f);
    const float middle = larger.value().f32()[2 * (1 + 3 * 8 + 4)];  // at 1.25 + 1.75
    EXPECT_NEAR(middle, 3.0f, rule == PositionResize::bicubic_offset ? 0.1 : 0.05);
    // Inference keeps the result; the tape recomputes it and sends gradients back.
    Tape tape;
    Context recording(queue);
    recording.tape = &tape;
    const Variable recorded = position.table(recording, {.grid_height = 8, .grid_width = 8});
    EXPECT_LE(max_relative_error(recorded.value().values(), larger.value().values()), 1e-6);
    tape.backward(queue, recorded);
    double total = 0;
    for (const float g : registry.at("pos_embed").gradient().values()) total += g;
    EXPECT_NEAR(total, 2 * 65, 1e-2);  // weights of every resampled row sum to one
  }
}

}  // namespace
}  // namespace vitrail
