#include "train/optimizer/parameter_groups.h"

#include <fnmatch.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "core/error.h"

namespace vitrail {
int64_t layer_of(const ParameterPlace& place, int64_t depth) {
  switch (place.section) {
    case ParameterPlace::Section::stem:
      return 0;
    case ParameterPlace::Section::block:
      return place.block + 1;
    case ParameterPlace::Section::final_norm:
      return depth;
    case ParameterPlace::Section::pool:
    case ParameterPlace::Section::head:
    case ParameterPlace::Section::auxiliary:
      break;
  }
  return depth + 1;
}

std::vector<Trained> trained_parameters(const ParameterRegistry& parameters,
                                        const GroupOptions& options) {
  int64_t depth = 0;
  for (const auto& parameter : parameters.all())
    depth = std::max(depth, parameter->role().place.block + 1);
  std::vector<Trained> trained;
  for (const auto& parameter : parameters.all()) {
    if (!parameter->trainable()) continue;
    const bool decayed = options.decay_all || parameter->role().decays();
    const int64_t above = depth + 1 - layer_of(parameter->role().place, depth);
    trained.push_back({.parameter = parameter.get(),
                       .weight_decay = decayed ? options.weight_decay : 0.0,
                       .decayed = decayed,
                       .rate = std::pow(options.layer_decay, static_cast<double>(above))});
  }
  return trained;
}

int64_t freeze(ParameterRegistry& parameters, const std::string& patterns) {
  std::string_view rest = patterns;
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    const std::string pattern(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    bool matched = false;
    for (const auto& parameter : parameters.all()) {
      if (::fnmatch(pattern.c_str(), parameter->path().c_str(), 0) != 0) continue;
      parameter->set_trainable(false);
      matched = true;
    }
    check(matched, "freeze", "no parameter's path matches '{}'; the first one is {}", pattern,
          parameters.all().empty() ? "missing" : parameters.all().front()->path());
  }
  const auto frozen = std::ranges::count_if(
      parameters.all(), [](const auto& parameter) { return !parameter->trainable(); });
  check(frozen < static_cast<int64_t>(parameters.all().size()), "freeze",
        "'{}' leaves nothing to train", patterns);
  return frozen;
}

}  // namespace vitrail
