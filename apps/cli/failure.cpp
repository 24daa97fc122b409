#include "apps/cli/failure.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include "core/failure.h"

namespace vitrail::cli {

std::string failure_message(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::filesystem::filesystem_error&) {
    return error_of(failure).what();
  } catch (const std::system_error& error) {  // fmt's, when stdout takes nothing
    if (error.code() != std::errc::resource_unavailable_try_again)
      return fmt::format("[output] standard output cannot be written: {}", error.code().message());
    return error_of(failure).what();
  } catch (...) {
    return error_of(failure).what();
  }
}

}  // namespace vitrail::cli
