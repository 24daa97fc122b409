// What the library has to say beside its answers.
#pragma once

#include <vitrail/export.h>

#include <cstdint>
#include <functional>
#include <string>

namespace vit {

enum class LogLevel : std::uint8_t { note, warning };

using LogCallback = std::function<void(LogLevel level, const std::string& message)>;

// Takes the messages of the whole process from now on: where a model's heads or preprocessing came
// from, what a data set leaves out, how training goes. The library prints nothing by itself; an
// empty callback, which is there at first, drops them.
// Messages come from any thread, one at a time, each a line. What the callback throws is dropped.
// Thread-safe.
VITRAIL_API void set_log_callback(LogCallback callback);

}  // namespace vit
