// Any text is refused with an Error, or gives rows that are all as long as the first.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "core/error.h"
#include "formats/csv.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    size_t columns = 0;
    vitrail::for_each_csv_row({reinterpret_cast<const char*>(data), size}, "fuzz",
                              [&](const vitrail::CsvRow& row) {
                                if (columns == 0) columns = row.fields.size();
                                if (columns == 0 || row.fields.size() != columns) std::abort();
                              });
  } catch (const vitrail::Error&) {
  }
  return 0;
}
