// Attention with positions, windows and norms against timm and transformers in float64: answers,
// the weights of the softmax, all gradients (tests/golden/attention).
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "formats/safetensors.h"
#include "nn/attention.h"
#include "nn/position/decomposed.h"
#include "nn/position/relative.h"
#include "nn/position/rotary.h"
#include "ops/attention_probe.h"
#include "support/compare.h"

namespace vitrail {
namespace {

using kernels::HeadNormKind;
using testing::max_relative_error;

constexpr double kAnswerBound = 1e-5, kGradientBound = 1e-4;

std::shared_ptr<SafetensorsFile> attention_golden(const std::string& name) {
  const std::filesystem::path folder =
      std::filesystem::path(VITRAIL_SOURCE_DIR) / "tests/golden/attention";
  return SafetensorsFile::open(folder / (name + ".safetensors"));
}

using MakePositions = std::function<std::unique_ptr<PositionStrategy>(const Scope& attention)>;

struct AttentionCase {
  std::string name;
  AttentionConfig config;
  TokenLayout layout;  // of what attends: a window's, where there are windows
  MakePositions positions;
  std::optional<WindowGrid> windows;
  int64_t block = 0;
};

TokenLayout grid_of(int64_t height, int64_t width, int64_t prefix = 0) {
  TokenLayout layout;
  layout.class_tokens = prefix;
  layout.grid_height = height;
  layout.grid_width = width;
  return layout;
}

MakePositions relative(const RelativePositionConfig& config) {
  return
      [config](const Scope& scope) { return std::make_unique<RelativePositions>(scope, config); };
}
MakePositions axial(const RotaryConfig& config, const std::vector<double>& frequencies = {}) {
  return [=](const Scope&) { return std::make_unique<AxialRotary>(config, 8, frequencies); };
}
MakePositions decomposed(const DecomposedPositionConfig& config) {
  return
      [config](const Scope& scope) { return std::make_unique<DecomposedPositions>(scope, config); };
}

std::vector<AttentionCase> attention_cases() {
  std::vector<AttentionCase> cases;
  const AttentionConfig three{.embed_dim = 12, .num_heads = 3, .head_dim = 4};
  const AttentionConfig two{.embed_dim = 16, .num_heads = 2, .head_dim = 8};
  const WindowGrid plain{.grid_height = 7,
                         .grid_width = 9,
                         .window_height = 4,
                         .window_width = 4,
                         .rolls_first = true,
                         .penalty = -100};
  WindowGrid shifted = plain;
  shifted.shift_height = shifted.shift_width = 2;
  WindowGrid pads_first = shifted;
  pads_first.rolls_first = false;
  const MakePositions of_window = relative({.num_heads = 3, .grid_height = 4, .grid_width = 4});
  cases.push_back({"swin_timm", three, grid_of(4, 4), of_window, plain});
  cases.push_back({"swin_timm_shifted", three, grid_of(4, 4), of_window, shifted});
  cases.push_back({"swin_transformers_shifted", three, grid_of(4, 4), of_window, pads_first});
  AttentionConfig cosine = three;
  cosine.qk_norm = true;
  cosine.qk_norm_kind = HeadNormKind::l2;
  cases.push_back({"swinv2_timm_shifted", cosine, grid_of(4, 4), of_window, shifted});

  const AttentionConfig beit{.embed_dim = 8, .num_heads = 2, .head_dim = 4};
  RelativePositionConfig entries{.num_heads = 2, .grid_height = 3, .grid_width = 4, .prefix = 1};
  cases.push_back({"beit_timm", beit, grid_of(3, 4, 1), relative(entries), {}});
  entries.grid_height = 4;
  entries.resize = RelativeResize::bilinear;
  cases.push_back({"beit_transformers_resized", beit, grid_of(5, 3, 1), relative(entries), {}});
  cases.push_back({"relpos_timm",
                   three,
                   grid_of(3, 4, 1),
                   relative({.num_heads = 3, .grid_height = 3, .grid_width = 4, .prefix = 1}),
                   {}});

  AttentionConfig normed = two;
  normed.qk_norm = normed.output_norm = true;
  const TokenLayout behind_class = grid_of(3, 5, 1);
  cases.push_back(
      {"eva_timm", normed, behind_class, axial({.reference_height = 4, .reference_width = 4}), {}});
  cases.push_back({"eva_timm_halves",
                   two,
                   behind_class,
                   axial({.base = 50, .offset = 1, .interleaved = false, .column_first = true}),
                   {}});
  // Bands of 1 to 8 half turns, geometrically.
  std::vector<double> bands;
  for (const double power : {0.0, 1.0})
    bands.push_back(M_PI * std::exp2(power * (std::log2(16.0) - 1)));
  cases.push_back({"eva_timm_pixels",
                   two,
                   behind_class,
                   axial({.coordinates = RotaryCoordinates::pixel}, bands),
                   {}});
  cases.push_back({"dinov3_timm", two, behind_class, axial(dinov3_rotary()), {}});
  cases.push_back({"dinov3_transformers", two, grid_of(3, 5, 5), axial(dinov3_rotary()), {}});
  cases.push_back({"mixed_timm",
                   two,
                   behind_class,
                   nullptr,  // frequencies of all blocks, at the root
                   {},
                   1});

  const AttentionConfig sam{.embed_dim = 12, .num_heads = 2, .head_dim = 6};
  const MakePositions rows = decomposed({.head_dim = 6, .grid_height = 4, .grid_width = 4});
  cases.push_back({"sam_transformers", sam, grid_of(4, 4), rows, {}});
  cases.push_back({"sam_transformers_resized", sam, grid_of(5, 3), rows, {}});
  return cases;
}

class AttentionGolden : public ::testing::TestWithParam<AttentionCase> {};

TEST_P(AttentionGolden, AnswerRowsAndGradientsAgree) {
  const AttentionCase& c = GetParam();
  const auto golden = attention_golden(c.name);
  ParameterRegistry registry;
  const Scope scope = Scope(registry).child("attn");
  const Attention module(scope, c.config);
  std::unique_ptr<PositionStrategy> positions;
  if (c.positions)
    positions = c.positions(scope);
  else
    positions = std::make_unique<MixedRotary>(
        Scope(registry), RotaryConfig{.kind = Rotary::mixed, .base = 10, .column_first = true},
        MixedRotarySize{.depth = 2, .num_heads = 2, .head_dim = 8});
  registry.initialise(1);
  size_t given = 0;
  for (const auto& parameter : registry.all()) {
    ASSERT_NE(golden->find("param." + parameter->path()), nullptr) << parameter->path();
    parameter->set_value(golden->tensor("param." + parameter->path()));
    ++given;
  }
  size_t stored = 0;
  for (const std::string& name : golden->names()) stored += name.starts_with("param.") ? 1 : 0;
  EXPECT_EQ(given, stored);

  std::optional<AttentionWindows> windows;
  if (c.windows) windows = windows_of_grid(*c.windows);
  const auto answer = [&](const Context& context, const Variable& x) {
    AttentionOptions terms;
    positions->describe(context, c.layout, c.block, &terms);
    if (windows) terms.windows = &*windows;
    return module.forward(context, {x}, {}, &terms);
  };
  Queue queue(2);
  Context context(queue);
  AttentionProbe probe({.all_queries = true});
  context.probe = &probe;
  Tape tape;
  context.tape = &tape;
  const Variable x = Variable::leaf(golden->tensor("x"));
  const Variable y = answer(context, x);
  const auto error = [&](const Tensor& ours, const std::string& name) {
    return max_relative_error(ours.values(), golden->tensor(name).values());
  };
  EXPECT_LE(error(y.value(), "answer"), kAnswerBound);
  if (golden->find("rows") != nullptr) {
    EXPECT_LE(error(probe.record("attn").rows, "rows"), kAnswerBound);
  }
  EXPECT_LE(error(answer(Context(queue), x).value(), "answer"), kAnswerBound);

  tape.backward(queue, y, golden->tensor("seed"));
  EXPECT_LE(error(x.gradient(), "grad.x"), kGradientBound);
  for (const auto& parameter : registry.all()) {
    const std::string name = "grad." + parameter->path();
    if (golden->find(name) == nullptr) continue;
    const Tensor gradient = parameter->gradient(), expected = golden->tensor(name);
    for (int64_t i = 0; i < expected.numel(); ++i)  // the library has no gradient there
      if (std::isnan(expected.f32()[i])) gradient.f32()[i] = expected.f32()[i];
    EXPECT_LE(error(gradient, name), kGradientBound) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Libraries, AttentionGolden, ::testing::ValuesIn(attention_cases()),
                         [](const auto& param) { return param.param.name; });

TEST(RelativePositionTable, IsResizedAsTimmDoes) {
  const auto golden = attention_golden("resized_tables");
  Queue queue(1);
  struct Resize {
    const char* name;
    int64_t from, height, width, prefix;
  };
  for (const Resize& r :
       {Resize{"grown", 4, 7, 7, 1}, Resize{"shrunk", 6, 3, 3, 0}, Resize{"turned", 4, 6, 3, 1}})
    for (const auto& [rule, name] : {std::pair{RelativeResize::geometric, ".geometric"},
                                     std::pair{RelativeResize::bicubic, ".bicubic"}}) {
      SCOPED_TRACE(std::string(r.name) + name);
      const Tensor ours = resize_relative_table(
          queue, golden->tensor(std::string(r.name) + ".table"),
          {.grid_height = r.from, .grid_width = r.from, .prefix = r.prefix, .resize = rule},
          r.height, r.width);
      EXPECT_LE(
          max_relative_error(ours.values(), golden->tensor(std::string(r.name) + name).values()),
          1e-5);
    }
}

}  // namespace
}  // namespace vitrail
