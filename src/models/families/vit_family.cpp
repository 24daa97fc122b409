#include "models/families/vit_family.h"

#include <algorithm>

#include "core/error.h"
#include "models/families/answer_rules.h"
#include "models/families/open_clip.h"
#include "models/families/reading/closed_tensors.h"
#include "models/families/writing/adapt.h"

namespace vitrail {
namespace {

void settle_head_size(ConfigDraft& draft, const std::string& place) {
  VitConfig& c = draft.config;
  if (draft.attention_width == 0 || draft.is_open("num_heads")) return;
  if (c.block.attention.num_heads < 1 || draft.attention_width % c.block.attention.num_heads != 0)
    fail("model", "{}: num_heads {} does not divide the {} rows of q", place,
         c.block.attention.num_heads, draft.attention_width);
  c.block.attention.head_dim = draft.attention_width == c.embed_dim
                                   ? 0
                                   : draft.attention_width / c.block.attention.num_heads;
}

// A rotary rule that is said by its kind alone leaves the rest of it to be said, too.
void open_rotary_rule(ConfigDraft& draft, const Settings& settings) {
  const auto said = [&](std::string_view name) {
    return std::ranges::any_of(settings, [&](const auto& one) { return one.first == name; });
  };
  if (!said("rotary") || draft.config.rotary.kind != Rotary::axial) return;
  for (const char* field :
       {"rotary_base", "rotary_coordinates", "rotary_interleaved", "rotary_column_first",
        "rotary_offset", "rotary_reference_height", "rotary_reference_width"})
    if (!said(field)) draft.open.insert(field);
}

const VitConfig& plain_vit(const NetworkConfig& config, const Family& family) {
  const auto* vit = config.get_if<VitConfig>();
  if (vit == nullptr)
    fail("convert", "{} models cannot express a network of the type {}", family.name(),
         config.type());
  return *vit;
}

}  // namespace

ReadModel VitFamily::read(const FileReading& file) const {
  const std::string& place = file.tensors.place();
  refuse_strange_tensors(file.tensors, file.spelling, more_modules());
  ConfigDraft draft = draft_from_shapes(file.tensors, file.spelling);
  leave_open(file.spelling, draft);
  open_answer(draft);
  apply_settings(draft, file.settings);
  open_rotary_rule(draft, file.settings);
  settle(draft, file);
  if (file.tensors.metadata().contains(kProjectionHead))
    settle_answer(draft, {Answer::raw}, "names (a projection)");
  finish_answer(draft);
  settle_head_size(draft, place);
  const auto settle_picture = [&] {
    settle_partial_patches(draft);
    settle_positions(draft, position_prefixes(draft.config), place);
  };
  settle_picture();
  const bool unsized = draft.is_open("image_size");
  apply_size_settings(draft, file.settings);
  if (unsized && !draft.is_open("image_size")) settle_picture();
  return finished(draft, draft.config, file);
}

void VitFamily::leave_open(const Spelling&, ConfigDraft&) const {}

std::vector<int64_t> VitFamily::position_prefixes(const VitConfig& c) const {
  return {(c.tokens.class_token ? 1 : 0) + (c.tokens.distillation_token ? 1 : 0)};
}

void VitFamily::settle_partial_patches(ConfigDraft&) const {}

Spelling VitFamily::spelling_for(const NetworkConfig& config) const {
  Spelling spelling;
  spell(plain_vit(config, *this), spelling);
  return spelling;
}

void VitFamily::spell(const VitConfig&, Spelling&) const {}

Adapted VitFamily::express(const NetworkConfig& config, const TensorSource& canonical) const {
  return adapt_vit(plain_vit(config, *this), canonical, *this);
}

}  // namespace vitrail
