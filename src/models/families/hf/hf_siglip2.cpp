// transformers' SigLIP 2 of any resolution (NaFlex, Tschannen et al. 2025): SigLIP with a matrix
// that embeds patches pixel by pixel, and a square table of positions that is stretched to each
// picture's own grid. The library pads patches of several pictures to one length and masks the
// padding; here each picture has its own grid.
#include <cmath>

#include "core/error.h"
#include "formats/json.h"
#include "models/families/hf/hf_siglip.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

using C = VitConfig;

constexpr FieldRule kHfSiglip2Fields[] = {{"num_patches"}};

constexpr HfModel kHfSiglip2Models[] = {{.type = "siglip2_vision_model",
                                         .stem = "Siglip2Vision",
                                         .epsilon = 1e-6,
                                         .activation = "gelu_pytorch_tanh"},
                                        {.type = "siglip2",
                                         .stem = "Siglip2",
                                         .epsilon = 1e-6,
                                         .activation = "gelu_pytorch_tanh",
                                         .tower = "vision_config"}};
constexpr std::string_view kHfSiglip2Architectures[] = {"Siglip2Model", "Siglip2VisionModel",
                                                        "Siglip2ForImageClassification"};
constexpr std::string_view kHfSiglip2Classes[] = {
    "transformers.models.siglip2.modeling_siglip2.Siglip2Model",
    "transformers.models.siglip2.modeling_siglip2.Siglip2VisionModel",
    "transformers.models.siglip2.modeling_siglip2.Siglip2ForImageClassification",
};
constexpr Expressible kHfSiglip2Expressible = {.class_token = Expressible::kNever,
                                               .qkv_bias = Expressible::kAlways,
                                               .linear_patches = true,
                                               .any_activation = true};

class HfSiglip2Family : public HfSiglipTower {
 public:
  const char* name() const override { return "hf_siglip2"; }
  const char* models() const override { return "transformers' SigLIP 2"; }
  std::span<const HfModel> hf_models() const override { return kHfSiglip2Models; }
  std::span<const std::string_view> architectures() const override {
    return kHfSiglip2Architectures;
  }
  std::span<const std::string_view> module_classes() const override { return kHfSiglip2Classes; }
  // SigLIP's names, so that config.json alone can say which of the two a file is.
  std::string evidence(const FileEvidence&, const std::string&) const override { return ""; }
  PositionResize position_resize(const C&) const override {
    return PositionResize::bilinear_antialias;
  }

  std::vector<std::span<const FieldRule>> config_fields(const HfModel& model) const override {
    auto fields = HfSiglipTower::config_fields(model);
    fields.emplace_back(kHfSiglip2Fields);
    return fields;
  }
  // The table's own grid is the picture that the model is described with.
  void check_config(ConfigDraft& draft, const nlohmann::json& config,
                    const std::string& place) const override {
    HfSiglipTower::check_config(draft, config, place);
    agree_with_tensors(config, "num_patches", draft.position_rows, place);
    const auto side = std::llround(std::sqrt(static_cast<double>(draft.position_rows)));
    if (side * side != draft.position_rows)
      fail("transformers", "{}: {} positions are no square grid", place, draft.position_rows);
    draft.settle_image(side * draft.config.patches.patch_height,
                       side * draft.config.patches.patch_width, "shapes (position grid)");
  }
  void add_fields(const C& c, nlohmann::json& out) const override {
    HfSiglipTower::add_fields(c, out);
    out.erase("image_size");
    out["num_patches"] = c.grid_height(c.image_height) * c.grid_width(c.image_width);
  }
  const Expressible& expressible() const override { return kHfSiglip2Expressible; }
};

}  // namespace

const Family* hf_siglip2_family() {
  static const HfSiglip2Family family;
  return &family;
}

}  // namespace vitrail
