#include "formats/wrapper_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/printable.h"

namespace vitrail {
namespace {

// What a wrapper puts before every name.
constexpr std::array<std::string_view, 9> kPrefixes = {"module.",   "_orig_mod.", "model.",
                                                       "net.",      "network.",   "encoder.",
                                                       "backbone.", "student.",   "teacher."};
// What nobody calls a module of their own, so that it may stand anywhere.
constexpr std::array<std::string_view, 3> kInfixes = {"_orig_mod.", "_fsdp_wrapped_module.",
                                                      "_checkpoint_wrapped_module."};
constexpr size_t kMaxWrappers = 8;  // around one another

using Names = std::map<std::string, std::string>;  // without wrappers, original

void take_infixes(UnwrappedNames& names) {
  Names shorter;
  size_t changed = 0;
  for (const auto& [name, original] : names.original) {
    std::string rest = name;
    for (const std::string_view infix : kInfixes)
      for (size_t at = rest.find(infix); at != std::string::npos; at = rest.find(infix, at))
        if (at == 0 || rest[at - 1] == '.')
          rest.erase(at, infix.size());
        else
          ++at;
    changed += rest != name ? 1 : 0;
    if (!shorter.emplace(std::move(rest), original).second) return;
  }
  // Where all names begin with it, it comes off as a prefix and is named so.
  if (changed == 0) return;
  names.original = std::move(shorter);
  names.notes.push_back(
      fmt::format("what torch.compile, FSDP or checkpointing adds is taken off {} names", changed));
}

// Whether a name is that of a numbered part, "layers.0.norm.weight".
bool is_of_list(std::string_view name) {
  const size_t dot = name.find('.');
  return dot != std::string_view::npos && dot + 1 < name.size() && name[dot + 1] >= '0' &&
         name[dot + 1] <= '9';
}

// A model whose encoder is all that it has (transformers' PVT, PVT v2, SegFormer and CvT): behind
// the name stand lists of stages and at most a norm, and no model has such names by itself.
bool is_own_encoder(const Names& names, std::string_view prefix) {
  return prefix == "encoder." && std::ranges::all_of(names, [&](const auto& entry) {
           const std::string_view name = std::string_view(entry.first).substr(prefix.size());
           return is_of_list(name) || name == "layer_norm.weight" || name == "layer_norm.bias";
         });
}

void take_prefixes(UnwrappedNames& names) {
  for (size_t round = 0; round < kMaxWrappers && !names.original.empty(); ++round) {
    const Names& before = names.original;
    bool taken = false;
    for (const std::string_view prefix : kPrefixes) {
      const auto count = static_cast<size_t>(std::ranges::count_if(
          before, [&](const auto& entry) { return entry.first.starts_with(prefix); }));
      const bool backbone =
          prefix == "backbone." && before.contains("backbone.patch_embed.proj.weight");
      if (count == 0 || (count < before.size() && !backbone)) continue;
      if (count == before.size() && is_own_encoder(before, prefix)) continue;
      if (count < before.size())
        names.notes.push_back(fmt::format("{} tensors outside '{}{}' are left out",
                                          before.size() - count, names.prefix, prefix));
      Names shorter;
      for (const auto& [name, original] : before)
        if (name.starts_with(prefix)) shorter.emplace(name.substr(prefix.size()), original);
      names.original = std::move(shorter);
      names.prefix += prefix;
      taken = true;
      break;
    }
    if (!taken) return;
  }
}

class UnwrappedTensors : public TensorSource {
 public:
  UnwrappedTensors(std::shared_ptr<TensorSource> tensors, UnwrappedNames names)
      : tensors_(std::move(tensors)), notes_(tensors_->notes()) {
    for (auto& [name, original] : names.original) original_.emplace(name, std::move(original));
    notes_.insert(notes_.end(), names.notes.begin(), names.notes.end());
  }

  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    names.reserve(original_.size());
    for (const auto& [name, original] : original_) names.push_back(name);
    return names;
  }
  const TensorInfo* find(std::string_view name) const override {
    const auto found = original_.find(name);
    return found == original_.end() ? nullptr : tensors_->find(found->second);
  }
  Tensor tensor(std::string_view name) const override {
    const auto found = original_.find(name);
    if (found == original_.end())
      fail("tensors", "{}: has no tensor '{}'", place(), printable(name));
    return tensors_->tensor(found->second);
  }
  std::optional<QuantizedTensor> quantized(std::string_view name) const override {
    const auto found = original_.find(name);
    return found == original_.end() ? std::nullopt : tensors_->quantized(found->second);
  }
  const std::map<std::string, std::string>& metadata() const override {
    return tensors_->metadata();
  }
  const std::string& place() const override { return tensors_->place(); }
  const std::vector<std::string>& notes() const override { return notes_; }
  const std::string& module_class() const override { return tensors_->module_class(); }
  const std::string& module_fields() const override { return tensors_->module_fields(); }

 private:
  std::shared_ptr<TensorSource> tensors_;
  std::map<std::string, std::string, std::less<>> original_;
  std::vector<std::string> notes_;
};

}  // namespace

UnwrappedNames unwrapped_names(const std::vector<std::string>& names) {
  UnwrappedNames result;
  for (const std::string& name : names) result.original.emplace(name, name);
  take_prefixes(result);
  take_infixes(result);
  take_prefixes(result);
  if (!result.prefix.empty())
    result.notes.push_back("the prefix '" + result.prefix + "' is taken off the names");
  return result;
}

std::shared_ptr<TensorSource> unwrapped(std::shared_ptr<TensorSource> tensors) {
  UnwrappedNames names = unwrapped_names(tensors->names());
  if (names.notes.empty()) return tensors;
  return std::make_shared<UnwrappedTensors>(std::move(tensors), std::move(names));
}

}  // namespace vitrail
