// Any bytes as a tar archive: an Error or entries, within the limits, and never more bytes than
// there were.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include "core/error.h"
#include "formats/tar.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  size_t given = 0, received = 0;
  vitrail::TarReader tar(
      [&](std::span<std::byte> out) {
        const size_t part = std::min({out.size(), size - given, size_t{1000}});
        if (part > 0) std::memcpy(out.data(), data + given, part);
        given += part;
        return part;
      },
      "fuzz");
  try {
    std::array<std::byte, 300> block;
    while (const auto entry = tar.next()) {
      if (entry->name.size() > vitrail::kMaxTarNameBytes) std::abort();
      while (const size_t got = tar.read(block)) received += got;
    }
  } catch (const vitrail::Error&) {
  }
  if (received > size) std::abort();
  try {
    const auto read = [&](uint64_t offset, std::span<std::byte> to) {
      if (offset > size || to.size() > size - offset) std::abort();
      std::memcpy(to.data(), data + offset, to.size());
    };
    for (const vitrail::TarEntry& member : vitrail::tar_members(size, read, "fuzz"))
      if (member.offset > size || member.bytes > size - member.offset) std::abort();
  } catch (const vitrail::Error&) {
  }
  return 0;
}
