// Messages for people. The library prints nothing: who wants to see them takes them, as the command
// does and vit::set_log_callback.
#pragma once

#include <functional>
#include <string>

namespace vitrail {

enum class LogLevel { info, warning };

using LogHandler = std::function<void(LogLevel, const std::string&)>;
// Replaces where messages go; an empty handler, which is there at first, silences them.
// Thread-safe: calls of a handler come one at a time. What it throws is dropped; a message ends no
// work.
void set_log_handler(LogHandler handler);
void log_info(const std::string& message);
void log_warning(const std::string& message);

}  // namespace vitrail
