// Messages for people, on stderr: never on stdout, which belongs to results.
#pragma once

#include <functional>
#include <string>

namespace vitrail {

enum class LogLevel { info, warning };

using LogHandler = std::function<void(LogLevel, const std::string&)>;
// Replaces where messages go; an empty handler silences them. Thread-safe.
void set_log_handler(LogHandler handler);
void log_info(const std::string& message);
void log_warning(const std::string& message);

}  // namespace vitrail
