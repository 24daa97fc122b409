#include "formats/state_dict.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>

#include "core/advice.h"
#include "core/error.h"
#include "core/printable.h"
#include "formats/module_fields.h"
#include "formats/state_dict_finder.h"
#include "formats/wrapper_names.h"

namespace vitrail {
namespace {

// The likelier first: averaged weights, then the model's own, then its parts.
constexpr std::array<std::string_view, 17> kPreferred = {
    "state_dict_ema", "model_ema",        "ema",    "ema_state_dict", "teacher",
    "state_dict",     "model_state_dict", "model",  "module",         "net",
    "network",        "weights",          "params", "encoder",        "backbone",
    "target_encoder", "student"};
constexpr size_t kListed = 6;

size_t preference(const std::string& path) {
  const std::string_view last = std::string_view(path).substr(path.rfind('.') + 1);
  const auto* found = std::ranges::find(kPreferred, last);
  return static_cast<size_t>(found - kPreferred.begin());
}

std::string listed(const std::vector<Candidate>& candidates, const Candidate* but = nullptr) {
  std::string text;
  size_t count = 0;
  for (const Candidate& candidate : candidates) {
    if (&candidate == but) continue;
    if (++count > kListed) return text + ", ...";
    text += (text.empty() ? "'" : ", '") + printable(candidate.path, 60) + "'";
  }
  return text;
}

Candidate& choose(std::vector<Candidate>& candidates, const std::string& chosen,
                  const std::string& place) {
  if (!chosen.empty()) {
    for (Candidate& candidate : candidates)
      if (candidate.path == chosen) return candidate;
    fail("pth", "{}: has no state dict '{}'; it has {}", place, printable(chosen),
         listed(candidates));
  }
  // Single tensors beside the weights (an epoch, a loss) are a dictionary too, but a small one.
  int64_t most = 0;
  for (const Candidate& candidate : candidates) most = std::max(most, candidate.elements);
  std::vector<Candidate*> large;
  for (Candidate& candidate : candidates)
    if (candidate.elements >= most / 2) large.push_back(&candidate);
  std::ranges::stable_sort(large, {}, [](const Candidate* c) { return preference(c->path); });
  // Both encoders stand in the files of I-JEPA, whose readers take the trained one, and of MSN,
  // beside its prototypes, whose evaluation takes the target (Assran et al. 2022 and 2023).
  const bool of_msn = std::ranges::any_of(candidates, [](const Candidate& c) {
    return c.path.empty() && c.tensors.contains("prototypes");
  });
  if (of_msn)
    std::stable_partition(large.begin(), large.end(),
                          [](const Candidate* c) { return c->path == "target_encoder"; });
  const bool tied = large.size() > 1 && preference(large[0]->path) == kPreferred.size();
  if (tied && !large[0]->path.empty())
    fail("pth", "{}: holds several state dicts, {}; choose one with {}", place, listed(candidates),
         said_setting("state_dict", "NAME"));
  return *large.front();
}

// What was taken off every name.
std::string unwrap(StateDict& dict) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : dict.tensors) names.push_back(name);
  UnwrappedNames found = unwrapped_names(names);
  std::map<std::string, uint32_t> shorter;
  for (const auto& [name, original] : found.original)
    shorter.emplace(name, dict.tensors.at(original));
  dict.tensors = std::move(shorter);
  dict.notes.insert(dict.notes.end(), found.notes.begin(), found.notes.end());
  return std::move(found.prefix);
}

// What of a candidate could not be read.
void note_unread(const Candidate& own, StateDict& dict) {
  const size_t named = std::min(kListed, own.unread.size());
  for (size_t i = 0; i < named; ++i)
    dict.notes.push_back(fmt::format("'{}' is of a type that cannot be read, and is left out",
                                     printable(own.unread[i])));
  if (named < own.unread.size())
    dict.notes.push_back(fmt::format("so are {} more", own.unread.size() - named));
}

// The module whose class says what a candidate computes. A wrapper's says nothing; where the prefix
// that was taken off is no module's, the whole's does.
const PickleValue& told_module(const Candidate& own, const std::string& taken) {
  const auto inner = own.modules.find(taken);
  return inner == own.modules.end() ? *own.modules.at("") : *inner->second;
}

// "__torch__.timm.models.vit.___torch_mangle_3.ViT" as Python calls it: TorchScript tells apart
// what it has compiled several times.
std::string script_class(std::string_view global) {
  std::string name = dotted_name(global);
  constexpr std::string_view kRoot = "__torch__.", kMangled = "___torch_mangle_";
  if (name.starts_with(kRoot)) name.erase(0, kRoot.size());
  for (size_t at = name.find(kMangled); at != std::string::npos; at = name.find(kMangled, at)) {
    const size_t dot = name.find('.', at);
    name.erase(at, dot == std::string::npos ? dot : dot + 1 - at);
  }
  return name;
}

}  // namespace

StateDict script_state_dict(const Pickle& pickle, const PthOptions& options,
                            const std::string& place) {
  if (!options.state_dict.empty())
    fail("pth",
         "{}: is a TorchScript archive of one module, so state_dict={} chooses nothing in it",
         place, printable(options.state_dict));
  Candidate own = StateDictFinder(pickle, place).script_module();
  if (own.tensors.empty())
    fail("pth",
         "{}: is a TorchScript archive without weights that have names (torch.jit.freeze takes "
         "them away); save the state_dict() of its model",
         place);
  StateDict dict;
  note_unread(own, dict);
  dict.tensors = std::move(own.tensors);
  const std::string taken = options.unwrap ? unwrap(dict) : "";
  dict.module_class = script_class(told_module(own, taken).text);
  dict.notes.push_back("the weights are those of a TorchScript archive of " + dict.module_class +
                       ", whose program is not read");
  return dict;
}

StateDict choose_state_dict(const Pickle& pickle, const PthOptions& options,
                            const std::string& place) {
  std::vector<Candidate> candidates = StateDictFinder(pickle, place).run();
  if (candidates.empty() && pickle.top().kind == PickleValue::Kind::opaque)
    fail("pth", "{}: is an object of {}, which has no parameters; save a model's state_dict()",
         place, dotted_name(pickle.top().text));
  if (candidates.empty()) fail("pth", "{}: holds no dictionary of tensors", place);
  Candidate& own = choose(candidates, options.state_dict, place);
  StateDict dict;
  if (!own.path.empty()) {
    const std::string others = listed(candidates, &own);
    dict.notes.push_back(fmt::format(
        "the state dict '{}' is read{}", printable(own.path),
        others.empty()
            ? ""
            : "; there is also " + others + " (" + said_setting("state_dict", "NAME") + ")"));
  }
  note_unread(own, dict);
  dict.tensors = std::move(own.tensors);
  const std::string taken = options.unwrap ? unwrap(dict) : "";
  if (own.modules.empty()) return dict;
  const PickleValue& module = told_module(own, taken);
  dict.module_class = dotted_name(module.text);
  dict.module_fields = module_fields(pickle, module);
  dict.notes.push_back("the weights are those of a module saved whole, " + dict.module_class);
  return dict;
}

size_t legacy_width(const PickleStorage& storage, const std::string& place) {
  if (storage.unreadable.empty()) return size_of(storage.dtype);
  const std::string_view type = storage.unreadable;
  if (type.find("ComplexFloat") != std::string_view::npos) return 8;
  if (type.find("ComplexDouble") != std::string_view::npos) return 16;
  if (type.find("QInt32") != std::string_view::npos) return 4;
  if (type.find("QInt8") != std::string_view::npos || type.find("QUInt8") != std::string_view::npos)
    return 1;
  fail("pth", "{}: holds a storage of type '{}', which is not known", place, type.substr(0, 60));
}

}  // namespace vitrail
