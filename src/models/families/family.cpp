#include "models/families/family.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/nearest.h"

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
  std::vector<std::string> known;
  for (const auto& [value, text] : kFamilies) {
    if (name == text) return value;
    known.emplace_back(text);
  }
  fail("family", "'{}' is not a family of checkpoints{}", name, did_you_mean_or_all(name, known));
}

std::string origin_of(const CheckpointInfo& info) {
  static constexpr std::array<std::pair<const char*, const char*>, 10> kFields = {
      {{"num_heads", "heads"},
       {"layer_norm_epsilon", "epsilon"},
       {"activation", "activation"},
       {"pooling", "pooling"},
       {"norm_placement", "norm placement"},
       {"architecture", "architecture"},
       {"patch_height", "patches"},
       {"preprocess", "preprocessing"},
       {"mean", "mean"},
       {"std", "deviation"}}};
  // The last to have said a field counts, and a source is named once, where it comes first.
  std::vector<std::pair<std::string, std::string>> by_source;
  for (const auto& [field, word] : kFields) {
    const auto said = std::find_if(info.sources.rbegin(), info.sources.rend(),
                                   [&](const Provenance& entry) { return entry.field == field; });
    if (said == info.sources.rend() || said->source == "every plain ViT") continue;
    const auto found =
        std::ranges::find(by_source, said->source, &std::pair<std::string, std::string>::first);
    if (found == by_source.end())
      by_source.emplace_back(said->source, word);
    else
      found->second += std::string(", ") + word;
  }
  std::string line;
  for (const auto& [source, words] : by_source)
    line += fmt::format("{}{} from {}", line.empty() ? "" : "; ", words, source);
  return line;
}

}  // namespace vitrail
