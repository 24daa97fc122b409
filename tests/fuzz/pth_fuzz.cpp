// Any bytes either are refused with an Error or give tensors that lie wholly inside them; whatever
// a pickle asks for, nothing is run.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/error.h"
#include "formats/pickle.h"
#include "formats/pth.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // A copy of the exact size, so that the sanitizer sees a read beyond the end.
  auto bytes = std::make_shared<std::vector<std::byte>>(size);
  for (size_t i = 0; i < size; ++i) (*bytes)[i] = static_cast<std::byte>(data[i]);
  try {
    const auto file = vitrail::PthFile::parse(*bytes, bytes, "fuzz");
    volatile uint8_t sum = 0;
    for (const std::string& name : file->names()) {
      const vitrail::Tensor tensor = file->tensor(name);
      const auto* raw = static_cast<const uint8_t*>(tensor.raw());
      for (size_t i = 0; i < tensor.bytes(); ++i) sum = sum + raw[i];
    }
  } catch (const vitrail::Error&) {
  }
  try {
    vitrail::parse_pickle(*bytes, "fuzz");
  } catch (const vitrail::Error&) {
  }
  return 0;
}
