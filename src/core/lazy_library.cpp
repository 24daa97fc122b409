#include "core/lazy_library.h"

#include <dlfcn.h>

#include "core/error.h"

namespace vitrail {

LazyLibrary::LazyLibrary(const std::string& name, const char* place, const std::string& purpose)
    : name_(name), place_(place), handle_(::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) {
  check(handle_ != nullptr, place_, "{} cannot be loaded, and {}: {}", name, purpose,
        handle_ == nullptr ? ::dlerror() : "");
}

void* LazyLibrary::address(const char* symbol) const {
  void* found = ::dlsym(handle_, symbol);
  check(found != nullptr, place_, "{} has no {}", name_, symbol);
  return found;
}

}  // namespace vitrail
