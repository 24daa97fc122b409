// What is computed once for each grid that pictures come with. Sessions on several threads share
// it.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <mutex>

#include "nn/token_layout.h"

namespace vitrail {

template <class Value>
class GridCache {
 public:
  // The value for this grid and prefix; make() where it is the first time.
  template <class Make>
  std::shared_ptr<const Value> get(const TokenLayout& layout, const Make& make) const {
    const std::lock_guard lock(mutex_);
    const Key key{layout.grid_height, layout.grid_width, layout.prefix()};
    const auto found = values_.find(key);
    if (found != values_.end()) return found->second;
    // Pictures of every size may come: memory stays bounded.
    if (values_.size() >= kMostGrids) values_.clear();
    return values_.emplace(key, std::make_shared<const Value>(make())).first->second;
  }

 private:
  static constexpr size_t kMostGrids = 64;
  using Key = std::array<int64_t, 3>;
  mutable std::mutex mutex_;
  mutable std::map<Key, std::shared_ptr<const Value>> values_;
};

}  // namespace vitrail
