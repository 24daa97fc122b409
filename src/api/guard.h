// The wall between the library and programs: behind it anything may be thrown, through it
// vit::Error alone comes.
#pragma once

#include <exception>
#include <functional>
#include <string>
#include <utility>

#include "core/error.h"
#include "core/printable.h"
#include "vitrail/error.h"

namespace vit {

// What was thrown, as an Error whose line a terminal may show: names of files and of what stands in
// them are a stranger's words. Throws nothing.
Error public_error(const std::exception_ptr& failure) noexcept;
// The error of a picture among several, "[picture] photo.jpg: ...", taken apart again.
Error to_error(const std::string& what, ErrorCode code);

// The body of every function of include/vitrail that is not noexcept.
template <typename Body>
decltype(auto) guarded(Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (...) {
    throw public_error(std::current_exception());
  }
}

// Calls a function that the program gave: what it throws is its own fault, not ours. An Error of
// its own passes as it is.
template <typename... Parameters, typename... Arguments>
void call_back(const std::function<void(Parameters...)>& callback, Arguments&&... arguments) {
  if (!callback) return;
  try {
    callback(std::forward<Arguments>(arguments)...);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Error("callback", "threw an exception: " + vitrail::printable(error.what()),
                ErrorCode::callback);
  } catch (...) {
    throw Error("callback", "threw something that is no exception", ErrorCode::callback);
  }
}

// What a handle refers to. Error: it was moved from.
template <typename Pointer>
auto& held(const Pointer& pointer, const char* place) {
  vitrail::check(pointer != nullptr, place, "this object was moved from and holds nothing");
  return *pointer;
}

}  // namespace vit
