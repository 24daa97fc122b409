#include "models/families/convert.h"

#include <cstring>
#include <map>

#include "core/error.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

// Where the names of a file that was converted came from, so that the way back finds them again.
constexpr const char* kOriginKey = "vitrail_origin";

// The names to write: those the model once had in this family, or what the family writes today.
Spelling target_spelling(const Checkpoint& checkpoint, const NetworkConfig& config,
                         const Family* target) {
  Spelling today = spelling_for(target, config);
  if (checkpoint.spelling.family == target) return respelled(today, checkpoint.spelling);
  const auto& metadata = checkpoint.file->metadata();
  if (const auto words = metadata.find(kOriginKey); words != metadata.end())
    if (const auto origin = spelling_from_words(words->second); origin && origin->family == target)
      return respelled(today, *origin);
  return today;
}

// What the source file said about itself travels along.
std::map<std::string, std::string> metadata_of(const Checkpoint& checkpoint, const Family* target) {
  auto metadata = checkpoint.file->metadata();
  metadata.emplace("format", "pt");  // transformers asks for it
  const std::string own = to_words(checkpoint.spelling);
  if (target == checkpoint.spelling.family) return metadata;
  const auto [origin, first] = metadata.emplace(kOriginKey, own);
  if (!first && origin->second.starts_with(std::string(name_of(target)) + " "))
    metadata.erase(origin);  // back where it came from
  return metadata;
}

// A tensor that several parameters are parts of, in the order in which they stand in it.
Tensor joined(const std::map<int64_t, Tensor>& parts) {
  Shape shape = parts.begin()->second.shape();
  shape[0] = 0;
  for (const auto& [begin, part] : parts) shape[0] += part.size(0);
  Tensor all = Tensor::empty(shape, parts.begin()->second.dtype());
  auto* target = static_cast<std::byte*>(all.raw());
  for (const auto& [begin, part] : parts) {
    std::memcpy(target, part.raw(), part.bytes());
    target += part.bytes();
  }
  return all;
}

// Under the names of the spelling. Error: one that it has none for.
NamedTensors spelled(const std::map<std::string, Tensor>& tensors, const Spelling& spelling) {
  NamedTensors renamed;
  std::map<std::string, std::map<int64_t, Tensor>> shared;
  for (const auto& [name, tensor] : tensors) {
    const WeightRule rule = rule_for(spelling, name);
    if (rule.parts.empty()) fail("convert", "{} models have no {}", name_of(spelling.family), name);
    if (rule.part)
      shared[rule.parts.front()].emplace(rule.part->begin, tensor);
    else
      for (auto& part : split_parts(rule, tensor)) renamed.push_back(std::move(part));
  }
  for (const auto& [name, parts] : shared) renamed.emplace_back(name, joined(parts));
  return renamed;
}

}  // namespace

Adapted adapt(const NetworkConfig& config, const TensorSource& canonical, const Family* target) {
  return target->express(config, canonical);
}

const Family* conversion_target(const std::string& name, const NetworkConfig& config) {
  const Family* found = nullptr;
  for (const Family* family : families())
    if (family->group() == name && !name.empty() && family->suits(config) &&
        (found == nullptr || family->refines() == found))
      found = family;
  return found != nullptr ? found : family_from_name(name);
}

NamedTensors split_parts(const WeightRule& rule, const Tensor& tensor) {
  if (rule.parts.size() == 1) return {{rule.parts.front(), tensor}};
  const auto share = [&](size_t part) { return rule.shares.empty() ? 1 : rule.shares[part]; };
  int64_t all = 0, begin = 0;
  for (size_t i = 0; i < rule.parts.size(); ++i) all += share(i);
  const int64_t rows = tensor.size(0) / all;
  NamedTensors parts;
  for (size_t i = 0; i < rule.parts.size(); ++i) {
    const int64_t end = begin + share(i) * rows;
    parts.emplace_back(rule.parts[i], tensor.rows(begin, end));
    begin = end;
  }
  return parts;
}

ConversionReport write_converted(const std::filesystem::path& folder, const Checkpoint& checkpoint,
                                 const ConversionOptions& options) {
  ConversionReport report;
  NamedTensors source;
  for (const std::string& name : checkpoint.tensors->names())
    source.emplace_back(name, checkpoint.tensors->tensor(name));
  const auto mask = names_in(checkpoint.spelling, "mask_token");
  const bool masked = !mask.empty() && checkpoint.file->contains(mask.front());
  if (masked) source.emplace_back("mask_token", checkpoint.file->tensor(mask.front()));
  Adapted adapted = adapt(checkpoint.info.config, MemoryTensors(source), options.target);

  const Spelling spelling = target_spelling(checkpoint, adapted.config, options.target);
  const NamedTensors renamed = spelled(adapted.tensors, spelling);
  for (const std::string& name : checkpoint.info.left_out)
    if (!masked || name != mask.front() || !adapted.tensors.contains("mask_token"))
      report.left_out.push_back(name);

  const Json config = options.target->config_for(adapted.config, options, adapted.folds);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) fail("convert", "{}: the folder cannot be made: {}", folder.string(), error.message());
  const char* preprocess_file = options.target->preprocess_file();
  if (preprocess_file != nullptr && !options.preprocess.is_null()) {
    report.files.push_back(folder / preprocess_file);
    write_json(report.files.back(), options.preprocess);
  }
  report.files.push_back(folder / "config.json");
  write_json(report.files.back(), config);
  report.files.push_back(folder / "model.safetensors");
  write_safetensors(report.files.back(), renamed, metadata_of(checkpoint, options.target));
  report.folds = std::move(adapted.folds);
  return report;
}

}  // namespace vitrail
