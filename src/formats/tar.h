// tar archives, uncompressed: ustar, with the long names of GNU tar and the paths and sizes of pax;
// read from beginning to end, or as a table of contents.
// Source: POSIX.1-2017, pax, "ustar Interchange Format"; the GNU tar manual, "Basic Tar Format".
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/parallel.h"

namespace vitrail {

inline constexpr uint64_t kMaxTarEntryBytes = uint64_t{64} << 30;
inline constexpr uint64_t kMaxTarNameBytes = 4096;
inline constexpr uint64_t kMaxTarEntries = 100'000'000;

struct TarEntry {
  std::string name;     // as it stands in the archive: a stranger's words, never a path to write to
  uint64_t offset = 0;  // of its data within the archive
  uint64_t bytes = 0;
  bool is_file = false;    // a regular one
  bool is_folder = false;  // neither: a link or something rarer
};

class TarReader {
 public:
  // Fills the buffer, or less at the end of the archive; returns how many bytes it gave.
  using Source = std::function<size_t(std::span<std::byte>)>;
  // Passes over so many bytes; false when the archive ends before. Without it they are read.
  using Skip = std::function<bool(uint64_t bytes)>;
  // `place` names the archive in messages.
  TarReader(Source source, std::string place, Skip skip = {});

  // The next entry; what is left of the one before is skipped. Nothing at the archive's end.
  // Error: a header that is none, a sum that is wrong, a size beyond the limit, an end within an
  // entry.
  std::optional<TarEntry> next();
  // The next bytes of the entry; 0 at its end. Error: the archive ends before the entry does.
  size_t read(std::span<std::byte> out);

 private:
  using Block = std::span<std::byte, 512>;
  void fill(std::span<std::byte> out);
  bool read_header(Block block);
  std::string read_long(uint64_t bytes);
  void skip(uint64_t bytes);

  Source source_;
  std::string place_;
  Skip skip_;
  uint64_t at_ = 0;       // in the archive
  uint64_t left_ = 0;     // of the entry
  uint64_t padding_ = 0;  // behind it, up to a whole block
  uint64_t entries_ = 0;
};

// Each entry of an archive of `size` bytes, which read(offset, to) gives. Error: as next(); an
// archive that is shorter than a header; what `visit` throws.
void for_each_tar_entry(uint64_t size, FunctionRef<void(uint64_t, std::span<std::byte>)> read,
                        const std::string& place, FunctionRef<void(const TarEntry&)> visit);
// The regular files of an archive of `size` bytes, which read(offset, to) gives. Error: as next();
// an archive that is shorter than a header.
std::vector<TarEntry> tar_members(uint64_t size,
                                  FunctionRef<void(uint64_t, std::span<std::byte>)> read,
                                  const std::string& place);

}  // namespace vitrail
