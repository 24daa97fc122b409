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

// visit(name, tensor) for each of the terms, absent ones included.
template <typename Visit>
void for_each_term(const ScoreTerms& terms, Visit visit) {
  const auto placement = [&](const std::string& side, const TokenPlacement& of) {
    visit(side + "_window", of.window);
    visit(side + "_place", of.place);
    visit(side + "_group", of.group);
  };
  placement("query", terms.query);
  placement("key", terms.key);
  visit("table", terms.table);
  visit("index", terms.index);
  visit("query_entry", terms.query_entry);
  visit("key_entry", terms.key_entry);
  visit("rows", terms.rows);
  visit("columns", terms.columns);
  visit("slopes", terms.slopes);
  visit("query_places", terms.query_places);
  visit("key_places", terms.key_places);
  visit("dense", terms.dense);
  visit("by_key", terms.by_key);
}

// The same of what mixes heads.
template <typename Visit>
void for_each_mixing(const MixedHeads& mixing, Visit visit) {
  visit("before", mixing.before);
  visit("before_bias", mixing.before_bias);
  visit("after", mixing.after);
  visit("after_bias", mixing.after_bias);
  visit("norm_weight", mixing.norm_weight);
  visit("norm_bias", mixing.norm_bias);
}

// A layer as it is.
size_t layer_bytes(const LayerAttention& layer, bool half) {
  constexpr size_t kFieldNames = 1024;
  const auto numbers = static_cast<size_t>(layer.q.numel() + layer.k.numel());
  size_t bytes = base85_size(numbers * (half ? 2 : 4)) +
                 base85_size(static_cast<size_t>(layer.lse.numel()) * 4) + kFieldNames;
  const auto add = [&](const std::string&, const Tensor& tensor) {
    if (tensor.defined()) bytes += base85_size(static_cast<size_t>(tensor.numel()) * 4);
  };
  for_each_term(layer.terms, add);
  for_each_mixing(layer.mixing, add);
  return bytes;
}

// Layers may be averaged over cells of patches.
bool are_alike(const std::vector<LayerAttention>& layers) {
  return std::ranges::all_of(layers, [&](const LayerAttention& layer) {
    return !layer.terms.present() && !layer.mixing.present() &&
           layer.q.shape() == layers.front().q.shape() && layer.k.shape() == layer.q.shape();
  });
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
  const char* rollout = explanation.no_rollout.empty() ? " The rollout is exact." : "";
  if (plan.cell > 1)
    return note + fmt::format(
                      ", queries and keys averaged over cells of {0} × {0} patches: the maps of "
                      "single layers are approximate.{1}",
                      plan.cell, rollout);
  if (plan.half)
    return note + fmt::format(
                      ", queries and keys in half precision: rows of the first token differ from "
                      "the exact ones by at most {:.1g}.{}",
                      error, rollout);
  return note + ", in single precision: every map is exact.";
}

}  // namespace

namespace {

// Of layers that differ: all, or as many as fit, evenly spaced; at last those of the end alone,
// which are the smallest.
StoragePlan plan_different(const std::vector<LayerAttention>& layers, size_t max_bytes) {
  const auto total = static_cast<int64_t>(layers.size());
  const auto fits = [&](const std::vector<int64_t>& chosen, bool half) {
    size_t bytes = 0;
    for (const int64_t index : chosen)
      bytes += layer_bytes(layers[static_cast<size_t>(index)], half);
    return bytes <= max_bytes;
  };
  if (fits(spaced_layers(total, total), false))
    return {.half = false, .layers = spaced_layers(total, total)};
  for (int64_t count = total; count > 1; --count)
    if (fits(spaced_layers(total, count), true))
      return {.half = true, .layers = spaced_layers(total, count)};
  StoragePlan plan{.half = true, .layers = {}};
  for (int64_t index = total - 1; index >= 0; --index) {
    plan.layers.insert(plan.layers.begin(), index);
    if (fits(plan.layers, true)) continue;
    plan.layers.erase(plan.layers.begin());
    break;
  }
  return plan;
}

}  // namespace

StoragePlan plan_storage(const Explanation& explanation, size_t max_bytes) {
  const auto total = static_cast<int64_t>(explanation.layers.size());
  if (total == 0) return {};
  if (!are_alike(explanation.layers)) return plan_different(explanation.layers, max_bytes);
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

namespace {

// Tensors by base 85, numbers as they are; what is absent is left out.
nlohmann::json stored_terms(const LayerAttention& layer) {
  const ScoreTerms& terms = layer.terms;
  nlohmann::json out = nlohmann::json::object();
  for_each_term(terms, [&](const std::string& name, const Tensor& tensor) {
    if (!tensor.defined()) return;
    out[name] = tensor.dtype() == DType::i32
                    ? encode_base85(std::as_bytes(
                          std::span(tensor.data<int32_t>(), static_cast<size_t>(tensor.numel()))))
                    : encode(tensor, false);
  });
  // JSON has no infinity.
  out["penalty"] = std::isfinite(terms.penalty) ? nlohmann::json(terms.penalty) : nullptr;
  if (terms.index.defined()) out["entries"] = terms.index.size(1);
  out["prefix"] = terms.prefix;
  out["prefix_entries"] = {terms.prefix_to_token, terms.token_to_prefix, terms.prefix_to_prefix};
  out["height"] = terms.height;
  out["width"] = terms.width;
  out["distance_prefix"] = terms.distance_prefix;
  if (terms.dense.defined()) out["dense_heads"] = terms.dense.size(0);
  if (terms.by_key.defined()) out["by_key_heads"] = terms.by_key.size(0);
  return out;
}

nlohmann::json stored_mixing(const MixedHeads& mixing) {
  nlohmann::json out = {{"norm_epsilon", mixing.norm_epsilon}};
  for_each_mixing(mixing, [&](const std::string& name, const Tensor& tensor) {
    if (tensor.defined()) out[name] = encode(tensor, false);
  });
  return out;
}

nlohmann::json stored_grid(const TokenLayout& layout) {
  return {
      {"prefix", layout.prefix()}, {"rows", layout.grid_height}, {"columns", layout.grid_width}};
}

// `stage`: the tokens of the layer's stage, which its queries are where it does not say others.
nlohmann::json stored_layer(const LayerAttention& layer, const TokenLayout& stage, bool half) {
  nlohmann::json out = {{"path", layer.path},        {"stage", layer.stage},
                        {"heads", layer.heads},      {"dim", layer.head_dim},
                        {"scale", layer.scale},      {"q", encode(layer.q, half)},
                        {"k", encode(layer.k, half)}};
  if (layer.lse.defined()) out["lse"] = encode(layer.lse, false);
  if (layer.mixing.present()) out["mixing"] = stored_mixing(layer.mixing);
  if (layer.queries != stage) out["queries"] = stored_grid(layer.queries);
  if (layer.keys != layer.queries) out["keys"] = stored_grid(layer.keys);
  if (layer.terms.present()) out["terms"] = stored_terms(layer);
  if (layer.padded) out["padded"] = true;
  return out;
}

}  // namespace

nlohmann::json stored_attention(Queue& queue, const Explanation& explanation,
                                const StoragePlan& plan) {
  nlohmann::json layers = nlohmann::json::array(), stages = nlohmann::json::array();
  for (const LayerAttention& layer : explanation.layers) stages.push_back(layer.stage);
  double error = 0;
  for (const int64_t index : plan.layers) {
    const LayerAttention& exact = explanation.layers[static_cast<size_t>(index)];
    if (plan.half && plan.cell == 1) error = std::max(error, rounding_error(queue, exact));
    const LayerAttention layer =
        plan.cell == 1 ? exact : pooled_layer(exact, explanation.layout, plan.cell);
    layers.push_back(
        stored_layer(layer, explanation.stages[static_cast<size_t>(layer.stage)], plan.half));
    layers.back()["index"] = index;
  }
  return {{"precision", plan.half ? "f16" : "f32"},
          {"cell", plan.cell},
          {"total", explanation.layers.size()},
          {"stages", std::move(stages)},
          {"layers", std::move(layers)},
          {"note", note_on(explanation, plan, error)}};
}

}  // namespace vitrail
