#include "formats/state_dict.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>

#include "core/error.h"
#include "formats/pth.h"
#include "formats/safetensors.h"

namespace vitrail {
namespace {

using Kind = PickleValue::Kind;

// The likelier first: averaged weights, then the model's own, then its parts.
constexpr std::array<std::string_view, 17> kPreferred = {
    "state_dict_ema", "model_ema",        "ema",    "ema_state_dict", "teacher",
    "state_dict",     "model_state_dict", "model",  "module",         "net",
    "network",        "weights",          "params", "encoder",        "backbone",
    "target_encoder", "student"};
// What a wrapper puts before every name.
constexpr std::array<std::string_view, 9> kWrappers = {"module.",   "_orig_mod.", "model.",
                                                       "net.",      "network.",   "encoder.",
                                                       "backbone.", "student.",   "teacher."};
constexpr size_t kMaxVisited = 2'000'000;  // dictionaries may share parts without end
constexpr size_t kListed = 6;

struct Candidate {
  std::string path;
  std::map<std::string, uint32_t> tensors;
  std::vector<std::string> unread;  // weights of types that Vitrail lacks
  int64_t elements = 0;
};

class Finder {
 public:
  Finder(const Pickle& pickle, const std::string& place) : pickle_(pickle), place_(place) {}

  std::vector<Candidate> run() {
    visit(pickle_.root, "", 0);
    return std::move(found_);
  }

 private:
  const PickleValue& at(uint32_t index) const { return pickle_.at(index); }
  void count() {
    if (++visited_ > kMaxVisited)
      fail("pth", "{}: its dictionaries have more than {} entries in all", place_, kMaxVisited);
  }

  // A module saved whole keeps its weights in _parameters, _buffers and _modules of its state.
  void module_weights(const PickleValue& state, const std::string& prefix, int depth,
                      Candidate& into) {
    if (depth > kMaxStateDictDepth * 4) return;
    for (size_t i = 0; i + 1 < state.items.size(); i += 2) {
      count();
      const PickleValue& part = at(state.items[i + 1]);
      const std::string_view key = at(state.items[i]).text;
      if (part.kind != Kind::dict) continue;
      for (size_t j = 0; j + 1 < part.items.size(); j += 2) {
        count();
        const std::string name = prefix + std::string(at(part.items[j]).text);
        const PickleValue& value = at(part.items[j + 1]);
        if (key == "_modules" && value.kind == Kind::opaque && !value.items.empty())
          module_weights(at(value.items[0]), name + ".", depth + 1, into);
        else if ((key == "_parameters" || key == "_buffers") && value.kind == Kind::tensor)
          add(into, name, value.index);
      }
    }
  }
  static bool is_module(const Pickle& pickle, const PickleValue& value) {
    if (value.kind != Kind::opaque || value.items.empty()) return false;
    const PickleValue& state = pickle.at(value.items[0]);
    if (state.kind != Kind::dict) return false;
    for (size_t i = 0; i + 1 < state.items.size(); i += 2)
      if (pickle.at(state.items[i]).text == "_parameters") return true;
    return false;
  }

  void add(Candidate& candidate, const std::string& name, uint32_t tensor) {
    if (name.size() > kMaxTensorNameBytes)
      fail("pth", "{}: a tensor's name of {} bytes is above the limit of {}", place_, name.size(),
           kMaxTensorNameBytes);
    if (!candidate.tensors.insert_or_assign(name, tensor).second) return;
    if (candidate.tensors.size() > kMaxPthTensors)
      fail("pth", "{}: holds more than {} tensors", place_, kMaxPthTensors);
    // Sizes are not checked against the file yet, so their sum may be anything.
    if (__builtin_add_overflow(candidate.elements, pickle_.tensors[tensor].shape.numel(),
                               &candidate.elements))
      candidate.elements = std::numeric_limits<int64_t>::max();
  }

  void visit(uint32_t index, const std::string& path, int depth) {
    count();
    const PickleValue& value = at(index);
    Candidate own{.path = path};
    if (is_module(pickle_, value)) {
      module_weights(at(value.items[0]), "", 0, own);
    } else if (value.kind == Kind::dict) {
      for (size_t i = 0; i + 1 < value.items.size(); i += 2) {
        const PickleValue& key = at(value.items[i]);
        const PickleValue& item = at(value.items[i + 1]);
        if (key.kind != Kind::text) continue;
        count();
        const std::string name(key.text);
        if (item.kind == Kind::tensor) add(own, name, item.index);
        if (item.kind == Kind::opaque && is_unread_tensor(item.text)) own.unread.push_back(name);
        const bool inside = item.kind == Kind::dict || item.kind == Kind::opaque;
        if (inside && depth < kMaxStateDictDepth && !is_optimizer(name))
          visit(value.items[i + 1], path.empty() ? name : path + "." + name, depth + 1);
      }
    }
    if (!own.tensors.empty() || !own.unread.empty()) found_.push_back(std::move(own));
  }

  // Moments are tensors too, and no weights.
  static bool is_optimizer(std::string_view name) {
    return name.find("optim") != std::string_view::npos || name == "scaler" ||
           name.find("scheduler") != std::string_view::npos;
  }
  static bool is_unread_tensor(std::string_view type) {
    return type.find("_rebuild_") != std::string_view::npos || type.ends_with("Storage");
  }

  const Pickle& pickle_;
  const std::string& place_;
  size_t visited_ = 0;
  std::vector<Candidate> found_;
};

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
    text += (text.empty() ? "'" : ", '") + candidate.path.substr(0, 60) + "'";
  }
  return text;
}

Candidate& choose(std::vector<Candidate>& candidates, const std::string& chosen,
                  const std::string& place) {
  if (!chosen.empty()) {
    for (Candidate& candidate : candidates)
      if (candidate.path == chosen) return candidate;
    fail("pth", "{}: has no state dict '{}'; it has {}", place, chosen, listed(candidates));
  }
  // Single tensors beside the weights (an epoch, a loss) are a dictionary too, but a small one.
  int64_t most = 0;
  for (const Candidate& candidate : candidates) most = std::max(most, candidate.elements);
  std::vector<Candidate*> large;
  for (Candidate& candidate : candidates)
    if (candidate.elements >= most / 2) large.push_back(&candidate);
  std::ranges::stable_sort(large, {}, [](const Candidate* c) { return preference(c->path); });
  const bool tied = large.size() > 1 && preference(large[0]->path) == kPreferred.size();
  if (tied && !large[0]->path.empty())
    fail("pth", "{}: holds several state dicts, {}; choose one with --set state_dict=NAME", place,
         listed(candidates));
  return *large.front();
}

// Takes off what wrappers add to every name; of a backbone with other heads beside it, the
// backbone.
void unwrap(StateDict& dict) {
  const auto with = [&](std::string_view prefix) {
    return static_cast<size_t>(std::ranges::count_if(
        dict.tensors, [&](const auto& entry) { return entry.first.starts_with(prefix); }));
  };
  std::string taken;
  for (bool again = true; again && !dict.tensors.empty();) {
    again = false;
    for (const std::string_view prefix : kWrappers) {
      const size_t count = with(prefix);
      const bool backbone =
          prefix == "backbone." && dict.tensors.contains("backbone.patch_embed.proj.weight");
      if (count == 0 || (count < dict.tensors.size() && !backbone)) continue;
      std::map<std::string, uint32_t> shorter;
      for (const auto& [name, tensor] : dict.tensors)
        if (name.starts_with(prefix)) shorter.emplace(name.substr(prefix.size()), tensor);
      if (count < dict.tensors.size())
        dict.notes.push_back(fmt::format("{} tensors outside '{}{}' are left out",
                                         dict.tensors.size() - count, taken, prefix));
      dict.tensors = std::move(shorter);
      taken += prefix;
      again = true;
      break;
    }
  }
  if (!taken.empty()) dict.notes.push_back("the prefix '" + taken + "' is taken off the names");
}

}  // namespace

StateDict choose_state_dict(const Pickle& pickle, const std::string& chosen,
                            const std::string& place) {
  std::vector<Candidate> candidates = Finder(pickle, place).run();
  if (candidates.empty()) fail("pth", "{}: holds no dictionary of tensors", place);
  Candidate& own = choose(candidates, chosen, place);
  StateDict dict;
  if (!own.path.empty()) {
    const std::string others = listed(candidates, &own);
    dict.notes.push_back(fmt::format(
        "the state dict '{}' is read{}", own.path,
        others.empty() ? "" : "; there is also " + others + " (--set state_dict=NAME)"));
  }
  for (const std::string& name : own.unread)
    dict.notes.push_back("'" + name + "' is of a type that cannot be read, and is left out");
  dict.tensors = std::move(own.tensors);
  unwrap(dict);
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
