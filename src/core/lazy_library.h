// A system library that is loaded when it is first needed: libcurl brings thirty others along, the
// libraries of seldom picture formats as many, and loading them would double the start-up time of
// every verb that needs none.
#pragma once

#include <string>

namespace vitrail {

class LazyLibrary {
 public:
  // `name` as the loader knows it ("libcurl.so.4"); `place` and `purpose` ("fetching needs it") are
  // for messages. Error: it is not installed.
  LazyLibrary(const std::string& name, const char* place, const std::string& purpose);

  // Error: the library lacks it.
  template <typename Function>
  void find(Function*& function, const char* symbol) const {
    function = reinterpret_cast<Function*>(address(symbol));
  }

 private:
  void* address(const char* symbol) const;
  std::string name_;
  const char* place_;
  void* handle_;  // stays loaded: threads and exit handlers of the library may live on
};

}  // namespace vitrail
