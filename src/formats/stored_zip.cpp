#include "formats/stored_zip.h"

#include <cstdint>
#include <cstring>
#include <string_view>

#include "core/error.h"
#include "core/printable.h"

namespace vitrail {
namespace {

constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kEnd64Signature = 0x06064b50;
constexpr uint32_t kLocator64Signature = 0x07064b50;
constexpr uint32_t kCentralSignature = 0x02014b50;
constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr size_t kEndBytes = 22, kLocator64Bytes = 20, kEnd64Bytes = 56;
constexpr size_t kCentralBytes = 46, kLocalBytes = 30;
constexpr size_t kMaxComment = 65535;
constexpr uint16_t kZip64Extra = 1;
constexpr uint32_t kIn64 = 0xffffffff;  // the value stands in the zip64 extra field
constexpr uint16_t kIn64Short = 0xffff;

struct Directory {
  uint64_t entries = 0, bytes = 0, begin = 0;
};
struct Entry {
  std::string name;
  uint64_t bytes = 0, local_header = 0;
  bool compressed = false;
};

class ZipReader {
 public:
  ZipReader(std::span<const std::byte> archive, const std::string& place)
      : archive_(archive), place_(place) {}

  StoredZip read() {
    const Directory directory = find_directory();
    StoredZip zip;
    uint64_t at = directory.begin;
    const uint64_t end = directory.begin + directory.bytes;
    for (uint64_t i = 0; i < directory.entries; ++i) {
      const Entry entry = central_entry(at, end);
      if (entry.compressed && zip.compressed.empty()) zip.compressed = entry.name;
      const auto bytes = entry.compressed ? std::span<const std::byte>() : bytes_of(entry);
      if (!zip.entries.emplace(entry.name, bytes).second)
        refuse("holds '{}' twice", printable(entry.name, 60));
    }
    return zip;
  }

 private:
  template <typename... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    fail("pth", "{}: the archive {}", place_, fmt::format(format, std::forward<Args>(args)...));
  }
  template <typename T>
  T number(uint64_t at) const {
    T value = 0;
    if (archive_.size() < sizeof(T) || at > archive_.size() - sizeof(T))
      refuse("points beyond its end: truncated?");
    std::memcpy(&value, archive_.data() + at, sizeof(T));
    return value;
  }

  // The end record stands last, behind it at most a comment.
  Directory find_directory() const {
    const size_t size = archive_.size();
    for (size_t back = kEndBytes; back <= size && back <= kEndBytes + kMaxComment; ++back) {
      const uint64_t at = size - back;
      if (number<uint32_t>(at) != kEndSignature) continue;
      Directory directory{number<uint16_t>(at + 10), number<uint32_t>(at + 12),
                          number<uint32_t>(at + 16)};
      const bool wide =
          directory.entries == kIn64Short || directory.bytes == kIn64 || directory.begin == kIn64;
      if (wide && at >= kLocator64Bytes &&
          number<uint32_t>(at - kLocator64Bytes) == kLocator64Signature) {
        const auto end64 = number<uint64_t>(at - kLocator64Bytes + 8);
        if (size < kEnd64Bytes || end64 > size - kEnd64Bytes ||
            number<uint32_t>(end64) != kEnd64Signature)
          refuse("has a zip64 end record that is not there");
        directory = {number<uint64_t>(end64 + 32), number<uint64_t>(end64 + 40),
                     number<uint64_t>(end64 + 48)};
      }
      if (directory.bytes > at || directory.begin > at - directory.bytes)
        refuse("has its directory outside the file");
      // Each entry takes room in the directory, so a count that lies costs nothing.
      if (directory.entries > kMaxZipEntries || directory.entries > directory.bytes / kCentralBytes)
        refuse("declares {} entries in a directory of {} bytes", directory.entries,
               directory.bytes);
      return directory;
    }
    refuse("has no directory at its end: truncated, or not a zip archive");
  }

  Entry central_entry(uint64_t& at, uint64_t end) const {
    if (end - at < kCentralBytes || number<uint32_t>(at) != kCentralSignature)
      refuse("has a damaged directory");
    const auto flags = number<uint16_t>(at + 8);
    const auto method = number<uint16_t>(at + 10);
    uint64_t packed = number<uint32_t>(at + 20), bytes = number<uint32_t>(at + 24);
    const uint64_t name_bytes = number<uint16_t>(at + 28), extra_bytes = number<uint16_t>(at + 30);
    const uint64_t comment_bytes = number<uint16_t>(at + 32);
    uint64_t local = number<uint32_t>(at + 42);
    if (end - at - kCentralBytes < name_bytes + extra_bytes + comment_bytes)
      refuse("has a damaged directory");
    const std::string name(reinterpret_cast<const char*>(archive_.data()) + at + kCentralBytes,
                           name_bytes);
    uint64_t extra = at + kCentralBytes + name_bytes;
    const uint64_t extra_end = extra + extra_bytes;
    at = extra_end + comment_bytes;
    while (extra_end - extra >= 4) {
      const auto kind = number<uint16_t>(extra);
      const uint64_t length = number<uint16_t>(extra + 2);
      uint64_t field = extra + 4;
      extra = field + length;
      if (extra > extra_end) refuse("has a damaged directory");
      if (kind != kZip64Extra) continue;
      for (uint64_t* value : {&bytes, &packed, &local}) {  // in this order, where they are absent
        if (*value != kIn64) continue;
        if (extra - field < sizeof(uint64_t)) refuse("has a damaged zip64 field");
        *value = number<uint64_t>(field);
        field += sizeof(uint64_t);
      }
    }
    if ((flags & 1) != 0) refuse("is encrypted");
    return {name, bytes, local, method != 0 || packed != bytes};
  }

  std::span<const std::byte> bytes_of(const Entry& entry) const {
    const uint64_t size = archive_.size();
    if (size < kLocalBytes || entry.local_header > size - kLocalBytes ||
        number<uint32_t>(entry.local_header) != kLocalSignature)
      refuse("places '{}' where it is not", printable(entry.name, 60));
    const uint64_t begin = entry.local_header + kLocalBytes +
                           number<uint16_t>(entry.local_header + 26) +
                           number<uint16_t>(entry.local_header + 28);
    if (begin > size || entry.bytes > size - begin)
      refuse("ends within '{}': truncated?", printable(entry.name, 60));
    return archive_.subspan(begin, entry.bytes);
  }

  std::span<const std::byte> archive_;
  const std::string& place_;
};

}  // namespace

StoredZip read_stored_zip(std::span<const std::byte> archive, const std::string& place) {
  return ZipReader(archive, place).read();
}

}  // namespace vitrail
