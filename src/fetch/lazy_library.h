// A system library that is loaded when it is first needed: libcurl brings thirty others along,
// whose loading would double the start-up time of every verb that fetches nothing.
#pragma once

#include <string>

namespace vitrail {

class LazyLibrary {
 public:
  // `name` as the loader knows it ("libcurl.so.4"). Error: it is not installed.
  explicit LazyLibrary(const std::string& name);

  // Error: the library lacks it.
  template <typename Function>
  void find(Function*& function, const char* symbol) const {
    function = reinterpret_cast<Function*>(address(symbol));
  }

 private:
  void* address(const char* symbol) const;
  std::string name_;
  void* handle_;  // stays loaded: threads and exit handlers of the library may live on
};

}  // namespace vitrail
