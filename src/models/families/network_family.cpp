#include "models/families/network_family.h"

#include <algorithm>

#include "core/advice.h"
#include "core/error.h"
#include "models/families/answer_rules.h"
#include "models/families/convert.h"
#include "models/families/recognise.h"
#include "models/network.h"

namespace vitrail {
namespace {

// Whether the file has all parameters of a network, each of its shape.
bool has_tensors_of(const Network& network, const FileReading& file) {
  return std::ranges::all_of(network.parameters().all(), [&](const auto& parameter) {
    const std::vector<std::string> parts = names_in(file.spelling, parameter->path());
    int64_t values = 0;
    for (const std::string& part : parts) {
      const TensorInfo* there = file.tensors.find(part);
      if (there == nullptr) return false;
      values += there->shape.numel();
      if (parts.size() == 1 && there->shape.numel() == parameter->shape().numel() &&
          there->shape.rank() == parameter->shape().rank() && there->shape != parameter->shape())
        return false;
    }
    return !parts.empty() && values == parameter->shape().numel();
  });
}

}  // namespace

std::optional<Claim> NetworkFamily::recognise(const FileEvidence& file) const {
  const auto prefix = file.prefix_before(mark());
  if (!prefix) return std::nullopt;
  return Claim{*prefix, *prefix + std::string(mark())};
}

ReadModel NetworkFamily::read(const FileReading& file) const {
  NetworkDraft draft = begin(file);
  follow_tensors(draft.config, file);
  ClassAnswer answer = draft.class_answer();
  answer.classes = classes_in(file);
  draft.set_class_answer(answer);
  open_answer(draft);
  apply_settings(draft, file.settings, !said_architecture(file.settings).empty());
  settle(draft, file);
  finish_answer(draft);
  draft.config.validate();
  return finished(draft, draft.config, file);
}

Adapted NetworkFamily::express(const NetworkConfig& config, const TensorSource& canonical) const {
  if (config.type() != network())
    fail("convert", "{} models cannot express a network of the type {}", name(), config.type());
  check_expressible(config);
  Adapted same{.config = config, .tensors = {}, .folds = {}};
  for (const std::string& name : canonical.names()) same.tensors[name] = canonical.tensor(name);
  complete(same);
  return same;
}

void NetworkFamily::check_expressible(const NetworkConfig&) const {}

void NetworkFamily::complete(Adapted&) const {}

void NetworkFamily::follow_tensors(NetworkConfig&, const FileReading&) const {}

std::string NetworkFamily::said_architecture(const Settings& settings) {
  std::string said;
  for (const auto& [name, value] : settings)
    if (name == "architecture") said = value;
  return said;
}

int64_t NetworkFamily::classes_in(const FileReading& file) const {
  const auto names = names_in(file.spelling, std::string(head()) + ".weight");
  const TensorInfo* weight = names.empty() ? nullptr : file.tensors.find(names.front());
  return weight == nullptr || weight->shape.rank() == 0 ? 0 : weight->shape[0];
}

std::vector<std::string> NetworkFamily::models_with_tensors(const FileReading& file) const {
  std::vector<std::string> fitting;
  for (const std::string_view name : model_names()) {
    NetworkConfig config = published_model(name).config;
    follow_tensors(config, file);
    ClassAnswer answer = config.class_answer();
    answer.classes = classes_in(file);
    config.set_class_answer(answer);
    if (has_tensors_of(*config.make(), file)) fitting.emplace_back(name);
  }
  return fitting;
}

}  // namespace vitrail
