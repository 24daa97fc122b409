// What is computed from several parameters, once for each of their versions. Sessions on several
// threads share it. (Of one parameter alone: Parameter::derived.)
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "autograd/parameter.h"

namespace vitrail {

template <class Value>
class JointCache {
 public:
  // `more`: numbers that the value depends on, too. The last value alone is kept.
  template <class Make>
  std::shared_ptr<const Value> get(const std::vector<const Parameter*>& of,
                                   const std::vector<int64_t>& more, const Make& make) const {
    std::vector<int64_t> key = more;
    for (const Parameter* parameter : of) key.push_back(static_cast<int64_t>(parameter->version()));
    const std::lock_guard lock(mutex_);
    if (value_ == nullptr || key != key_) {
      value_ = std::make_shared<const Value>(make());
      key_ = std::move(key);
    }
    return value_;
  }

 private:
  mutable std::mutex mutex_;
  mutable std::vector<int64_t> key_;
  mutable std::shared_ptr<const Value> value_;
};

}  // namespace vitrail
