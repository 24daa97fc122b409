#include "fetch/lazy_library.h"

#include <dlfcn.h>

#include "core/error.h"

namespace vitrail {

LazyLibrary::LazyLibrary(const std::string& name)
    : name_(name), handle_(::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) {
  check(handle_ != nullptr, "fetch", "{} cannot be loaded, and fetching needs it: {}", name,
        handle_ == nullptr ? ::dlerror() : "");
}

void* LazyLibrary::address(const char* symbol) const {
  void* found = ::dlsym(handle_, symbol);
  check(found != nullptr, "fetch", "{} has no {}", name_, symbol);
  return found;
}

}  // namespace vitrail
