// Any text is refused with an Error, or is a record whose parts add up.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "core/error.h"
#include "data/split_record.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using vitrail::Part;
  try {
    const vitrail::SplitRecord record =
        vitrail::parse_split_record({reinterpret_cast<const char*>(data), size}, "fuzz");
    const int64_t parts =
        record.count(Part::training) + record.count(Part::validation) + record.count(Part::earlier);
    if (parts != static_cast<int64_t>(record.pictures.size())) std::abort();
  } catch (const vitrail::Error&) {
  }
  return 0;
}
