#include <vitrail/version.h>

namespace vit {

const char* version() noexcept {
  return VITRAIL_VERSION;
}

}  // namespace vit
