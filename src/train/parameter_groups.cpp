#include "train/parameter_groups.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "core/error.h"

namespace vitrail {
namespace {

// The number of blocks.i, or -1.
int64_t block_of(std::string_view path) {
  constexpr std::string_view kBlocks = "blocks.";
  if (!path.starts_with(kBlocks)) return -1;
  int64_t number = 0;
  for (const char c : path.substr(kBlocks.size())) {
    if (c == '.') return number;
    if (c < '0' || c > '9') return -1;
    number = 10 * number + (c - '0');
  }
  return -1;
}

}  // namespace

bool is_decayed(const Parameter& parameter) {
  static constexpr std::array<std::string_view, 6> kTables = {
      "cls_token", "dist_token", "reg_token", "pos_embed", "attn_pool.latent", "mask_token"};
  return parameter.shape().rank() > 1 &&
         std::ranges::find(kTables, parameter.path()) == kTables.end();
}

int64_t layer_of(const std::string& path, int64_t depth) {
  static constexpr std::array<std::string_view, 7> kStem = {
      "cls_token", "dist_token", "reg_token", "pos_embed", "patch_embed", "tokenizer", "norm_pre"};
  for (const std::string_view stem : kStem)
    if (path.starts_with(stem)) return 0;
  if (const int64_t block = block_of(path); block >= 0) return block + 1;
  return path.starts_with("norm.") ? depth : depth + 1;
}

std::vector<Trained> trained_parameters(const ParameterRegistry& parameters,
                                        const GroupOptions& options) {
  int64_t depth = 0;
  for (const auto& parameter : parameters.all())
    depth = std::max(depth, block_of(parameter->path()) + 1);
  std::vector<Trained> trained;
  for (const auto& parameter : parameters.all()) {
    if (!parameter->trainable()) continue;
    const bool decayed = options.decay_all || is_decayed(*parameter);
    const int64_t above = depth + 1 - layer_of(parameter->path(), depth);
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
