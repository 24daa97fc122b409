// VitFamily: what the families of plain Vision Transformers have in common, in the order in which
// it is asked: what names and shapes say, --set, the family's own words, positions, and what is
// left open; and, of writing, what the family can express.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/families/family.h"
#include "models/families/reading/draft.h"
#include "models/families/reading/model_file.h"
#include "models/families/writing/expressible.h"
#include "models/families/writing/model_edit.h"

namespace vitrail {

class VitFamily : public Family {
 public:
  ReadModel read(const FileReading& file) const final;
  Spelling spelling_for(const NetworkConfig& config) const final;
  Adapted express(const NetworkConfig& config, const TensorSource& canonical) const final;

  // ---- Reading ----
  // Canonical modules of its models beside those that every family may have.
  virtual std::span<const std::string_view> more_modules() const { return {}; }
  // Opens the fields that neither names nor shapes of this family settle, beside those of every
  // family (draft.h), and says of them what a person should know.
  virtual void leave_open(const Spelling& spelling, ConfigDraft& draft) const;
  // The family's own sources, the first to know winning: constants, config.json, a published
  // architecture, a preprocessor's file.
  virtual void settle(ConfigDraft& draft, const FileReading& file) const = 0;
  // How many prefix tokens pos_embed may cover, the likelier first.
  virtual std::vector<int64_t> position_prefixes(const VitConfig& config) const;
  // What the library does with pictures that are no whole number of patches.
  virtual void settle_partial_patches(ConfigDraft& draft) const;

  // ---- Reading and writing ----
  // How the library's own code stretches positions to another picture's grid.
  virtual PositionResize position_resize(const VitConfig& config) const = 0;
  // The same of a table by relative position: timm's rule, unless the family has another.
  virtual RelativeResize relative_resize() const { return RelativeResize::geometric; }

  // ---- Writing ----
  virtual const Expressible& expressible() const = 0;
  // LayerNorm's epsilon in what the family makes of such a model.
  virtual double written_epsilon(const VitConfig& config) const = 0;
  // Last of all: tensors that the family stores as one.
  virtual void join_tensors(ModelEdit&) const {}
  // Error naming what of pooling and head it cannot express.
  virtual void express_head(ModelEdit& model) const = 0;

 protected:
  // "every timm model": the source of a constant.
  std::string every_model() const { return std::string("every ") + name() + " model"; }
  // Prefix and generation of what it writes today.
  virtual void spell(const VitConfig& config, Spelling& spelling) const;
};

}  // namespace vitrail
