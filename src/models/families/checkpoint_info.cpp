#include "models/families/checkpoint_info.h"

#include <algorithm>
#include <array>

#include "core/error.h"

namespace vitrail {

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
