// Original Hiera (facebookresearch/hiera): timm's names with some of its own, in files that stand
// alone. Shapes say widths and depths; heads follow from a published size.
#include <algorithm>
#include <array>
#include <cmath>

#include "core/advice.h"
#include "core/error.h"
#include "core/nearest.h"
#include "core/printable.h"
#include "models/backbones/hiera_config.h"
#include "models/families/network_family.h"
#include "models/families/reading/fields.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"
#include "models/families/timm/timm_network.h"

namespace vitrail {
namespace {

constexpr std::string_view kHieraMaskedMark = "encoder_norm.weight";

constexpr NameRow kHieraRows[] = {
    {"fc_norm", {"@norm"}},
    {"head", {"@head.projection"}},
};
constexpr std::string_view kHieraClasses[] = {"hiera.hiera.Hiera"};

// The shape of a tensor that every file has. Error: this one lacks it.
const Shape& shape_in(const FileReading& file, const std::string& name) {
  return file.tensors.info(file.spelling.prefix + name).shape;
}

// What the tensors say; num_heads alone is not among it.
HieraConfig hiera_of_shapes(const FileReading& file) {
  const std::string& place = file.tensors.place();
  const Shape& kernel = shape_in(file, "patch_embed.proj.weight");
  check(kernel.rank() == 4 && kernel[2] == kernel[3], "hiera",
        "{}: a patch embedding of {} is of a model of films, which Vitrail does not implement",
        place, kernel.str());
  HieraConfig c;
  c.in_channels = kernel[1];
  c.patch_kernel = kernel[2];
  c.patch_padding = kernel[2] / 2;
  c.depths.clear();
  c.embed_dims.clear();
  for (int64_t i = 0;; ++i) {
    const TensorInfo* norm =
        file.tensors.find(fmt::format("{}blocks.{}.norm2.weight", file.spelling.prefix, i));
    if (norm == nullptr || norm->shape.rank() != 1) break;
    if (c.embed_dims.empty() || c.embed_dims.back() != norm->shape[0]) {
      c.embed_dims.push_back(norm->shape[0]);
      c.depths.push_back(0);
    }
    ++c.depths.back();
  }
  check(!c.depths.empty(), "hiera", "{}: has no blocks", place);
  const auto stages = static_cast<int64_t>(c.stages());
  const Shape& hidden = shape_in(file, "blocks.0.mlp.fc1.weight");
  c.mlp_ratio = static_cast<double>(hidden[0]) / static_cast<double>(c.embed_dims.front());
  c.num_heads.assign(c.stages(), 1);
  // As in all of its models: the first two stages attend in mask units, all stages but the first
  // pool, at most three, and a mask unit is one token at last.
  c.query_pools = std::min<int64_t>(stages - 1, 3);
  c.mask_unit = int64_t{1} << std::min<int64_t>(stages - 1, 10);
  for (size_t i = 0; i < c.stages(); ++i)
    if (i >= c.mask_unit_attention.size()) c.mask_unit_attention.push_back(0);
  c.mask_unit_attention.resize(c.stages());
  const Shape& positions = shape_in(file, "pos_embed");
  const int64_t tokens = positions.rank() == 3 ? positions[1] : 0;
  const auto side = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(tokens))));
  if (side * side == tokens && side > 0) c.image_height = c.image_width = side * c.patch_stride;
  c.fixed_positions = true;
  return c;
}

class HieraFamily : public NetworkFamily {
 public:
  const char* name() const override { return "hiera"; }
  const char* models() const override { return "original Hiera"; }
  const ConfigForm& config_form() const override { return arguments_form(); }
  std::span<const std::string_view> module_classes() const override { return kHieraClasses; }
  std::string_view network() const override { return HieraConfig::kType; }
  std::string_view mark() const override { return "head.projection.weight"; }
  const Family* refines() const override { return timm_family(); }
  NameTables tables(const Spelling&) const override { return {{kHieraRows}, 0, true}; }

  std::optional<Claim> recognise(const FileEvidence& file) const override {
    auto claim = NetworkFamily::recognise(file);
    if (const auto prefix = file.prefix_before(kHieraMaskedMark); !claim && prefix)
      claim = Claim{*prefix, *prefix + std::string(kHieraMaskedMark)};
    if (!claim || !file.tensors().contains(claim->prefix + "blocks.0.attn.qkv.weight"))
      return std::nullopt;
    return claim;
  }

  void check_expressible(const NetworkConfig& config) const override {
    const HieraConfig& c = *config.get_if<HieraConfig>();
    const auto require = [](bool can, const char* what) {
      check(can, "convert", "original Hiera has no {}", what);
    };
    require(!c.layer_scale, "LayerScale");
    require(c.projected_residual, "residual of maximum and mean");
    require(!c.windowed_positions, "positions of windows");
    require(c.activation == kernels::Activation::gelu, "activation but gelu");
    require(c.layer_norm_epsilon == 1e-6, "epsilon of LayerNorm but 1e-6");
    require(c.num_classes > 0, "model without a head");
  }
  // Its files have no place for labels and preprocessing.
  std::vector<const Family*> classifier_forms() const override {
    return {timm_hiera_family(), hf_hiera_family()};
  }

 protected:
  NetworkDraft begin(const FileReading& file) const override {
    const std::string& place = file.tensors.place();
    // Its encoder fuses the features of several stages before the norm.
    check(!file.tensors.contains(file.spelling.prefix + std::string(kHieraMaskedMark)), "hiera",
          "{}: is a masked autoencoder of original Hiera, whose decoder and fusion of stages "
          "Vitrail does not implement; fine-tuned models, and timm's encoders, are known",
          place);
    if (file.has_config())
      check_fields(file.files.config,
                   {file.files.config_name, "original Hiera, whose files stand alone,", {}});
    HieraConfig c = hiera_of_shapes(file);
    const Family& timm = *timm_hiera_family();
    std::string known = said_architecture(file.settings);
    for (const std::string_view one : timm.model_names()) {
      const HieraConfig of = *timm.published_model(one).config.get_if<HieraConfig>();
      const bool fits = known.empty() ? of.depths == c.depths && of.embed_dims == c.embed_dims &&
                                            !of.windowed_positions
                                      : known == one;
      if (!fits) continue;
      known = one;
      for (size_t i = 0; i < c.stages(); ++i)
        c.num_heads[i] = of.num_heads.front() << std::min<size_t>(i, 16);
      c.architecture = one;
      NetworkDraft draft(c);
      draft.sources.push_back(
          {"architecture", known,
           said_architecture(file.settings).empty() ? "shapes" : said(Option::settings)});
      draft.add_preprocess(PreprocessKind::timm, timm_preprocess({.crop_permille = 875}),
                           "how original Hiera was evaluated");
      return draft;
    }
    if (!known.empty())
      fail("family", "'{}' is not a Hiera that Vitrail knows{}", printable(known),
           did_you_mean_or_all(known, [&] {
             const std::vector<std::string_view> names = timm.model_names();
             return std::vector<std::string>(names.begin(), names.end());
           }()));
    NetworkDraft draft(c);
    draft.open.insert("num_heads");
    return draft;
  }
  void settle(NetworkDraft&, const FileReading&) const override {}
};

}  // namespace

const Family* hiera_family() {
  static const HieraFamily family;
  return &family;
}

}  // namespace vitrail
