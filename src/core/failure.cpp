#include "core/failure.h"

#include <fmt/format.h>

#include <filesystem>
#include <ios>
#include <new>
#include <stdexcept>
#include <system_error>

#include "core/printable.h"

namespace vitrail {
namespace {

// Made when the program starts: where memory is out there is none to say so.
const Error& no_memory() {
  static const Error error("memory", "the system has not enough of it", ErrorCode::out_of_memory);
  return error;
}
[[maybe_unused]] const Error& made_at_start = no_memory();

Error in_words(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return no_memory();
  } catch (const std::length_error&) {
    return {"memory", "what is asked for is larger than any memory", ErrorCode::out_of_memory};
  } catch (const std::filesystem::filesystem_error& error) {
    const bool missing = error.code() == std::errc::no_such_file_or_directory;
    return {"file",
            fmt::format("{}: {}", printable(error.path1().string(), 4096), error.code().message()),
            missing ? ErrorCode::not_found : ErrorCode::io};
  } catch (const std::system_error& error) {
    // What a std::thread throws that the system does not give.
    if (error.code() == std::errc::resource_unavailable_try_again)
      return {"threads", "the system gives no more threads; ask for fewer",
              ErrorCode::out_of_memory};
    return {"system", printable(error.what()), ErrorCode::io};
  } catch (const std::exception& error) {
    return {"internal",
            fmt::format("a fault of Vitrail's own, worth reporting: {}", printable(error.what())),
            ErrorCode::internal};
  } catch (...) {
    return {"internal", "a fault of Vitrail's own, worth reporting", ErrorCode::internal};
  }
}

}  // namespace

Error error_of(const std::exception_ptr& failure) noexcept {
  try {
    return in_words(failure);
  } catch (...) {
    return no_memory();
  }
}

}  // namespace vitrail
