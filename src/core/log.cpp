#include "core/log.h"

#include <cstdio>
#include <mutex>

namespace vitrail {
namespace {

std::mutex& handler_mutex() {
  static std::mutex mutex;
  return mutex;
}

LogHandler& handler() {
  static LogHandler current = [](LogLevel level, const std::string& message) {
    std::fprintf(stderr, "%s%s\n", level == LogLevel::warning ? "warning: " : "", message.c_str());
  };
  return current;
}

void log(LogLevel level, const std::string& message) {
  std::lock_guard lock(handler_mutex());
  if (handler()) handler()(level, message);
}

}  // namespace

void set_log_handler(LogHandler new_handler) {
  std::lock_guard lock(handler_mutex());
  handler() = std::move(new_handler);
}

void log_info(const std::string& message) {
  log(LogLevel::info, message);
}
void log_warning(const std::string& message) {
  log(LogLevel::warning, message);
}

}  // namespace vitrail
