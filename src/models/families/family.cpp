#include "models/families/family.h"

#include <array>

#include "core/error.h"

namespace vitrail {
namespace {

constexpr std::array<std::pair<Family, const char*>, 7> kFamilies = {
    {{Family::timm, "timm"},
     {Family::hf_vit, "hf_vit"},
     {Family::hf_deit, "hf_deit"},
     {Family::hf_dinov2, "hf_dinov2"},
     {Family::dinov2, "dinov2"},
     {Family::vit_pytorch, "vit_pytorch"},
     {Family::vitrail, "vitrail"}}};

}  // namespace

const char* name_of(Family family) {
  for (const auto& [value, name] : kFamilies)
    if (value == family) return name;
  return "?";
}

Family family_from_name(const std::string& name) {
  std::string known;
  for (const auto& [value, text] : kFamilies) {
    if (name == text) return value;
    known += (known.empty() ? "" : ", ") + std::string(text);
  }
  fail("family", "'{}' is not a family of checkpoints; known are {}", name, known);
}

}  // namespace vitrail
