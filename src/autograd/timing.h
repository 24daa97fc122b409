// Timings: how long each operation of a pass took. An operation says with one line what it is:
//
//   const Timed timed(context, {"linear", weight.path(), rows * outputs * inputs});
//
// Without Timings in the context that line costs the test of a pointer.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/context.h"

namespace vitrail {

struct Work {
  const char* operation = "";  // a string literal
  // The weight, or the module. Without one, what runs inside another operation is part of that one.
  std::string_view path;
  int64_t multiply_adds = 0;
  std::optional<Precision> precision;  // none: what the context's plan says of the path
};

class Timings {
 public:
  using Clock = std::chrono::steady_clock;

  struct Entry {
    const char* operation;
    std::string path;
    int64_t multiply_adds;
    Precision precision;
    double seconds = 0;  // without the operations inside it that have an entry of their own
  };

  // In the order in which they began.
  const std::vector<Entry>& entries() const { return entries_; }
  void clear() { entries_.clear(); }

  // False: `work` is part of the operation around it, and end() must not be called.
  bool begin(const Context& context, const Work& work);
  void end();

 private:
  struct Open {
    size_t entry;
    Clock::time_point start;
    double inside = 0;  // seconds of entries within
  };
  std::vector<Entry> entries_;
  std::vector<Open> open_;
};

// Its lifetime is the operation's.
class Timed {
 public:
  Timed(const Context& context, const Work& work) {
    if (context.timings != nullptr && context.timings->begin(context, work))
      timings_ = context.timings;
  }
  ~Timed() {
    if (timings_ != nullptr) timings_->end();
  }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  Timings* timings_ = nullptr;
};

}  // namespace vitrail
