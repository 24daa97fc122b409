#include "ops/attention_terms.h"

#include <algorithm>
#include <cmath>

namespace vitrail {
namespace {

int64_t round_up_to(int64_t value, int64_t step) {
  return (value + step - 1) / step * step;
}

// One axis of a grid that is padded, rolled and cut.
struct WindowAxis {
  int64_t size, window, shift;
  bool rolls_first;
  int64_t padded() const { return round_up_to(size, window); }
  // The token that comes to lie at a place of the rolled axis; -1: padding.
  int64_t token(int64_t place) const {
    if (rolls_first) return place < size ? (place + shift) % size : -1;
    const int64_t from = (place + shift) % padded();
    return from < size ? from : -1;
  }
  // The last window holds what was rolled over from the other end.
  int64_t group(int64_t place) const {
    if (shift == 0 || place < padded() - window) return 0;
    return place < padded() - shift ? 1 : 2;
  }
};

}  // namespace

AttentionWindows windows_of_grid(const WindowGrid& grid) {
  const WindowAxis y{grid.grid_height, grid.window_height, grid.shift_height, grid.rolls_first};
  const WindowAxis x{grid.grid_width, grid.window_width, grid.shift_width, grid.rolls_first};
  for (const WindowAxis& axis : {y, x})
    check(axis.size > 0 && axis.window > 0 && axis.shift >= 0 && axis.shift < axis.window,
          "attention windows",
          "a grid of {}x{} has no windows of {}x{} shifted by {}x{}: all must be positive, and a "
          "shift smaller than the window",
          grid.grid_height, grid.grid_width, grid.window_height, grid.window_width,
          grid.shift_height, grid.shift_width);
  const int64_t across = x.padded() / x.window, down = y.padded() / y.window;
  AttentionWindows out{.windows = across * down,
                       .tokens = y.window * x.window,
                       .memory = y.size * x.size,
                       .penalty = grid.penalty};
  out.rows = Tensor::empty({out.windows, out.tokens}, DType::i32);
  const bool mixes = y.shift == 0 && x.shift == 0;
  if (!mixes) out.groups = Tensor::empty({out.windows, out.tokens}, DType::i32);
  for (int64_t at = 0; at < out.windows * out.tokens; ++at) {
    const int64_t window = at / out.tokens, token = at % out.tokens;
    const int64_t row = window / across * y.window + token / x.window;
    const int64_t column = window % across * x.window + token % x.window;
    const int64_t from_row = y.token(row), from_column = x.token(column);
    out.rows.data<int32_t>()[at] = from_row < 0 || from_column < 0
                                       ? -1
                                       : static_cast<int32_t>(from_row * x.size + from_column);
    if (!mixes)
      out.groups.data<int32_t>()[at] = static_cast<int32_t>(3 * y.group(row) + x.group(column));
  }
  return out;
}

AttentionWindows::Place AttentionWindows::place_of(int64_t token) const {
  const auto* begin = rows.data<int32_t>();
  const auto* found = std::find(begin, begin + rows.numel(), static_cast<int32_t>(token));
  check(token >= 0 && found != begin + rows.numel(), "attention windows",
        "token {} is outside the {} of a sample", token, memory);
  return {(found - begin) / tokens, (found - begin) % tokens};
}

RelativeIndex relative_grid(int64_t height, int64_t width, int64_t prefix,
                            bool prefix_has_entries) {
  check(height > 0 && width > 0 && prefix >= 0, "attention", "a grid of {}x{} has no positions",
        height, width);
  const int64_t span = 2 * width - 1, tokens = prefix + height * width;
  const bool more = prefix > 0 && prefix_has_entries;
  RelativeIndex out{.entries = (2 * height - 1) * span + (more ? 3 : 0),
                    .query_entry = Tensor::zeros({tokens}, DType::i32),
                    .key_entry = Tensor::zeros({tokens}, DType::i32),
                    .prefix = prefix,
                    .prefix_has_entries = prefix_has_entries};
  for (int64_t i = 0; i < height * width; ++i) {
    const auto entry = static_cast<int32_t>(i / width * span + i % width);
    out.key_entry.data<int32_t>()[prefix + i] = entry;
    out.query_entry.data<int32_t>()[prefix + i] =
        entry + static_cast<int32_t>((height - 1) * span + width - 1);
  }
  return out;
}

RelativeIndex relative_index(const Tensor& index, int64_t entries) {
  check(index.rank() == 2 && index.dtype() == DType::i32, "attention",
        "an index of relative positions is i32 [Nq, Nk], not {}", index.shape().str());
  const auto* begin = index.data<int32_t>();
  const bool fits = std::all_of(begin, begin + index.numel(), [entries](int32_t entry) {
    return entry >= -1 && entry < entries;
  });
  check(fits, "attention", "an index of relative positions goes beyond its {} entries", entries);
  return {.entries = entries, .index = index};
}

Tensor grid_places(int64_t height, int64_t width, int64_t prefix) {
  Tensor places = Tensor::zeros({prefix + height * width, 2});
  for (int64_t i = 0; i < height * width; ++i) {
    places.f32()[2 * (prefix + i)] = static_cast<float>(i / width);
    places.f32()[2 * (prefix + i) + 1] = static_cast<float>(i % width);
  }
  return places;
}

Variable exponential_gain(const Context& context, const Variable& x, double most) {
  Tensor gain = Tensor::empty(x.shape());
  for (int64_t i = 0; i < x.value().numel(); ++i)
    gain.f32()[i] =
        static_cast<float>(std::exp(std::min(static_cast<double>(x.value().f32()[i]), most)));
  if (!records(context, {&x})) return gain;
  return context.tape->record("exponential_gain", gain, {x},
                              [x, gain, most](Queue& queue, const Tensor& gradient) {
                                Tensor dx = Tensor::zeros(x.shape());
                                for (int64_t i = 0; i < dx.numel(); ++i)
                                  if (static_cast<double>(x.value().f32()[i]) <= most)
                                    dx.f32()[i] = gradient.f32()[i] * gain.f32()[i];
                                x.slot()->accumulate(queue, std::move(dx));
                              });
}

RotaryPositions rotary_positions(const Variable& angles, int64_t prefix, bool interleaved) {
  check(angles.shape().rank() == 3, "attention", "rotary angles are [H, N, d/2], not {}",
        angles.shape().str());
  RotaryPositions out{.angles = angles,
                      .cosine = Tensor::empty(angles.shape()),
                      .sine = Tensor::empty(angles.shape()),
                      .prefix = prefix,
                      .interleaved = interleaved};
  for (int64_t i = 0; i < angles.value().numel(); ++i) {
    const auto angle = static_cast<double>(angles.value().f32()[i]);
    out.cosine.f32()[i] = static_cast<float>(std::cos(angle));
    out.sine.f32()[i] = static_cast<float>(std::sin(angle));
  }
  return out;
}

Variable rotary_angles(const Context& context, const Tensor& places, const Variable& frequencies) {
  check(frequencies.shape().rank() == 3 && frequencies.size(0) == 2 && places.rank() == 2 &&
            places.size(1) == 2,
        "attention", "frequencies {} and places {} must be [2, H, d/2] and [N, 2]",
        frequencies.shape().str(), places.shape().str());
  const int64_t heads = frequencies.size(1), tokens = places.size(0), pairs = frequencies.size(2);
  Tensor angles = Tensor::empty({heads, tokens, pairs});
  // visit(place of the angle, axis, place of the frequency, coordinate)
  const auto for_each = [=](const auto& visit) {
    for (int64_t i = 0; i < heads * tokens * pairs; ++i)
      for (int64_t axis = 0; axis < 2; ++axis)
        visit(i, axis, (axis * heads + i / (tokens * pairs)) * pairs + i % pairs,
              places.f32()[2 * (i / pairs % tokens) + axis]);
  };
  const float* f = frequencies.value().f32();
  for_each([&](int64_t i, int64_t axis, int64_t at, float coordinate) {
    angles.f32()[i] = (axis == 0 ? 0.0f : angles.f32()[i]) + coordinate * f[at];
  });
  if (!records(context, {&frequencies})) return angles;
  return context.tape->record("rotary_angles", angles, {frequencies},
                              [frequencies, for_each](Queue& queue, const Tensor& gradient) {
                                Tensor d = Tensor::zeros(frequencies.shape());
                                for_each([&](int64_t i, int64_t, int64_t at, float coordinate) {
                                  d.f32()[at] += gradient.f32()[i] * coordinate;
                                });
                                frequencies.slot()->accumulate(queue, std::move(d));
                              });
}

}  // namespace vitrail
