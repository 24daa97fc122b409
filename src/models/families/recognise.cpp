// Whose checkpoint a file is, and in which of the family's spellings.
#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "core/error.h"
#include "core/printable.h"
#include "models/families/config_kind.h"
#include "models/families/fields.h"
#include "models/families/generations.h"
#include "models/families/names.h"

namespace vitrail {
namespace {

// The prefix before a name that ends in `ending` and marks a family; nothing when none does.
std::optional<std::string> prefix_of(const std::vector<std::string>& names,
                                     std::string_view ending) {
  for (const std::string& name : names)
    if (name.ends_with(ending) &&
        (name.size() == ending.size() || name[name.size() - ending.size() - 1] == '.'))
      return name.substr(0, name.size() - ending.size());
  return std::nullopt;
}

bool any_contains(const std::vector<std::string>& names, std::string_view part) {
  return std::ranges::any_of(
      names, [&](const std::string& name) { return name.find(part) != std::string::npos; });
}

Family hf_family(const std::vector<std::string>& names, const nlohmann::json& config) {
  if (kind_of(config) == ConfigKind::transformers) {
    const auto& word = config.at("model_type").get_ref<const std::string&>();
    return word == "vit" ? Family::hf_vit : word == "deit" ? Family::hf_deit : Family::hf_dinov2;
  }
  if (any_contains(names, "layer_scale1.lambda1")) return Family::hf_dinov2;
  if (any_contains(names, "embeddings.distillation_token")) return Family::hf_deit;
  return Family::hf_vit;
}

void find_hf_generation(const std::vector<std::string>& names, Spelling& s) {
  if (any_contains(names, ".attention.q_proj.") || any_contains(names, ".gate_proj."))
    s.generation |= kNewModules;
  if (s.family == Family::hf_deit && !any_contains(names, "cls_classifier."))
    s.generation |= kPlainDeitHead;
  if (s.family == Family::hf_dinov2 &&
      (any_contains(names, ".mlp.weights_in.") || any_contains(names, ".mlp.gate_proj.")))
    s.generation |= kGatedMlp;
}

// blocks.CHUNK.INDEX.norm1.weight: the chunk of each block.
std::vector<int64_t> find_chunks(const std::vector<std::string>& names, const Spelling& s,
                                 const std::string& place) {
  std::map<int64_t, int64_t> chunks;
  const std::string start = s.prefix + "blocks.";
  for (const std::string& name : names) {
    if (!name.starts_with(start) || !name.ends_with(".norm1.weight")) continue;
    const char* at = name.data() + start.size();
    const char* end = name.data() + name.size();
    int64_t chunk = 0, index = 0;
    const auto first = std::from_chars(at, end, chunk);
    if (first.ec != std::errc() || first.ptr == end || *first.ptr != '.') continue;
    const auto second = std::from_chars(first.ptr + 1, end, index);
    if (second.ec != std::errc()) continue;  // blocks.INDEX.norm1: not chunked
    if (!chunks.emplace(index, chunk).second)
      fail("family", "{}: block {} stands in two chunks", place, index);
  }
  std::vector<int64_t> by_block;
  for (const auto& [index, chunk] : chunks) {
    if (index != static_cast<int64_t>(by_block.size()))
      fail("family", "{}: block {} is missing from the chunks", place, by_block.size());
    by_block.push_back(chunk);
  }
  return by_block;
}

// Its mask token is of two axes, those of MAE, iBOT and BEiT are of three.
bool is_original_dinov2(const TensorSource& tensors, const std::vector<std::string>& names,
                        const std::string& prefix) {
  const TensorInfo* mask = tensors.find(prefix + "mask_token");
  return (mask != nullptr && mask->shape.rank() == 2) ||
         tensors.contains(prefix + "register_tokens") || any_contains(names, ".mlp.w12.");
}

// A converted file of a family without a configuration carries ours, and keeps its own names.
bool says_another_family(const nlohmann::json& config) {
  const auto family = config.find("family");
  return config.value("model_type", nlohmann::json()) != "vitrail" &&
         !config.contains("norm_placement") && family != config.end();
}

// What the configuration says of itself, for the message about names.
std::string said_by(const nlohmann::json& config) {
  if (!config.is_object()) return "";
  for (const char* key : {"architecture", "model_type", "architectures"})
    if (const auto found = config.find(key); found != config.end())
      return fmt::format("; config.json says {} {}", key, shown(*found));
  return "";
}

constexpr size_t kShownName = 60;

}  // namespace

Spelling recognise(const TensorSource& tensors, const nlohmann::json& config) {
  const std::vector<std::string> names = tensors.names();
  const std::string& place = tensors.place();
  Spelling s;
  const ConfigKind kind = kind_of(config);
  if (kind == ConfigKind::vitrail && !says_another_family(config)) {
    s.family = Family::vitrail;
    return s;
  }
  if (const auto prefix = prefix_of(names, "embeddings.patch_embeddings.projection.weight")) {
    s.family = hf_family(names, config);
    s.prefix = *prefix;
    find_hf_generation(names, s);
    return s;
  }
  if (const auto prefix = prefix_of(names, "to_patch_embedding.1.weight")) {
    s.family = Family::vit_pytorch;
    s.prefix = *prefix;
    if (any_contains(names, ".fn.to_qkv.")) s.generation |= kPreNormModules;
    if (tensors.contains(s.prefix + "to_patch_embedding.2.weight")) s.generation |= kNormedPatches;
    if (!tensors.contains(s.prefix + "transformer.norm.weight")) s.generation |= kHeadNorm;
    return s;
  }
  if (const auto prefix = prefix_of(names, "patch_embed.proj.weight")) {
    s.prefix = *prefix;
    if (kind != ConfigKind::timm && is_original_dinov2(tensors, names, s.prefix)) {
      s.family = Family::dinov2;
      if (any_contains(names, ".mlp.w12.")) s.generation |= kGatedMlp;
      s.block_chunks = find_chunks(names, s, place);
    } else {
      s.family = Family::timm;
      if (tensors.contains(s.prefix + "blocks.0.gamma_1")) s.generation |= kGammaNames;
    }
    return s;
  }
  std::string first;
  for (size_t i = 0; i < std::min<size_t>(3, names.size()); ++i)
    first += (i > 0 ? ", " : "") + printable(names[i], kShownName);
  fail(ErrorCode::unsupported, "family",
       "{}: the names ({}{}) are of no known family: timm or transformers ViT, DeiT and "
       "DINOv2, original DINOv2, vit-pytorch, vitrail{}",
       place, first, names.size() > 3 ? ", ..." : "", said_by(config));
}

}  // namespace vitrail
