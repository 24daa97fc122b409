// What a refusal says: one line.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "core/error.h"

namespace vitrail::testing {

// The message of the Error that `action` throws; a failure of the test when it throws none.
template <typename Action>
std::string error_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.find('\n'), std::string::npos) << "more than one line: " << message;
    return message;
  }
  ADD_FAILURE() << "no Error was thrown";
  return "";
}

#define EXPECT_ERROR(statement, part)                                                      \
  do {                                                                                     \
    const std::string message_ = ::vitrail::testing::error_of([&] { (void)(statement); }); \
    EXPECT_NE(message_.find(part), std::string::npos) << message_;                         \
  } while (false)

}  // namespace vitrail::testing
