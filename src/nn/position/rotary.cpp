#include "nn/position/rotary.h"

#include <cmath>
#include <numbers>
#include <utility>

#include "core/error.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

constexpr double kTurn = 2 * std::numbers::pi;

// Every head's frequencies have the directions of a random rotation (Heo et al. 2024, section 3.2):
// here those of heads and blocks in equal steps, which needs no generator.
Tensor first_frequencies(double base, const MixedRotarySize& c) {
  Tensor out = Tensor::empty({2, c.depth, c.num_heads, c.head_dim / 2});
  const int64_t half = c.head_dim / 2, quarter = c.head_dim / 4;
  const auto heads = static_cast<double>(c.depth * c.num_heads);
  for (int64_t at = 0; at < out.numel() / 2; ++at) {
    const int64_t i = at % half;
    const double size =
        std::pow(base, -static_cast<double>(i % quarter) / static_cast<double>(quarter));
    const double direction =
        kTurn * static_cast<double>(at / half) / heads + (i < quarter ? 0 : std::numbers::pi / 2);
    out.f32()[at] = static_cast<float>(size * std::cos(direction));
    out.f32()[out.numel() / 2 + at] = static_cast<float>(size * std::sin(direction));
  }
  return out;
}

// Of what is derived from a parameter for a grid.
std::string key_of(const TokenLayout& layout) {
  return "rotary." + std::to_string(layout.grid_height) + "x" + std::to_string(layout.grid_width) +
         "+" + std::to_string(layout.prefix());
}

// Of a coordinate, in every angle.
double factor_of(const RotaryConfig& config) {
  return config.coordinates == RotaryCoordinates::centred ? kTurn : 1.0;
}

}  // namespace

RotaryConfig dinov3_rotary(double base) {
  return {.kind = Rotary::axial,
          .base = base,
          .coordinates = RotaryCoordinates::centred,
          .interleaved = false};
}

AxialRotary::AxialRotary(const Scope& scope, const RotaryConfig& config, int64_t head_dim)
    : AxialRotary(config, head_dim) {
  Tensor periods = Tensor::empty({head_dim / 4});
  for (int64_t i = 0; i < periods.numel(); ++i)
    periods.f32()[i] = static_cast<float>(factor_of(config) / frequencies_[i]);
  periods_ = &scope.buffer("periods", periods.shape(), Initializer::table(periods));
}

AxialRotary::AxialRotary(const RotaryConfig& config, int64_t head_dim,
                         std::vector<double> frequencies)
    : config_(config), head_dim_(head_dim), frequencies_(std::move(frequencies)) {
  check(head_dim > 0 && head_dim % 4 == 0, "position",
        "rotary positions on two axes need a head_dim divisible by 4, not {}", head_dim);
  const int64_t quarter = head_dim / 4;
  if (frequencies_.empty()) {
    check(config.base > 0, "position", "rotary positions need a base above 0, not {}", config.base);
    const double factor = factor_of(config);
    for (int64_t i = 0; i < quarter; ++i)
      frequencies_.push_back(
          factor * std::pow(config.base, -static_cast<double>(i) / static_cast<double>(quarter)));
  }
  check(static_cast<int64_t>(frequencies_.size()) == quarter, "position",
        "{} frequencies do not turn heads of {}: it takes {}", frequencies_.size(), head_dim,
        quarter);
}

double AxialRotary::coordinate(int64_t index, int64_t size, int64_t reference) const {
  const auto place = static_cast<double>(index), count = static_cast<double>(size);
  double out = 0;
  switch (config_.coordinates) {
    case RotaryCoordinates::index:
      out = place + config_.offset;
      break;
    case RotaryCoordinates::centred:
      return 2 * (place + 0.5 + config_.offset) / count - 1;
    case RotaryCoordinates::pixel:
      out = size == 1 ? -1 : -1 + 2 * place / (count - 1);
      break;
  }
  return reference > 0 ? out / count * static_cast<double>(reference) : out;
}

Tensor AxialRotary::angles(int64_t height, int64_t width) const {
  return angles(frequencies_, height, width);
}

Tensor AxialRotary::angles(const std::vector<double>& frequencies, int64_t height,
                           int64_t width) const {
  const auto quarter = static_cast<int64_t>(frequencies.size());
  Tensor out = Tensor::empty({height * width, 2 * quarter});
  for (int64_t n = 0; n < height * width; ++n) {
    const double y = coordinate(n / width, height, config_.reference_height);
    const double x = coordinate(n % width, width, config_.reference_width);
    float* row = out.f32() + n * 2 * quarter;
    for (int64_t i = 0; i < quarter; ++i) {
      row[i] = static_cast<float>((config_.column_first ? x : y) * frequencies[i]);
      row[quarter + i] = static_cast<float>((config_.column_first ? y : x) * frequencies[i]);
    }
  }
  return out;
}

RotaryPositions AxialRotary::positions(const std::vector<double>& frequencies,
                                       const TokenLayout& layout) const {
  const Tensor table = angles(frequencies, layout.grid_height, layout.grid_width);
  return rotary_positions(table.reshape({1, table.size(0), table.size(1)}), layout.prefix(),
                          config_.interleaved);
}

void AxialRotary::describe(const Context& /*context*/, const TokenLayout& layout, int64_t /*block*/,
                           AttentionOptions* options) const {
  if (periods_ == nullptr) {
    options->q_rotary = options->k_rotary =
        *cache_.get(layout, [&] { return positions(frequencies_, layout); });
    return;
  }
  options->q_rotary = options->k_rotary =
      *periods_->derived<RotaryPositions>(key_of(layout), [&](const Tensor& periods) {
        std::vector<double> frequencies;
        for (const float period : periods.values())
          frequencies.push_back(factor_of(config_) / static_cast<double>(period));
        return positions(frequencies, layout);
      });
}

MixedRotary::MixedRotary(const Scope& scope, const RotaryConfig& config,
                         const MixedRotarySize& size)
    : config_(config),
      size_(size),
      frequencies_(scope.parameter("freqs", {2, size.depth, size.num_heads, size.head_dim / 2},
                                   Initializer::table(first_frequencies(config.base, size)),
                                   ParameterRole::Kind::position)) {
  check(size.head_dim % 4 == 0, "position",
        "mixed rotary positions need a head_dim divisible by 4, not {}", size.head_dim);
}

RotaryPositions MixedRotary::positions(const Context& context, const TokenLayout& layout,
                                       int64_t block) const {
  const Tensor rows_first = grid_places(layout.grid_height, layout.grid_width);
  Tensor places = rows_first;
  if (config_.column_first) {
    places = Tensor::empty(rows_first.shape());
    for (int64_t i = 0; i < places.numel(); ++i) places.f32()[i] = rows_first.f32()[i ^ 1];
  }
  const Variable own =
      reshape(context, slice(context, frequencies_.variable(), 1, block, block + 1),
              {2, size_.num_heads, size_.head_dim / 2});
  return rotary_positions(rotary_angles(context, places, own), layout.prefix(), true);
}

void MixedRotary::describe(const Context& context, const TokenLayout& layout, int64_t block,
                           AttentionOptions* options) const {
  check(block >= 0 && block < size_.depth, "position",
        "block {} has no rotary frequencies: there are {}", block, size_.depth);
  if (context.tape != nullptr) {
    options->q_rotary = options->k_rotary = positions(context, layout, block);
    return;
  }
  const std::string key = key_of(layout) + "." + std::to_string(block);
  options->q_rotary = options->k_rotary = *frequencies_.derived<RotaryPositions>(
      key, [&](const Tensor&) { return positions(context, layout, block); });
}

}  // namespace vitrail
