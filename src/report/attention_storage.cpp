#include "report/attention_storage.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/dtype.h"
#include "report/text_encoding.h"

namespace vitrail {
namespace {

int64_t cells(int64_t patches, int64_t cell) {
  return (patches + cell - 1) / cell;
}

int64_t stored_tokens(const TokenLayout& layout, int64_t cell) {
  return layout.prefix() + cells(layout.grid_height, cell) * cells(layout.grid_width, cell);
}

size_t layer_bytes(const LayerAttention& layer, int64_t tokens, bool half) {
  constexpr size_t kFieldNames = 256;
  const auto numbers = static_cast<size_t>(layer.heads * tokens * layer.head_dim);
  return 2 * base85_size(numbers * (half ? 2 : 4)) +
         base85_size(static_cast<size_t>(layer.heads * tokens) * 4) + kFieldNames;
}

// `count` of `total` layers, evenly spaced, the first and the last among them.
std::vector<int64_t> spaced_layers(int64_t total, int64_t count) {
  if (count == 1) return {total - 1};
  std::vector<int64_t> layers;
  for (int64_t i = 0; i < count; ++i)
    layers.push_back((i * (total - 1) + (count - 1) / 2) / (count - 1));
  return layers;
}

template <typename T>
std::string encode(const std::vector<T>& values) {
  return encode_base85(std::as_bytes(std::span(values)));
}
std::string encode(const Tensor& values, bool half) {
  if (!half) return encode_base85(std::as_bytes(values.values()));
  std::vector<uint16_t> bits;
  for (const float value : values.values()) bits.push_back(f32_to_f16(value));
  return encode(bits);
}

Tensor rounded_to_half(const Tensor& values) {
  return values.to(DType::f16).to(DType::f32);
}

// How far rows of the first token, in every head, are from exact once q and k were rounded.
double rounding_error(Queue& queue, const LayerAttention& layer) {
  LayerAttention rounded = layer;
  rounded.q = rounded_to_half(layer.q);
  rounded.k = rounded_to_half(layer.k);
  double largest = 0;
  for (int64_t head = 0; head < layer.heads; ++head) {
    const std::vector<float> exact = attention_row(queue, layer, head, 0);
    const std::vector<float> stored = attention_row(queue, rounded, head, 0);
    for (size_t i = 0; i < exact.size(); ++i)
      largest = std::max(largest, static_cast<double>(std::abs(exact[i] - stored[i])));
  }
  return largest;
}

std::string note_on(const Explanation& explanation, const StoragePlan& plan, double error) {
  const size_t total = explanation.layers.size(), kept = plan.layers.size();
  if (kept == 0) return "Queries and keys of this picture are too large for a page of 10 MB.";
  std::string note = kept == total
                         ? fmt::format("Queries, keys and log-sum-exp of all {} layers", total)
                         : fmt::format(
                               "To stay below 10 MB, queries, keys and log-sum-exp of {} of "
                               "the {} layers, evenly spaced",
                               kept, total);
  if (plan.cell > 1)
    return note + fmt::format(
                      ", queries and keys averaged over cells of {0} × {0} patches: the maps of "
                      "single layers are approximate. The rollout is exact.",
                      plan.cell);
  if (plan.half)
    return note + fmt::format(
                      ", queries and keys in half precision: rows of the first token differ from "
                      "the exact ones by at most {:.1g}. The rollout is exact.",
                      error);
  return note + ", in single precision: every map is exact.";
}

}  // namespace

StoragePlan plan_storage(const Explanation& explanation, size_t max_bytes) {
  const auto total = static_cast<int64_t>(explanation.layers.size());
  if (total == 0) return {};
  const TokenLayout& layout = explanation.layout;
  const auto that_fit = [&](int64_t cell, bool half) {
    const size_t bytes = layer_bytes(explanation.layers.front(), stored_tokens(layout, cell), half);
    return std::min(total, static_cast<int64_t>(max_bytes / bytes));
  };
  if (that_fit(1, false) == total) return {.layers = spaced_layers(total, total)};
  const int64_t in_half = that_fit(1, true);
  if (in_half == total || in_half >= 2)
    return {.half = true, .layers = spaced_layers(total, in_half)};
  // Approximate anyway: then at least half of the layers.
  const int64_t largest_cell = std::max(layout.grid_height, layout.grid_width);
  for (int64_t cell = 2; cell < largest_cell; ++cell)
    if (const int64_t count = that_fit(cell, true); count >= std::max<int64_t>(2, (total + 1) / 2))
      return {.half = true, .cell = cell, .layers = spaced_layers(total, count)};
  const int64_t count = that_fit(largest_cell, true);
  if (count == 0) return {};
  return {.half = true, .cell = largest_cell, .layers = spaced_layers(total, count)};
}

LayerAttention pooled_layer(const LayerAttention& layer, const TokenLayout& layout, int64_t cell) {
  const int64_t tokens = layout.tokens(), stored = stored_tokens(layout, cell);
  const int64_t dim = layer.head_dim, columns = cells(layout.grid_width, cell);
  std::vector<int64_t> place(static_cast<size_t>(tokens));
  std::vector<double> size(static_cast<size_t>(stored));
  for (int64_t token = 0; token < tokens; ++token) {
    const int64_t patch = token - layout.prefix();
    place[static_cast<size_t>(token)] = patch < 0 ? token
                                                  : layout.prefix() +
                                                        patch / layout.grid_width / cell * columns +
                                                        patch % layout.grid_width / cell;
    ++size[static_cast<size_t>(place[static_cast<size_t>(token)])];
  }

  LayerAttention pooled = layer;
  pooled.q = Tensor::zeros({layer.heads, stored, dim});
  pooled.k = Tensor::zeros({layer.heads, stored, dim});
  pooled.lse = Tensor::empty({layer.heads, stored});
  for (int64_t head = 0; head < layer.heads; ++head) {
    const auto average = [&](const Tensor& from, const Tensor& to) {
      for (int64_t token = 0; token < tokens; ++token) {
        const int64_t at = place[static_cast<size_t>(token)];
        const auto share = static_cast<float>(1 / size[static_cast<size_t>(at)]);
        for (int64_t i = 0; i < dim; ++i)
          to.f32()[(head * stored + at) * dim + i] +=
              share * from.f32()[(head * tokens + token) * dim + i];
      }
    };
    average(layer.q, pooled.q);
    average(layer.k, pooled.k);
    std::vector<double> scores(static_cast<size_t>(stored));
    for (int64_t query = 0; query < stored; ++query) {
      const float* q = pooled.q.f32() + (head * stored + query) * dim;
      for (int64_t key = 0; key < stored; ++key) {
        const float* k = pooled.k.f32() + (head * stored + key) * dim;
        scores[static_cast<size_t>(key)] = layer.scale * std::inner_product(q, q + dim, k, 0.0) +
                                           std::log(size[static_cast<size_t>(key)]);
      }
      const double largest = *std::max_element(scores.begin(), scores.end());
      double sum = 0;
      for (const double score : scores) sum += std::exp(score - largest);
      pooled.lse.f32()[head * stored + query] = static_cast<float>(largest + std::log(sum));
    }
  }
  return pooled;
}

nlohmann::json stored_attention(Queue& queue, const Explanation& explanation,
                                const StoragePlan& plan) {
  nlohmann::json layers = nlohmann::json::array();
  double error = 0;
  for (const int64_t index : plan.layers) {
    const LayerAttention& exact = explanation.layers[static_cast<size_t>(index)];
    if (plan.half && plan.cell == 1) error = std::max(error, rounding_error(queue, exact));
    const LayerAttention layer =
        plan.cell == 1 ? exact : pooled_layer(exact, explanation.layout, plan.cell);
    layers.push_back({{"index", index},
                      {"path", layer.path},
                      {"heads", layer.heads},
                      {"dim", layer.head_dim},
                      {"scale", layer.scale},
                      {"q", encode(layer.q, plan.half)},
                      {"k", encode(layer.k, plan.half)},
                      {"lse", encode(layer.lse, false)}});
  }
  return {{"precision", plan.half ? "f16" : "f32"},
          {"cell", plan.cell},
          {"total", explanation.layers.size()},
          {"layers", std::move(layers)},
          {"note", note_on(explanation, plan, error)}};
}

}  // namespace vitrail
