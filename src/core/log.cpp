#include "core/log.h"

#include <memory>
#include <mutex>

namespace vitrail {
namespace {

struct Log {
  std::mutex mutex;                           // of the handler itself
  std::shared_ptr<const LogHandler> handler;  // shared with those who call it
  std::recursive_mutex calls;                 // one message at a time; a handler may log itself
};

// Never destroyed: a message may come from what ends last.
Log& the_log() {
  static Log* log = new Log;
  return *log;
}

void log(LogLevel level, const std::string& message) {
  std::shared_ptr<const LogHandler> handler;
  {
    std::lock_guard lock(the_log().mutex);
    handler = the_log().handler;
  }
  if (handler == nullptr) return;
  std::lock_guard turn(the_log().calls);
  try {
    (*handler)(level, message);
  } catch (...) {  // a message ends no work
  }
}

}  // namespace

void set_log_handler(LogHandler new_handler) {
  auto handler = new_handler ? std::make_shared<const LogHandler>(std::move(new_handler)) : nullptr;
  std::lock_guard lock(the_log().mutex);
  the_log().handler.swap(handler);
}

void log_info(const std::string& message) {
  log(LogLevel::info, message);
}
void log_warning(const std::string& message) {
  log(LogLevel::warning, message);
}

}  // namespace vitrail
