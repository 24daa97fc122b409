#include "formats/state_dict_finder.h"

#include <algorithm>
#include <limits>

#include "core/error.h"
#include "core/printable.h"
#include "formats/pth.h"
#include "formats/safetensors.h"

namespace vitrail {
namespace {

using Kind = PickleValue::Kind;

// Steps and bytes of names, so that a checkpoint of a hundred thousand tensors in several copies is
// read, and dictionaries that share parts end.
constexpr size_t kWorkBase = 1'000'000;
constexpr size_t kWorkPerValue = 64;
constexpr size_t kWorkPerEntry = 16;
constexpr int kMaxModuleDepth = 32;
constexpr size_t kMaxClasses = 64;  // kept for each module
constexpr size_t kMaxWrapperPrefix = 64;

// Moments are tensors too, and no weights.
bool is_optimizer(std::string_view name) {
  return name.find("optim") != std::string_view::npos || name == "scaler" ||
         name.find("scheduler") != std::string_view::npos;
}
bool is_unread_tensor(const PickleValue& value) {
  return value.kind == Kind::opaque && (value.text.find("_rebuild_") != std::string_view::npos ||
                                        value.text.ends_with("Storage"));
}

}  // namespace

StateDictFinder::StateDictFinder(const Pickle& pickle, const std::string& place)
    : pickle_(pickle), place_(place), max_work_(kWorkBase + kWorkPerValue * pickle.values.size()) {}

std::vector<Candidate> StateDictFinder::run() {
  visit(pickle_.root, "", 0);
  return std::move(found_);
}

void StateDictFinder::spend(size_t work) {
  work_ += work;
  if (work_ > max_work_)
    fail("pth", "{}: its dictionaries share parts so often that they come to too many entries",
         place_);
}

const PickleValue* StateDictFinder::state_of(const PickleValue& value) const {
  if (value.kind != Kind::opaque || value.items.empty()) return nullptr;
  const PickleValue& state = at(value.items[0]);
  return state.kind == Kind::dict ? &state : nullptr;
}

const PickleValue* StateDictFinder::member(const PickleValue& dictionary,
                                           std::string_view name) const {
  for (size_t i = 0; i + 1 < dictionary.items.size(); i += 2)
    if (at(dictionary.items[i]).kind == Kind::text && at(dictionary.items[i]).text == name)
      return &at(dictionary.items[i + 1]);
  return nullptr;
}

void StateDictFinder::add(Candidate& candidate, const std::string& name, uint32_t tensor) const {
  if (!candidate.tensors.insert_or_assign(name, tensor).second) return;
  if (candidate.tensors.size() > kMaxPthTensors)
    fail("pth", "{}: holds more than {} tensors", place_, kMaxPthTensors);
  // Sizes are not checked against the file yet, so their sum may be anything.
  if (__builtin_add_overflow(candidate.elements, pickle_.tensors[tensor].shape.numel(),
                             &candidate.elements))
    candidate.elements = std::numeric_limits<int64_t>::max();
}

// The tensors of a dictionary under prefix and key, but for those of `left_out`'s names.
void StateDictFinder::take_tensors(const PickleValue& dictionary, const std::string& prefix,
                                   const PickleValue* left_out, Candidate& into) {
  const auto is_left_out = [&](std::string_view key) {
    if (left_out == nullptr) return false;
    spend(left_out->items.size());
    return std::ranges::any_of(left_out->items,
                               [&](uint32_t item) { return at(item).text == key; });
  };
  for (size_t i = 0; i + 1 < dictionary.items.size(); i += 2) {
    const PickleValue& key = at(dictionary.items[i]);
    const PickleValue& value = at(dictionary.items[i + 1]);
    spend(kWorkPerEntry);
    if (key.kind != Kind::text || (value.kind != Kind::tensor && !is_unread_tensor(value)))
      continue;
    spend(prefix.size() + key.text.size());
    if (prefix.size() + key.text.size() > kMaxTensorNameBytes)
      fail("pth", "{}: a tensor's name of {} bytes is above the limit of {}", place_,
           prefix.size() + key.text.size(), kMaxTensorNameBytes);
    if (is_left_out(key.text)) continue;
    const std::string name = prefix + std::string(key.text);
    if (value.kind == Kind::tensor)
      add(into, name, value.index);
    else
      into.unread.push_back(name);
  }
}

// What Module.state_dict() goes over: parameters, the buffers that are to be kept, and the modules
// inside.
void StateDictFinder::take_module(const PickleValue& module, const std::string& prefix, int depth,
                                  Candidate& into) {
  const PickleValue* state = state_of(module);
  if (state == nullptr) return;
  if (depth > kMaxModuleDepth)
    fail("pth", "{}: has modules nested deeper than {}", place_, kMaxModuleDepth);
  spend(kWorkPerEntry + state->items.size());
  if (into.modules.size() < kMaxClasses && prefix.size() <= kMaxWrapperPrefix)
    into.modules.emplace(prefix, &module);
  const auto dictionary = [&](const char* name) {
    const PickleValue* found = member(*state, name);
    return found != nullptr && found->kind == Kind::dict ? found : nullptr;
  };
  if (const PickleValue* parameters = dictionary("_parameters"))
    take_tensors(*parameters, prefix, nullptr, into);
  const PickleValue* passing = member(*state, "_non_persistent_buffers_set");
  if (const PickleValue* buffers = dictionary("_buffers"))
    take_tensors(*buffers, prefix,
                 passing != nullptr && passing->kind == Kind::set ? passing : nullptr, into);
  const PickleValue* modules = dictionary("_modules");
  for (size_t i = 0; modules != nullptr && i + 1 < modules->items.size(); i += 2) {
    const PickleValue& key = at(modules->items[i]);
    spend(kWorkPerEntry + prefix.size() + key.text.size());
    if (prefix.size() + key.text.size() > kMaxTensorNameBytes)
      fail("pth", "{}: a module's name of {} bytes is above the limit of {}", place_,
           prefix.size() + key.text.size(), kMaxTensorNameBytes);
    take_module(at(modules->items[i + 1]), prefix + std::string(key.text) + ".", depth + 1, into);
  }
}

Candidate StateDictFinder::script_module() {
  Candidate whole;
  take_script(pickle_.top(), "", 0, whole);
  return whole;
}

void StateDictFinder::take_script(const PickleValue& module, const std::string& prefix, int depth,
                                  Candidate& into) {
  const PickleValue* state = state_of(module);
  if (state == nullptr) return;
  if (depth > kMaxModuleDepth)
    fail("pth", "{}: has modules nested deeper than {}", place_, kMaxModuleDepth);
  spend(kWorkPerEntry + state->items.size());
  if (into.modules.size() < kMaxClasses && prefix.size() <= kMaxWrapperPrefix)
    into.modules.emplace(prefix, &module);
  take_tensors(*state, prefix, nullptr, into);
  for (size_t i = 0; i + 1 < state->items.size(); i += 2) {
    const PickleValue& key = at(state->items[i]);
    const PickleValue& item = at(state->items[i + 1]);
    if (key.kind != Kind::text || item.kind != Kind::opaque || is_unread_tensor(item)) continue;
    spend(kWorkPerEntry + prefix.size() + key.text.size());
    if (prefix.size() + key.text.size() > kMaxTensorNameBytes)
      fail("pth", "{}: a module's name of {} bytes is above the limit of {}", place_,
           prefix.size() + key.text.size(), kMaxTensorNameBytes);
    take_script(item, prefix + std::string(key.text) + ".", depth + 1, into);
  }
}

void StateDictFinder::visit_items(const PickleValue& dictionary, const std::string& path, int depth,
                                  Candidate& own) {
  take_tensors(dictionary, "", nullptr, own);
  for (size_t i = 0; i + 1 < dictionary.items.size(); i += 2) {
    const PickleValue& key = at(dictionary.items[i]);
    const PickleValue& item = at(dictionary.items[i + 1]);
    spend(kWorkPerEntry);
    const bool inside = item.kind == Kind::dict || item.kind == Kind::opaque;
    if (!inside || key.kind != Kind::text || key.text.size() > kMaxTensorNameBytes ||
        depth >= kMaxStateDictDepth || is_optimizer(key.text))
      continue;
    spend(path.size() + key.text.size());
    visit(dictionary.items[i + 1], path + (path.empty() ? "" : ".") + std::string(key.text),
          depth + 1);
  }
}

void StateDictFinder::visit(uint32_t index, const std::string& path, int depth) {
  spend(kWorkPerEntry);
  const PickleValue& value = at(index);
  const PickleValue* state = value.kind == Kind::dict ? &value : state_of(value);
  if (state == nullptr) return;
  spend(state->items.size());
  Candidate own{.path = path};
  if (value.kind == Kind::opaque && member(*state, "_parameters") != nullptr)
    take_module(value, "", 0, own);
  else
    visit_items(*state, path, depth, own);  // an object that holds a model is looked into as well
  if (!own.tensors.empty() || !own.unread.empty()) found_.push_back(std::move(own));
}

}  // namespace vitrail
