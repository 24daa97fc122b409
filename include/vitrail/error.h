// The one exception that Vitrail throws, and what kind of thing went wrong.
#pragma once

#include <vitrail/export.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

namespace vitrail {

// What a program may do about an error: each kind asks for something else. Later versions may add
// kinds; treat one that you do not know as bad_input.
enum class ErrorCode : std::uint8_t {
  bad_input,      // an argument, a setting or what a file holds cannot be used
  not_found,      // there is no file, folder or model of this name
  unsupported,    // it may be sound, and is of a kind that Vitrail does not have
  too_large,      // above a limit, which the message names
  io,             // the system would not read or write: permissions, a full disk
  cancelled,      // a stop was requested
  out_of_memory,  // the system has no more memory, or no more threads
  callback,       // a function that the program gave threw something
  internal,       // a fault of Vitrail's own, worth reporting
};

// what() reads "[place] what was wrong and what would be right", on one line of UTF-8.
// Copying one throws nothing.
class VITRAIL_API Error : public std::runtime_error {
 public:
  Error(const std::string& place, const std::string& message, ErrorCode code = ErrorCode::bad_input)
      : std::runtime_error("[" + place + "] " + message),
        place_(std::make_shared<const std::string>(place)),
        code_(code) {}

  Error(const Error&) noexcept = default;  // and no move, which would leave an Error of nothing
  Error& operator=(const Error&) noexcept = default;
  ~Error() override = default;

  // What it is about: "model", "picture", "session", "file", ...
  const std::string& place() const noexcept { return *place_; }
  ErrorCode code() const noexcept { return code_; }

 private:
  std::shared_ptr<const std::string> place_;
  ErrorCode code_;
};

}  // namespace vitrail

namespace vit {

using Error = vitrail::Error;
using ErrorCode = vitrail::ErrorCode;

}  // namespace vit
