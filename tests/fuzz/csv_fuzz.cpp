// Any text is refused with an Error, or gives rows that are all as long as the first.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "core/error.h"
#include "formats/csv.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto rows = vitrail::parse_csv({reinterpret_cast<const char*>(data), size}, "fuzz");
    for (const auto& row : rows)
      if (row.empty() || row.size() != rows[0].size()) std::abort();
  } catch (const vitrail::Error&) {
  }
  return 0;
}
