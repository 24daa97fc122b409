#include "apps/cli/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "apps/cli/standard_streams.h"
#include "core/error.h"
#include "formats/safetensors.h"

namespace vitrail::cli {
namespace {

// The name under which the network tells this activation; "" when it is none.
std::string activation_of(const std::string& name, bool has_head) {
  if (name == "patch_embed" || name == "tokens" || name == "norm" || name == "pooled") return name;
  // The answer of a model without a head is the pooled vector.
  if (name == "logits" || name == "head") return has_head ? "head" : "pooled";
  for (const std::string prefix : {"blocks.", "block."})
    if (name.starts_with(prefix) && name.size() > prefix.size() &&
        name.find_first_not_of("0123456789", prefix.size()) == std::string::npos)
      return "blocks." + name.substr(prefix.size());
  return "";
}

LayerComparison compare(const std::string& name, const Tensor& ours, const Tensor& theirs,
                        double tolerance) {
  LayerComparison layer{.name = name};
  if (ours.numel() != theirs.numel()) {
    layer.error = std::numeric_limits<double>::infinity();
    layer.note =
        fmt::format("the shape is {}, the file has {}", ours.shape().str(), theirs.shape().str());
  } else {
    double difference = 0, largest = 0;
    for (int64_t i = 0; i < ours.numel(); ++i) {
      const double a = ours.f32()[i], b = theirs.f32()[i];
      if (!std::isfinite(a) || !std::isfinite(b)) {
        difference = std::numeric_limits<double>::infinity();
        layer.note = "a value is not finite";
        break;
      }
      difference = std::max(difference, std::abs(a - b));
      largest = std::max(largest, std::abs(b));
    }
    layer.error = difference / std::max(largest, 1e-30);
  }
  layer.agrees = layer.error <= tolerance;
  return layer;
}

nlohmann::ordered_json number(double value) {
  if (std::isfinite(value)) return value;
  return nullptr;  // JSON has no infinity
}

}  // namespace

Comparison compare_with_reference(Session& session, const std::string& file, double tolerance) {
  const auto reference = SafetensorsFile::open(file);
  check(reference->contains("input"), "doctor", "{}: has no tensor 'input' to run", file);
  Comparison result{.file = file, .tolerance = tolerance};
  const bool has_head = session.model().network->class_answer().classes > 0;
  std::map<std::string, std::string> wanted;  // activation: its name in the file
  for (const std::string& name : reference->names()) {
    const std::string activation = activation_of(name, has_head);
    if (!activation.empty())
      wanted.emplace(activation, name);
    else if (name != "input")
      result.ignored.push_back(name);
  }
  check(!wanted.empty(), "doctor", "{}: has no activation such as 'blocks.0' or 'logits'", file);

  RunHooks hooks;
  hooks.observer = [&](const std::string& path, const Tensor& value) {
    const auto found = wanted.find(path);
    if (found == wanted.end()) return;
    const Tensor theirs = reference->tensor(found->second).to(DType::f32);
    result.layers.push_back(compare(found->second, value, theirs, tolerance));
    if (!result.layers.back().agrees && !result.first_divergence)
      result.first_divergence = found->second;
    wanted.erase(found);
  };
  session.run(reference->tensor("input").to(DType::f32), hooks);
  for (const auto& [activation, name] : wanted) {
    result.layers.push_back({.name = name,
                             .error = std::numeric_limits<double>::infinity(),
                             .note = "this model has no such layer",
                             .agrees = false});
    if (!result.first_divergence) result.first_divergence = name;
  }
  return result;
}

void print_comparison(const Comparison& comparison) {
  print_stdout("against {} (tolerance {:g})\n", comparison.file, comparison.tolerance);
  for (const LayerComparison& layer : comparison.layers)
    print_stdout("  {:<4} {:<14} {:.2e}{}{}\n", layer.agrees ? "ok" : "DIFF", layer.name,
                 layer.error, layer.note.empty() ? "" : "  ", layer.note);
  if (comparison.first_divergence)
    print_stdout("the first layer that diverges is {}\n", *comparison.first_divergence);
  else
    print_stdout("all {} agree\n", comparison.layers.size());
  if (!comparison.ignored.empty())
    print_stdout("{} other tensors of the file were not compared\n", comparison.ignored.size());
}

nlohmann::ordered_json comparison_json(const Comparison& comparison) {
  nlohmann::ordered_json json;
  json["file"] = comparison.file;
  json["tolerance"] = comparison.tolerance;
  if (comparison.first_divergence)
    json["first_divergence"] = *comparison.first_divergence;
  else
    json["first_divergence"] = nullptr;
  json["layers"] = nlohmann::ordered_json::array();
  for (const LayerComparison& layer : comparison.layers) {
    nlohmann::ordered_json entry;
    entry["name"] = layer.name;
    entry["error"] = number(layer.error);
    entry["agrees"] = layer.agrees;
    if (!layer.note.empty()) entry["note"] = layer.note;
    json["layers"].push_back(std::move(entry));
  }
  json["ignored"] = comparison.ignored;
  return json;
}

}  // namespace vitrail::cli
