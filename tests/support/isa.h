// Running a test body on every instruction set of this machine and with several threads.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "core/isa.h"
#include "core/queue.h"

namespace vitrail::testing {

// body(queue) for every instruction set, with one thread; failures name the set.
inline void for_each_isa(const std::function<void(Queue&)>& body) {
  Queue queue(1);
  for (const std::string& isa : available_isas()) {
    SCOPED_TRACE("on " + isa);
    force_isa(isa);
    body(queue);
  }
  force_isa("");
}

// Values that compute(queue) returns must not depend on the number of threads, to the last bit.
template <typename Compute>
void expect_same_on_any_threads(const Compute& compute) {
  Queue one(1), two(2), three(3);
  const auto expected = compute(one);
  EXPECT_TRUE(compute(two) == expected) << "two threads differ from one";
  EXPECT_TRUE(compute(three) == expected) << "three threads differ from one";
}

}  // namespace vitrail::testing
