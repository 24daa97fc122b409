#include "models/families/timm/timm_module.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <functional>

#include "core/error.h"
#include "core/printable.h"
#include "formats/json.h"
#include "models/families/reading/module_json.h"
#include "models/families/timm/timm.h"
#include "models/families/timm/timm_definition.h"

namespace vitrail {
namespace {

using C = VitConfig;

// What messages call it.
const std::string kModulePlace = "the module itself";

// Parts of timm's VisionTransformer, by the class's own name and the package it is of: what they
// compute is what Vitrail does, or nothing when the model answers.
constexpr std::array<std::string_view, 26> kParts = {"VisionTransformer",
                                                     "VisionTransformerDistilled",
                                                     "Block",
                                                     "ParallelThingsBlock",
                                                     "ParallelScalingBlock",
                                                     "DiffParallelScalingBlock",
                                                     "Attention",
                                                     "DiffAttention",
                                                     "RmsNorm",
                                                     "LayerScale",
                                                     "Mlp",
                                                     "SwiGLU",
                                                     "GluMlp",
                                                     "PatchEmbed",
                                                     "LayerNorm",
                                                     "AttentionPoolLatent",
                                                     "Linear",
                                                     "Conv2d",
                                                     "Identity",
                                                     "Dropout",
                                                     "DropPath",
                                                     "PatchDropout",
                                                     "Sequential",
                                                     "ModuleList",
                                                     "LayerNormFp32",
                                                     "NonDynamicallyQuantizableLinear"};

constexpr double kSubNormEpsilon = 1e-5;  // of differential attention

// One value for all, of parts that each say their own.
template <typename T>
class OneValue {
 public:
  void add(const T& value, const char* what) {
    if (value_ && *value_ != value)
      fail("family", "{}: its parts differ in {}: {} and {}", kModulePlace, what, *value_, value);
    value_ = value;
  }
  const std::optional<T>& value() const { return value_; }

 private:
  std::optional<T> value_;
};

class TimmModule {
 public:
  explicit TimmModule(const Json& module) : fields_(module_fields(module)) { visit(module, ""); }

  void settle(ConfigDraft& draft) const {
    if (heads_.value())
      draft.settle("num_heads", draft.config.block.attention.num_heads, *heads_.value(),
                   kModulePlace);
    if (activation_.value())
      draft.settle("activation", draft.config.block.mlp.activation,
                   static_cast<Activation>(*activation_.value()), kModulePlace);
    if (epsilon_.value())
      draft.settle("layer_norm_epsilon", draft.config.layer_norm_epsilon, *epsilon_.value(),
                   kModulePlace);
    if (pool_heads_.value() && heads_.value() && *pool_heads_.value() != *heads_.value())
      draft.config.head.map.num_heads = *pool_heads_.value();
    draft.settle("norm_placement", draft.config.block.norms, NormPlacement::pre, kModulePlace);
    settle_pooling(draft);
    if (const auto patches_alone = get_optional<bool>(fields_, "no_embed_class", kModulePlace);
        patches_alone && draft.config.position.kind == Position::learned)
      draft.position_prefix = *patches_alone ? 0 : draft.config.prefix_tokens();
    settle_sizes(draft);
  }

 private:
  void visit(const Json& part, const std::string& path) {
    const std::string name = module_class(part);
    const Json fields = module_fields(part);
    const std::string kind = last_part(name);
    const bool foreign = !name.starts_with("timm.") && !name.starts_with("torch.nn.");
    if (const auto activation = activation_of(kind, fields); activation && !foreign) {
      activation_.add(static_cast<int>(*activation), "activation");
    } else if (foreign || std::ranges::find(kParts, kind) == kParts.end()) {
      fail("family", "{}: its part '{}' is of the class {}, which Vitrail does not implement",
           kModulePlace, printable(path), printable(name));
    }
    if (kind == "Attention" || kind == "DiffAttention" || kind.ends_with("ParallelScalingBlock"))
      add_attention(fields);
    if (kind.starts_with("Diff")) check_first_lambda(fields, path);
    if (kind == "AttentionPoolLatent") add_pool(fields);
    if (kind.starts_with("LayerNorm") || kind == "RmsNorm") {
      const auto eps = get<double>(fields, "eps", kModulePlace);
      if (path.ends_with("sub_norm"))
        check(eps == kSubNormEpsilon, "family", "{}: '{}' has an eps of {}, where Vitrail has {}",
              kModulePlace, printable(path), eps, kSubNormEpsilon);
      else
        epsilon_.add(eps, "eps");
    }
    if (kind == "PatchEmbed") patches_ = fields;
    const auto modules = part.find("modules");
    if (modules == part.end()) return;
    for (const auto& [key, inner] : modules->items())
      if (inner.is_object()) visit(inner, path + (path.empty() ? "" : ".") + key);
  }

  static std::optional<Activation> activation_of(const std::string& kind, const Json& fields) {
    if (kind == "GELU")
      return fields.value("approximate", Json("none")) == "tanh" ? Activation::gelu_tanh
                                                                 : Activation::gelu;
    if (kind == "GELUTanh") return Activation::gelu_tanh;
    if (kind == "QuickGELU" || kind == "QuickGelu") return Activation::quick_gelu;
    if (kind == "ReLU") return Activation::relu;
    if (kind == "SiLU" || kind == "Swish") return Activation::silu;
    return std::nullopt;
  }

  void check_scale(const Json& fields, int64_t head_size) const {
    const auto scale = get_optional<double>(fields, "scale", kModulePlace);
    if (scale && head_size > 0 &&
        std::abs(*scale * std::sqrt(static_cast<double>(head_size)) - 1) > 1e-6)
      fail("family", "{}: scales its attention by {}, where 1/sqrt({}) is what Vitrail has",
           kModulePlace, *scale, head_size);
  }

  void add_attention(const Json& fields) {
    heads_.add(get<int64_t>(fields, "num_heads", kModulePlace), "num_heads");
    check_scale(fields, get_optional<int64_t>(fields, "head_dim", kModulePlace).value_or(0));
    if (!fields.value("gate", Json()).is_null())
      fail("family", "{}: has a gate in its attention, which Vitrail does not implement",
           kModulePlace);
  }

  // What lambda of differential attention begins with follows from the block's number.
  static void check_first_lambda(const Json& fields, const std::string& path) {
    const size_t number = path.find("blocks.");
    const auto lambda = get_optional<double>(fields, "lambda_init", kModulePlace);
    if (number == std::string::npos || !lambda) return;
    const double block = std::strtod(path.c_str() + number + 7, nullptr);
    const double wanted = 0.8 - 0.6 * std::exp(-0.3 * block);
    if (std::abs(*lambda - wanted) > 1e-9)
      fail("family", "{}: '{}' has a lambda_init of {}, where Vitrail has {}", kModulePlace,
           printable(path), *lambda, wanted);
  }

  void add_pool(const Json& fields) {
    pool_heads_.add(get<int64_t>(fields, "num_heads", kModulePlace), "num_heads");
    check_scale(fields, get_optional<int64_t>(fields, "head_dim", kModulePlace).value_or(0));
    if (fields.value("pool", Json("token")) != "token" || fields.value("latent_len", Json(1)) != 1)
      fail("family", "{}: pools by more than one query, which Vitrail does not implement",
           kModulePlace);
  }

  void settle_pooling(ConfigDraft& draft) const {
    const auto name = get_optional<std::string>(fields_, "global_pool", kModulePlace);
    if (!name) return;
    // Read as the argument of the same name; where the norm stands, the tensors say.
    const bool all =
        get_optional<bool>(fields_, "pool_include_prefix", kModulePlace).value_or(false);
    draft.settle("pooling", draft.config.head.pooling,
                 timm_pooling(draft.config, *name, all, kModulePlace), kModulePlace);
  }

  void settle_sizes(ConfigDraft& draft) const {
    Json arguments = Json::object();
    if (const auto size = get_optional<std::vector<int64_t>>(patches_, "img_size", kModulePlace);
        size && size->size() == 2) {
      draft.settle_image((*size)[0], (*size)[1], kModulePlace);
      arguments["img_size"] = *size;
    }
    if (patches_.value("dynamic_img_pad", Json(false)) == true)
      fail("family", "{}: pads pictures to whole patches, which Vitrail does not", kModulePlace);
    arguments["dynamic_img_size"] = fields_.value("dynamic_img_size", Json());
    arguments["strict_img_size"] = patches_.value("strict_img_size", Json());
    for (const char* key : {"pretrained_cfg", "default_cfg"}) {
      Json block = fields_.value(key, Json());
      // A dataclass of timm, or a dictionary.
      if (block.is_object() && block.contains("class") && block.contains("fields"))
        block = module_fields(block);
      if (!block.is_object() || block.empty()) continue;
      check_timm_pretrained(block, kModulePlace);
      return add_timm_preprocess(draft, {draft.config.pictures(), block, arguments, kModulePlace});
    }
  }

  const Json fields_;
  Json patches_ = Json::object();
  OneValue<int64_t> heads_, pool_heads_;
  OneValue<int> activation_;
  OneValue<double> epsilon_;
};

}  // namespace

void settle_from_module(ConfigDraft& draft, const TensorSource& tensors) {
  if (!tensors.module_class().starts_with("timm.")) return;
  const Json module = parsed_module(tensors);
  if (module.is_object()) TimmModule(module).settle(draft);
}

}  // namespace vitrail
