#include "models/families/draft.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include "core/error.h"
#include "formats/json_text.h"
#include "models/families/published.h"

namespace vitrail {
namespace {

constexpr std::array<const char*, 5> kPreprocessSettings = {"mean", "std", "interpolation",
                                                            "crop_pct", "crop_mode"};
// Without these no picture can be prepared; a crop is centred unless crop_mode says otherwise.
constexpr std::array<const char*, 4> kNeededPreprocess = {"mean", "std", "interpolation",
                                                          "crop_pct"};

bool is_preprocess_setting(const std::string& name) {
  return std::ranges::find(kPreprocessSettings, name) != kPreprocessSettings.end();
}

// The fields that a setting stands for.
std::vector<std::string> fields_of(const std::string& name) {
  if (name == "heads") return {"num_heads"};
  if (name == "eps") return {"layer_norm_epsilon"};
  if (name == "channels") return {"in_channels"};
  if (name == "image_size") return {"image_height", "image_width"};
  if (name == "patch_size") return {"patch_height", "patch_width"};
  return {name};
}

double parse_number(const std::string& name, std::string_view text) {
  double value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size() || !std::isfinite(value))
    fail("--set", "{} takes numbers, not '{}'", name, text);
  return value;
}

// "0.5" or "0.485,0.456,0.406"; one number stands for every channel.
std::vector<double> parse_channels(const std::string& name, std::string_view text,
                                   int64_t channels) {
  std::vector<double> values;
  while (true) {
    const size_t comma = text.find(',');
    values.push_back(parse_number(name, text.substr(0, comma)));
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  if (values.size() == 1) values.resize(static_cast<size_t>(channels), values[0]);
  if (static_cast<int64_t>(values.size()) != channels)
    fail("--set", "{} has {} numbers for {} channels", name, values.size(), channels);
  return values;
}

std::optional<int64_t> square_root(int64_t value) {
  const auto root = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(value))));
  if (value <= 0 || root * root != value) return std::nullopt;
  return root;
}

// How many prefix tokens the family's pos_embed may cover, the likelier first.
std::vector<int64_t> position_prefixes(const VisionTransformerConfig& c, Family family) {
  const int64_t named = (c.class_token ? 1 : 0) + (c.distillation_token ? 1 : 0);
  if (family != Family::timm) return {named};
  if (c.prefix_tokens() == 0) return {0};
  return {c.prefix_tokens(), 0};
}

bool fits_shapes(const ConfigDraft& draft, const VisionTransformerConfig& p) {
  const VisionTransformerConfig& c = draft.config;
  return p.embed_dim == c.embed_dim && p.depth == c.depth && p.mlp == c.mlp &&
         p.mlp_hidden() == c.mlp_hidden() && p.patch_height == c.patch_height &&
         p.patch_width == c.patch_width && p.patch_bias == c.patch_bias &&
         p.embed_dim == draft.attention_width && p.qkv_bias == c.qkv_bias &&
         p.qk_norm == c.qk_norm && p.layer_scale == c.layer_scale &&
         p.class_token == c.class_token && p.distillation_token == c.distillation_token &&
         p.register_tokens == c.register_tokens && p.pre_norm == c.pre_norm &&
         p.final_norm == c.final_norm && p.fc_norm == c.fc_norm &&
         (p.pooling == Pooling::map) == (c.pooling == Pooling::map && !draft.is_open("pooling"));
}

bool fits_positions(const ConfigDraft& draft, const VisionTransformerConfig& p) {
  const int64_t grid = (p.image_height / p.patch_height) * (p.image_width / p.patch_width);
  return draft.position_rows == grid + p.position_prefix;
}

void settle_from(ConfigDraft& draft, const VisionTransformerConfig& p, const std::string& source) {
  using C = VisionTransformerConfig;
  draft.settle("num_heads", &C::num_heads, p.num_heads, source);
  draft.settle("layer_norm_epsilon", &C::layer_norm_epsilon, p.layer_norm_epsilon, source);
  draft.settle("activation", &C::activation, p.activation, source);
  draft.settle("pooling", &C::pooling, p.pooling, source);
}

}  // namespace

void ConfigDraft::record(const std::string& field, const std::string& source) {
  const nlohmann::json fields = to_json(config);
  const auto found = fields.find(field);
  std::string value = found == fields.end() ? "" : json_text(*found);
  if (value.size() >= 2 && value.front() == '"') value = value.substr(1, value.size() - 2);
  sources.push_back({field, std::move(value), source});
}

void ConfigDraft::settle_image(int64_t height, int64_t width, const std::string& source) {
  if (open.erase("image_size") == 0) return;
  config.image_height = height;
  config.image_width = width;
  record("image_height", source);
  record("image_width", source);
}

void ConfigDraft::add_preprocess(PreprocessKind kind, nlohmann::json block,
                                 const std::string& source) {
  if (preprocess_kind != PreprocessKind::none) return;
  preprocess_kind = kind;
  preprocess = std::move(block);
  sources.push_back({"preprocess", "", source});
}

void settle_family_constants(ConfigDraft& draft, const Spelling& spelling) {
  using C = VisionTransformerConfig;
  const std::string source = std::string("every ") + name_of(spelling.family) + " model";
  C& c = draft.config;
  switch (spelling.family) {
    case Family::dinov2:
      draft.settle("layer_norm_epsilon", &C::layer_norm_epsilon, 1e-6, source);
      draft.settle("activation", &C::activation,
                   c.mlp == MlpKind::plain ? Activation::gelu : Activation::silu, source);
      draft.settle("pooling", &C::pooling, Pooling::class_token, source);
      c.position_resize = c.register_tokens > 0 ? PositionResize::bicubic_antialias
                                                : PositionResize::bicubic_offset;
      break;
    case Family::vit_pytorch:
      draft.settle("layer_norm_epsilon", &C::layer_norm_epsilon, 1e-5, source);
      if (!c.class_token) draft.settle("pooling", &C::pooling, Pooling::mean_all, source);
      if (!c.attention_projection) draft.settle("num_heads", &C::num_heads, int64_t{1}, source);
      break;
    case Family::hf_vit:
    case Family::hf_deit:
    case Family::hf_dinov2:
      draft.settle("pooling", &C::pooling, Pooling::class_token, source);
      if (c.mlp != MlpKind::plain)
        draft.settle("activation", &C::activation, Activation::silu, source);
      c.position_resize = spelling.family == Family::hf_dinov2 && c.register_tokens > 0
                              ? PositionResize::bicubic_antialias
                              : PositionResize::bicubic;
      break;
    case Family::timm:
      if (c.distillation_token) draft.settle("pooling", &C::pooling, Pooling::distilled, source);
      break;
    case Family::vitrail:
      break;
  }
}

void settle_from_architecture(ConfigDraft& draft, const std::string& name,
                              const std::string& source) {
  const PublishedArchitecture* published = find_published(name);
  if (published == nullptr)
    fail("family", "'{}' is not an architecture that Vitrail knows by name", name.substr(0, 80));
  const VisionTransformerConfig p = published_config(*published);
  draft.config.architecture = name;
  draft.config.norm_placement = p.norm_placement;
  settle_from(draft, p, source);
  if (draft.config.in_channels == 3)
    draft.add_preprocess(PreprocessKind::timm, published_preprocess(*published), source);
}

void settle_from_matching(ConfigDraft& draft, Family family) {
  std::vector<const PublishedArchitecture*> fitting, exact;
  for (const PublishedArchitecture& published : published_architectures()) {
    if (published.name.starts_with("dinov2_") != (family == Family::dinov2)) continue;
    const VisionTransformerConfig p = published_config(published);
    if (!fits_shapes(draft, p)) continue;
    fitting.push_back(&published);
    if (fits_positions(draft, p)) exact.push_back(&published);
  }
  if (!exact.empty()) fitting = exact;
  if (fitting.empty()) return;
  std::string names;
  for (const auto* published : fitting) {
    draft.candidates.emplace_back(published->name);
    names += (names.empty() ? "" : ", ") + std::string(published->name);
  }
  const std::string source = "published architecture of these shapes (" + names + ")";
  const VisionTransformerConfig first = published_config(*fitting.front());
  const auto agree = [&](auto field) {
    return std::ranges::all_of(fitting, [&](const auto* published) {
      return published_config(*published).*field == first.*field;
    });
  };
  using C = VisionTransformerConfig;
  if (agree(&C::num_heads)) draft.settle("num_heads", &C::num_heads, first.num_heads, source);
  if (agree(&C::layer_norm_epsilon))
    draft.settle("layer_norm_epsilon", &C::layer_norm_epsilon, first.layer_norm_epsilon, source);
  if (agree(&C::activation)) draft.settle("activation", &C::activation, first.activation, source);
  if (agree(&C::pooling)) draft.settle("pooling", &C::pooling, first.pooling, source);
  const nlohmann::json preprocess = published_preprocess(*fitting.front());
  if (draft.config.in_channels == 3 && std::ranges::all_of(fitting, [&](const auto* published) {
        return published_preprocess(*published) == preprocess;
      }))
    draft.add_preprocess(PreprocessKind::timm, preprocess, source);
  if (fitting.size() == 1) draft.config.architecture = fitting.front()->name;
}

void settle_positions(ConfigDraft& draft, Family family, const std::string& place) {
  VisionTransformerConfig& c = draft.config;
  if (c.position != Position::learned) return;
  const std::vector<int64_t> prefixes = position_prefixes(c, family);
  if (!draft.is_open("image_size")) {
    const int64_t grid = c.grid_height(c.image_height) * c.grid_width(c.image_width);
    for (const int64_t prefix : prefixes)
      if (draft.position_rows - prefix == grid) {
        c.position_prefix = prefix;
        return;
      }
  }
  // Made for another picture: a square one, as every family's own loader assumes.
  std::vector<std::pair<int64_t, int64_t>> squares;
  for (const int64_t prefix : prefixes)
    if (const auto side = square_root(draft.position_rows - prefix))
      squares.emplace_back(prefix, *side);
  if (squares.size() == 1 || (!squares.empty() && !draft.is_open("image_size"))) {
    const auto [prefix, side] = squares.front();
    c.position_prefix = prefix;
    if (draft.is_open("image_size")) {
      draft.settle_image(side * c.patch_height, side * c.patch_width, "shapes (position grid)");
    } else {
      c.position_grid_height = c.position_grid_width = side;
      draft.record("position_grid_height", "shapes");
      draft.record("position_grid_width", "shapes");
    }
    return;
  }
  if (!draft.is_open("image_size"))
    fail("shapes", "{}: {} positions fit neither a picture of {}x{} nor a square grid", place,
         draft.position_rows, c.image_height, c.image_width);
}

void apply_settings(ConfigDraft& draft, const Settings& settings) {
  for (const auto& [name, value] : settings) {
    if (is_preprocess_setting(name) || name == "family") continue;
    // Our own files have no open field that a name could settle.
    if (name == "architecture" && draft.attention_width > 0) {
      settle_from_architecture(draft, value, "--set architecture");
      continue;
    }
    for (const std::string& field : fields_of(name)) {
      set_field(draft.config, field, value);
      draft.open.erase(field);
      draft.sources.push_back({field, value, "--set"});
    }
    // One side alone leaves the other open.
    if (name == "image_size") draft.open.erase("image_size");
  }
  const auto set = [&](const char* field) {
    return std::ranges::any_of(settings, [&](const auto& s) { return s.first == field; });
  };
  if (set("image_height") && set("image_width")) draft.open.erase("image_size");
}

void apply_preprocess_settings(ConfigDraft& draft, const Settings& settings) {
  const VisionTransformerConfig& c = draft.config;
  const bool resized = std::ranges::any_of(settings, [](const auto& s) {
    return s.first == "image_size" || s.first == "image_height" || s.first == "image_width";
  });
  if (resized && draft.preprocess_kind == PreprocessKind::timm)
    draft.preprocess["input_size"] = {c.in_channels, c.image_height, c.image_width};
  for (const auto& [name, value] : settings) {
    if (!is_preprocess_setting(name)) continue;
    const int64_t channels = draft.config.in_channels;
    const bool moments = name == "mean" || name == "std";
    std::string key = name;
    if (draft.preprocess_kind == PreprocessKind::none) {
      draft.preprocess_kind = PreprocessKind::timm;
      draft.preprocess = {
          {"input_size", {channels, draft.config.image_height, draft.config.image_width}}};
      draft.preprocess_by_hand = true;
    } else if (draft.preprocess_kind == PreprocessKind::hf) {
      key = "image_" + name;
    }
    if (!moments && draft.preprocess_kind != PreprocessKind::timm)
      fail("--set", "{} is a field of timm's preprocessing; this model's stands in its own file",
           name);
    if (moments) {
      draft.preprocess[key] = parse_channels(name, value, channels);
    } else if (name == "crop_pct") {
      draft.preprocess[key] = parse_number(name, value);
    } else {
      draft.preprocess[key] = value;
    }
    draft.sources.push_back({name, value, "--set"});
  }
}

void refuse_open_fields(const ConfigDraft& draft, const std::string& place,
                        bool require_preprocess) {
  std::vector<std::string> missing(draft.open.begin(), draft.open.end());
  if (require_preprocess) {
    if (draft.preprocess_kind == PreprocessKind::none || draft.preprocess_by_hand)
      for (const char* field : kNeededPreprocess)
        if (!draft.preprocess_by_hand || !draft.preprocess.contains(field))
          missing.emplace_back(field);
  }
  if (missing.empty()) return;
  std::string list, flags;
  for (const std::string& field : missing) {
    list += (list.empty() ? "" : ", ") + field;
    flags += " --set " + field + "=...";
  }
  std::string hint;
  if (!draft.candidates.empty()) {
    for (const std::string& name : draft.candidates) hint += (hint.empty() ? "" : " or ") + name;
    hint = ", or --set architecture= with " + hint;
  }
  fail("model", "{}: names, shapes and configuration do not determine {}; say{}{}", place, list,
       flags, hint);
}

}  // namespace vitrail
