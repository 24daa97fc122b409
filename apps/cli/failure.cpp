#include "apps/cli/failure.h"

#include <fmt/format.h>

#include <filesystem>
#include <new>
#include <stdexcept>
#include <system_error>

#include "core/error.h"
#include "core/printable.h"

namespace vitrail::cli {

std::string failure_message(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return error.what();
  } catch (const std::bad_alloc&) {
    return "[memory] the system has not enough of it";
  } catch (const std::length_error&) {
    return "[memory] what is asked for is larger than any memory";
  } catch (const std::filesystem::filesystem_error& error) {
    return fmt::format("[file] {}: {}", printable(error.path1().string()), error.code().message());
  } catch (const std::system_error& error) {  // fmt's, when stdout takes nothing
    return fmt::format("[output] standard output cannot be written: {}", error.code().message());
  } catch (const std::exception& error) {
    return fmt::format("[internal] a fault of Vitrail's own, worth reporting: {}",
                       printable(error.what()));
  } catch (...) {
    return "[internal] a fault of Vitrail's own, worth reporting";
  }
}

}  // namespace vitrail::cli
