// A configuration under construction: every field remembers who settled it, and what nobody has
// settled is refused by name.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "models/families/family.h"
#include "models/families/fields.h"
#include "models/families/names.h"

namespace vitrail {

using Settings = std::vector<std::pair<std::string, std::string>>;

struct ConfigDraft {
  VisionTransformerConfig config;
  std::set<std::string> open;  // fields that names and shapes leave undetermined
  std::vector<Provenance> sources;
  int64_t attention_width = 0;  // heads times head size: a third of the rows of attn.qkv
  int64_t position_rows = 0;    // of pos_embed, prefix tokens included; 0: none
  // Of those, how many are prefix tokens', where the definition says so.
  std::optional<int64_t> position_prefix;
  int64_t patch_columns = 0;  // of a linear patch embedding: height times width times channels
  nlohmann::json preprocess;  // null: unknown
  PreprocessKind preprocess_kind = PreprocessKind::none;
  bool preprocess_by_hand = false;      // made of --set alone
  std::string architecture_said;        // with --set architecture; "": nothing
  std::vector<std::string> candidates;  // published architectures that fit names and shapes
  std::string unsettled;                // why the config's architecture settles nothing

  bool is_open(const std::string& field) const { return open.contains(field); }
  // Sets a field that is still open; the first to know wins.
  template <typename T>
  void settle(const std::string& name, T VisionTransformerConfig::*field, const T& value,
              const std::string& source) {
    if (open.erase(name) == 0) return;
    config.*field = value;
    record(name, source);
  }
  void settle_image(int64_t height, int64_t width, const std::string& source);
  void record(const std::string& field, const std::string& source);
  void add_preprocess(PreprocessKind kind, nlohmann::json block, const std::string& source);
};

// What names and shapes say; the rest is left open.
ConfigDraft draft_from_shapes(const TensorSource& tensors, const Spelling& spelling);

// Channels and sides of patches that a matrix embeds, from what is said of them and from its
// columns.
void settle_patches(ConfigDraft& draft);

// What the family's own definition fixes for every model (an epsilon, the answer's pooling).
void settle_family_constants(ConfigDraft& draft, const Spelling& spelling);

// What config.json says. `place` names it. Errors: a field or value that Vitrail does not know, one
// that contradicts the tensors, and what Vitrail does not have.
void settle_from_timm(ConfigDraft& draft, const nlohmann::json& config, const std::string& place);
// The preprocessing of timm's pretrained_cfg; `arguments` (model_args) say more of the size.
// Error: a field that timm's PretrainedCfg does not have.
void check_timm_pretrained(const nlohmann::json& pretrained, const std::string& place);
void add_timm_preprocess(ConfigDraft& draft, const nlohmann::json& pretrained,
                         const nlohmann::json& arguments, const std::string& place);
void settle_from_hf(ConfigDraft& draft, const Spelling& spelling, const nlohmann::json& config,
                    const std::string& place);
void settle_from_vit_pytorch(ConfigDraft& draft, const nlohmann::json& config,
                             const std::string& place);
void refuse_dinov2_config(const nlohmann::json& config, const std::string& place);
void check_own_config(const nlohmann::json& config, const std::string& place);
// transformers' PretrainedConfig.
std::span<const FieldRule> pretrained_config_fields();

// What `--set architecture` fixes where no config.json has been read for it. Error: no such
// architecture, or one whose tensors these are not.
void settle_from_architecture(ConfigDraft& draft, const Spelling& spelling);
// The published architectures that these names and shapes fit: candidates, which settle nothing.
void find_candidates(ConfigDraft& draft, Family family);
// What timm's files leave open in theory, and settled where no definition of theirs differs: where
// the norms of a block stand, and whether positions are computed.
void settle_plain_structure(ConfigDraft& draft);

// The picture's size, and which rows of pos_embed belong to prefix tokens.
void settle_positions(ConfigDraft& draft, Family family, const std::string& place);

// --set: fields of the configuration (heads, eps, image_size, patch_size, channels are understood
// too), `architecture`, and of the preprocessing mean, std, interpolation, crop_pct, crop_mode.
void apply_settings(ConfigDraft& draft, const Settings& settings);
// The pictures' size, of a file that does not say it: image_size, or image_height and image_width.
// They describe the table of positions; what stretches it to other pictures is --size. Error: the
// file says another.
void apply_size_settings(ConfigDraft& draft, const Settings& settings);
void apply_preprocess_settings(ConfigDraft& draft, const Settings& settings);

// Error naming everything that is still open, and how to say it. The preprocessing only counts
// when it is required.
void refuse_open_fields(const ConfigDraft& draft, const std::string& place,
                        bool require_preprocess);

}  // namespace vitrail
