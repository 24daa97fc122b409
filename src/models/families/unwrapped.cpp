#include "models/families/unwrapped.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/printable.h"

namespace vitrail {
namespace {

// No model of ours has a module of these names, so they go wherever they stand.
constexpr std::array<std::string_view, 3> kInserted = {"_orig_mod.", "_fsdp_wrapped_module.",
                                                       "_checkpoint_wrapped_module."};
// These go where they stand before every name of the file.
constexpr std::array<std::string_view, 2> kBefore = {"module.", "model."};

// Takes `part` out of a name, where it begins a component.
void take_out(std::string& name, std::string_view part) {
  for (size_t at = name.find(part); at != std::string::npos; at = name.find(part, at)) {
    if (at == 0 || name[at - 1] == '.')
      name.erase(at, part.size());
    else
      ++at;
  }
}

std::vector<std::string> plain_names(std::vector<std::string> names) {
  for (std::string& name : names)
    for (const std::string_view part : kInserted) take_out(name, part);
  const auto all_begin_with = [&](std::string_view prefix) {
    return !names.empty() && std::ranges::all_of(names, [&](const std::string& name) {
      return name.starts_with(prefix) && name.size() > prefix.size();
    });
  };
  for (bool again = true; again;) {
    again = false;
    for (const std::string_view prefix : kBefore)
      if (all_begin_with(prefix)) {
        for (std::string& name : names) name.erase(0, prefix.size());
        again = true;
      }
  }
  return names;
}

class Renamed : public TensorSource {
 public:
  Renamed(std::shared_ptr<TensorSource> tensors, const std::vector<std::string>& names)
      : tensors_(std::move(tensors)) {
    const std::vector<std::string> theirs = tensors_->names();
    for (size_t i = 0; i < theirs.size(); ++i)
      if (const auto [at, first] = theirs_.emplace(names[i], theirs[i]); !first)
        fail("model", "{}: '{}' and '{}' are one name without what wrappers add", place(),
             printable(at->second), printable(theirs[i]));
  }
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, their] : theirs_) names.push_back(name);
    return names;
  }
  const TensorInfo* find(std::string_view name) const override {
    const auto found = theirs_.find(name);
    return found == theirs_.end() ? nullptr : tensors_->find(found->second);
  }
  Tensor tensor(std::string_view name) const override { return tensors_->tensor(their(name)); }
  std::optional<QuantizedTensor> quantized(std::string_view name) const override {
    return tensors_->quantized(their(name));
  }
  const std::map<std::string, std::string>& metadata() const override {
    return tensors_->metadata();
  }
  const std::string& place() const override { return tensors_->place(); }
  const std::vector<std::string>& notes() const override { return tensors_->notes(); }

 private:
  // A name that is not there stays, for the source's own message.
  std::string_view their(std::string_view name) const {
    const auto found = theirs_.find(name);
    return found == theirs_.end() ? name : found->second;
  }
  std::shared_ptr<TensorSource> tensors_;
  std::map<std::string, std::string, std::less<>> theirs_;
};

}  // namespace

std::shared_ptr<TensorSource> unwrapped(std::shared_ptr<TensorSource> tensors) {
  const std::vector<std::string> theirs = tensors->names();
  const std::vector<std::string> names = plain_names(theirs);
  if (names == theirs) return tensors;
  return std::make_shared<Renamed>(std::move(tensors), names);
}

}  // namespace vitrail
