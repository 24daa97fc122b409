#include "api/guard.h"

#include "core/failure.h"

namespace vit {

Error to_error(const std::string& what, ErrorCode code) {
  const std::string line = vitrail::printable_line(what);
  const size_t end = line.find("] ");
  if (!line.starts_with('[') || end == std::string::npos) return {"picture", line, code};
  return {line.substr(1, end - 1), line.substr(end + 2), code};
}

Error public_error(const std::exception_ptr& failure) noexcept {
  const Error error = vitrail::error_of(failure);
  try {
    const std::string line = vitrail::printable_line(error.what());
    return line == error.what() ? error : to_error(line, error.code());
  } catch (...) {
    return vitrail::error_of(std::current_exception());
  }
}

}  // namespace vit
