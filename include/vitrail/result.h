// Result: an answer, or the error that stands in its place. Calls that take many pictures give one
// for each, so that a picture that cannot be read costs the others nothing.
#pragma once

#include <vitrail/error.h>

#include <type_traits>
#include <utility>
#include <variant>

namespace vit {

template <typename T>
class Result {
 public:
  Result(T value) noexcept(std::is_nothrow_move_constructible_v<T>)  // NOLINT: implicit
      : content_(std::in_place_index<0>, std::move(value)) {}
  Result(const Error& error) noexcept : content_(std::in_place_index<1>, error) {}  // NOLINT

  bool has_value() const noexcept { return content_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  // Error: the one that stands here instead.
  T& value() & { return *checked(std::get_if<0>(&content_)); }
  const T& value() const& { return *checked(std::get_if<0>(&content_)); }
  T&& value() && { return std::move(*checked(std::get_if<0>(&content_))); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  // Error (bad_input): there is an answer, and so no error.
  const Error& error() const {
    const Error* error = std::get_if<1>(&content_);
    if (error == nullptr) throw Error("result", "holds an answer, and no error");
    return *error;
  }

 private:
  template <typename Value>
  Value* checked(Value* value) const {
    if (value == nullptr) throw error();
    return value;
  }

  std::variant<T, Error> content_;
};

}  // namespace vit
