// Any bytes either are refused with an Error or give arrays that lie wholly inside them.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/error.h"
#include "formats/npz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // A copy of the exact size, so that the sanitizer sees a read beyond the end.
  auto bytes = std::make_shared<std::vector<std::byte>>(size);
  for (size_t i = 0; i < size; ++i) (*bytes)[i] = static_cast<std::byte>(data[i]);
  volatile uint8_t sum = vitrail::is_npz(*bytes) ? 1 : 0;
  try {
    const auto file = vitrail::NpzFile::parse(*bytes, bytes, "fuzz");
    for (const std::string& name : file->names()) {
      const vitrail::Tensor tensor = file->tensor(name);
      const auto* raw = static_cast<const uint8_t*>(tensor.raw());
      for (size_t i = 0; i < tensor.bytes(); ++i) sum = sum + raw[i];
    }
  } catch (const vitrail::Error&) {
  }
  return 0;
}
