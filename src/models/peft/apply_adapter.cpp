#include "models/peft/apply_adapter.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/printable.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "models/families/answer_rules.h"
#include "models/network.h"
#include "models/peft/adapted_tensors.h"

namespace vitrail {
namespace {

constexpr const char* kAdapterConfig = "adapter_config.json";
constexpr const char* kAdapterLabels = "labels.json";

std::shared_ptr<TensorSource> open_adapter_tensors(const std::filesystem::path& folder) {
  std::error_code ignored;
  const std::filesystem::path today = folder / "adapter_model.safetensors";
  const std::filesystem::path older = folder / "adapter_model.bin";
  const bool is_older =
      !std::filesystem::exists(today, ignored) && std::filesystem::exists(older, ignored);
  return open_tensors(is_older ? older : today);
}

// Names of the parameters that the adapter's tensors are about.
std::vector<std::string> parameters_of(const TensorSource& adapter) {
  std::vector<std::string> names;
  for (const std::string& name : adapter.names()) {
    if (!name.starts_with(kPeftPrefix)) continue;
    const std::string own = name.substr(kPeftPrefix.size());
    const size_t part = own.find(".lora_");
    names.push_back(part == std::string::npos ? own : own.substr(0, part) + ".weight");
  }
  return names;
}

void set_head(CheckpointInfo& info, const TensorInfo& head, const std::string& place) {
  check(head.shape.rank() == 2 && head.shape[0] > 0, "adapter", "{}: its head is {}", place,
        head.shape.str());
  ClassAnswer answer = info.config.class_answer();
  answer.classes = head.shape[0];
  info.config.set_class_answer(answer);
  auto* vit = info.config.get_if<VitConfig>();
  if (vit != nullptr && info.family->reads_class_and_mean() && head.shape[1] == 2 * vit->embed_dim)
    vit->head.pooling = Pooling::class_and_mean;
  info.labels.clear();
  info.wnids.clear();
  info.labels_file.clear();
  std::erase_if(info.warnings,
                [](const std::string& text) { return text == "the classes have no names"; });
}

void read_labels(CheckpointInfo& info, const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    info.warnings.push_back("the adapter's classes have no names");
    return;
  }
  const Json names = read_json(path);
  const bool strings =
      names.is_array() && std::ranges::all_of(names, [](const Json& n) { return n.is_string(); });
  const int64_t classes = info.config.class_answer().classes;
  if (!strings || static_cast<int64_t>(names.size()) != classes)
    fail("adapter", "{}: must be an array of the names of the head's {} classes", path.string(),
         classes);
  info.labels = names.get<std::vector<std::string>>();
}

void say_what_is_dropped(CheckpointInfo& info, const AdapterPlan& plan) {
  if (info.rejection)
    info.warnings.push_back(
        "what the base was calibrated for ('none of my classes') is not the adapter's, and is left "
        "out");
  info.rejection.reset();
  for (const std::string& name : plan.left_out) {
    info.left_out.push_back(name);
    info.warnings.push_back(
        fmt::format("'{}' is not part of the answer and is left out", printable(name)));
  }
}

}  // namespace

void apply_adapter(Checkpoint& checkpoint, const std::filesystem::path& folder,
                   const Settings& settings) {
  const AdapterConfig config = adapter_config_from_json(read_json(folder / kAdapterConfig),
                                                        (folder / kAdapterConfig).string());
  const auto adapter = open_adapter_tensors(folder);
  CheckpointInfo& info = checkpoint.info;
  const AdapterNames names =
      AdapterNames::choose(checkpoint.spelling, info.config, parameters_of(*adapter));
  AdapterPlan plan = plan_adapter(*adapter, config, names);
  check(!plan.edits.empty(), "adapter", "{}: holds nothing that changes the model",
        adapter->place());
  if (const auto head = plan.edits.find("head.weight");
      head != plan.edits.end() && !head->second.front().replacement.empty()) {
    set_head(info, adapter->info(head->second.front().replacement), adapter->place());
    read_labels(info, folder / kAdapterLabels);
    std::error_code ignored;
    const std::filesystem::path answer = folder / kAdapterAnswer;
    const Json meaning = std::filesystem::exists(answer, ignored) ? read_json(answer) : Json();
    settle_adapter_answer(info, meaning, settings, answer.string());
  } else if (!settings.empty()) {
    settle_adapter_answer(info, nullptr, settings, folder.string());
  }
  say_what_is_dropped(info, plan);
  checkpoint.tensors = adapted_tensors(checkpoint.tensors, adapter, std::move(plan.edits));
  // Parameters and the adapter's tensors fit each other, or an Error says which do not.
  const std::shared_ptr<Network> network = info.config.make();
  for (const auto& parameter : network->parameters().all()) {
    const TensorInfo& found = checkpoint.tensors->info(parameter->path());
    check(found.shape == parameter->shape(), "adapter", "{}: {} is {}, the model's is {}",
          adapter->place(), parameter->path(), found.shape.str(), parameter->shape().str());
  }
}

}  // namespace vitrail
