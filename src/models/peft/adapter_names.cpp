#include "models/peft/adapter_names.h"

#include <algorithm>
#include <set>

#include "models/families/family.h"
#include "models/network.h"

namespace vitrail {
namespace {

constexpr std::string_view kWeightEnding = ".weight";

// "", "a." and "a.b." of "a.b.c": where a backbone's names may begin.
void add_prefixes(const std::string& name, std::set<std::string>& prefixes) {
  constexpr size_t kMaxPrefixes = 8;
  for (size_t dot = name.find('.'); dot != std::string::npos && prefixes.size() < kMaxPrefixes;
       dot = name.find('.', dot + 1))
    prefixes.insert(name.substr(0, dot + 1));
}

}  // namespace

AdapterNames::AdapterNames(Spelling spelling, const NetworkConfig& config)
    : spelling_(std::move(spelling)) {
  const std::shared_ptr<Network> model = config.make();
  std::set<std::string> paths;
  for (const auto& parameter : model->parameters().all()) {
    paths.insert(parameter->path());
    if (!parameter->path().ends_with(kWeightEnding) || parameter->shape().rank() < 2) continue;
    for (const std::string& part : names_in(spelling_, parameter->path()))
      projections_.push_back(part.substr(0, part.size() - kWeightEnding.size()));
  }
  // An adapter may bring a head to a base without one.
  paths.insert({"head.weight", "head.bias"});
  for (const std::string& path : paths) {
    const std::vector<std::string> parts = names_in(spelling_, path);
    for (size_t i = 0; i < parts.size(); ++i)
      pieces_.emplace(parts[i], ParameterPiece{path, static_cast<int64_t>(i),
                                               static_cast<int64_t>(parts.size())});
  }
}

AdapterNames AdapterNames::choose(const Spelling& base, const NetworkConfig& config,
                                  const std::vector<std::string>& wanted) {
  std::set<std::string> prefixes = {"", base.prefix};
  for (const std::string& name : wanted) add_prefixes(name, prefixes);
  std::vector<Spelling> candidates = {base};
  for (const std::string& prefix : prefixes) {
    Spelling own = base;
    own.prefix = prefix;
    candidates.push_back(own);
    own.generation ^= kAgeBit;
    candidates.push_back(own);
    candidates.push_back({own_family(), prefix, 0, {}});
  }
  std::optional<AdapterNames> best;
  int64_t most = -1;
  for (const Spelling& candidate : candidates) {
    AdapterNames names(candidate, config);
    const int64_t known = std::ranges::count_if(
        wanted, [&](const std::string& name) { return names.find(name) != nullptr; });
    if (known <= most) continue;
    most = known;
    best = std::move(names);
  }
  return *best;
}

const ParameterPiece* AdapterNames::find(const std::string& name) const {
  const auto found = pieces_.find(name);
  return found == pieces_.end() ? nullptr : &found->second;
}

bool AdapterNames::is_left_out(const std::string& name) const {
  return vitrail::is_left_out(spelling_, name);
}

}  // namespace vitrail
