#include "core/log.h"

#include "api/guard.h"
#include "vitrail/log.h"

namespace vit {

void set_log_callback(LogCallback callback) {
  guarded([&] {
    if (!callback) return vitrail::set_log_handler({});
    vitrail::set_log_handler(
        [callback = std::move(callback)](vitrail::LogLevel level, const std::string& message) {
          callback(level == vitrail::LogLevel::warning ? LogLevel::warning : LogLevel::note,
                   vitrail::printable_line(message));
        });
  });
}

}  // namespace vit
