#include <array>

#include "core/error.h"
#include "formats/json.h"
#include "models/families/draft.h"

namespace vitrail {
namespace {

using C = VisionTransformerConfig;

Activation activation_of(const std::string& name, const std::string& place) {
  static constexpr std::array<std::pair<const char*, Activation>, 8> kNames = {
      {{"gelu", Activation::gelu},
       {"gelu_python", Activation::gelu},
       {"gelu_pytorch_tanh", Activation::gelu_tanh},
       {"gelu_new", Activation::gelu_tanh},
       {"quick_gelu", Activation::quick_gelu},
       {"relu", Activation::relu},
       {"silu", Activation::silu},
       {"swish", Activation::silu}}};
  for (const auto& [text, value] : kNames)
    if (name == text) return value;
  fail("transformers",
       "{}: hidden_act '{}' is not supported; gelu, gelu_pytorch_tanh, quick_gelu, "
       "relu and silu are",
       place, name.substr(0, 40));
}

std::pair<int64_t, int64_t> sides(const Json& config, const char* key, int64_t otherwise,
                                  const std::string& place) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return {otherwise, otherwise};
  if (found->is_array()) {
    const auto pair = get<std::vector<int64_t>>(config, key, place);
    if (pair.size() != 2) fail("transformers", "{}: {} takes one number or two", place, key);
    return {pair[0], pair[1]};
  }
  const auto side = get<int64_t>(config, key, place);
  return {side, side};
}

void agree(const Json& config, const char* key, int64_t shape, const std::string& place) {
  const auto value = get_optional<int64_t>(config, key, place);
  if (value && *value != shape)
    fail("transformers", "{}: {} is {}, but the tensors have {}", place, key, *value, shape);
}

}  // namespace

void settle_from_hf(ConfigDraft& draft, const Spelling& spelling, const Json& config,
                    const std::string& place) {
  if (!config.is_object()) fail("transformers", "{}: is not an object", place);
  const C& c = draft.config;
  agree(config, "hidden_size", c.embed_dim, place);
  agree(config, "num_hidden_layers", c.depth, place);
  agree(config, "num_channels", c.in_channels, place);
  if (spelling.family != Family::hf_dinov2)
    agree(config, "intermediate_size", c.mlp_hidden_dim, place);
  if (c.register_tokens > 0) agree(config, "num_register_tokens", c.register_tokens, place);
  if (sides(config, "patch_size", c.patch_height, place) !=
      std::pair{c.patch_height, c.patch_width})
    fail("transformers", "{}: patch_size is not the {}x{} of the patch embedding", place,
         c.patch_height, c.patch_width);

  // A field that config.json leaves out has the value that transformers' class gives it.
  const std::string class_default = "transformers' default";
  const auto from = [&](const char* key) { return config.contains(key) ? place : class_default; };
  draft.settle("num_heads", &C::num_heads,
               get_optional<int64_t>(config, "num_attention_heads", place).value_or(12),
               from("num_attention_heads"));
  const double epsilon = spelling.family == Family::hf_dinov2 ? 1e-6 : 1e-12;
  draft.settle("layer_norm_epsilon", &C::layer_norm_epsilon,
               get_optional<double>(config, "layer_norm_eps", place).value_or(epsilon),
               from("layer_norm_eps"));
  if (draft.is_open("activation"))
    draft.settle(
        "activation", &C::activation,
        activation_of(get_optional<std::string>(config, "hidden_act", place).value_or("gelu"),
                      place),
        from("hidden_act"));
  const auto [height, width] = sides(config, "image_size", 224, place);
  draft.settle_image(height, width, from("image_size"));
}

}  // namespace vitrail
