// The wall between the library and programs: behind it anything may be thrown, through it
// vit::Error alone comes.
#pragma once

#include <exception>
#include <functional>
#include <string>
#include <utility>

#include "core/error.h"
#include "core/failure.h"
#include "core/printable.h"

namespace vit {

// The body of every function of include/vitrail that is not noexcept.
template <typename Body>
decltype(auto) guarded(Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (const Error&) {
    throw;
  } catch (...) {
    throw vitrail::error_of(std::current_exception());
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
