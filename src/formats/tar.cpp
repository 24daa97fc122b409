#include "formats/tar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <utility>

#include "core/error.h"

namespace vitrail {
namespace {

constexpr size_t kBlock = 512;
constexpr uint64_t kMaxPaxBytes = uint64_t{1} << 20;

// Fields of the header, by offset and length.
struct Field {
  size_t offset, bytes;
};
constexpr Field kName{0, 100}, kSize{124, 12}, kSum{148, 8}, kType{156, 1}, kMagic{257, 5},
    kPrefix{345, 155};

std::string_view field(std::span<const std::byte> block, Field f) {
  return {reinterpret_cast<const char*>(block.data()) + f.offset, f.bytes};
}

std::string text(std::span<const std::byte> block, Field f) {
  const std::string_view all = field(block, f);
  return std::string(all.substr(0, all.find('\0')));
}

// Octal digits between blanks; where the first bit is set, a big-endian number (GNU).
std::optional<uint64_t> number(std::string_view digits) {
  uint64_t value = 0;
  if (!digits.empty() && (static_cast<unsigned char>(digits[0]) & 0x80) != 0) {
    for (size_t i = 0; i < digits.size(); ++i) {
      const auto byte = static_cast<unsigned char>(digits[i]);
      if (value >> 56 != 0) return std::nullopt;
      value = value << 8 | (i == 0 ? byte & 0x7f : byte);
    }
    return value;
  }
  const size_t begin = std::min(digits.find_first_not_of(' '), digits.size());
  size_t end = begin;
  for (; end < digits.size() && digits[end] >= '0' && digits[end] <= '7'; ++end)
    value = value << 3 | static_cast<uint64_t>(digits[end] - '0');
  const bool closed = digits.find_first_not_of(std::string_view(" \0", 2), end) == digits.npos;
  if (end == begin || !closed) return std::nullopt;
  return value;
}

// The sum of the header's bytes, those of the sum itself read as blanks.
uint64_t sum_of(std::span<const std::byte> block) {
  uint64_t sum = 0;
  for (size_t i = 0; i < kBlock; ++i) {
    const bool own = i >= kSum.offset && i < kSum.offset + kSum.bytes;
    sum += own ? uint64_t{' '} : std::to_integer<uint64_t>(block[i]);
  }
  return sum;
}

struct Described {
  std::string path;
  std::optional<uint64_t> bytes;
};

// "27 path=some/long/name\n" records, one after another.
Described read_pax(std::string_view records) {
  Described described;
  while (!records.empty()) {
    size_t length = 0;
    const char* end = records.data() + records.size();
    const auto [rest, error] = std::from_chars(records.data(), end, length);
    const auto digits = static_cast<size_t>(rest - records.data());
    if (error != std::errc{} || length <= digits + 1 || length > records.size()) break;
    const std::string_view record = records.substr(digits + 1, length - digits - 2);
    if (record.starts_with("path=")) described.path = record.substr(5);
    if (record.starts_with("size=")) {
      uint64_t bytes = 0;
      const std::string_view value = record.substr(5);
      if (std::from_chars(value.data(), value.data() + value.size(), bytes).ec == std::errc{})
        described.bytes = bytes;
    }
    records.remove_prefix(length);
  }
  return described;
}

}  // namespace

TarReader::TarReader(Source source, std::string place, Skip skip)
    : source_(std::move(source)), place_(std::move(place)), skip_(std::move(skip)) {}

void TarReader::fill(std::span<std::byte> out) {
  while (!out.empty()) {
    const size_t got = source_(out);
    check(got > 0, "tar", "{}: ends within an entry", place_);
    out = out.subspan(got);
    at_ += got;
  }
}

// False at the end: a block of zeros, or no block at all.
bool TarReader::read_header(Block block) {
  std::span<std::byte> rest = block;
  while (!rest.empty()) {
    const size_t got = source_(rest);
    if (got == 0) break;
    rest = rest.subspan(got);
    at_ += got;
  }
  if (rest.size() == kBlock) return false;
  check(rest.empty(), "tar", "{}: ends within a header", place_);
  return !std::all_of(block.begin(), block.end(), [](std::byte b) { return b == std::byte{0}; });
}

void TarReader::skip(uint64_t bytes) {
  if (bytes == 0) return;
  if (skip_) {
    check(skip_(bytes), "tar", "{}: ends within an entry", place_);
    at_ += bytes;
    return;
  }
  std::array<std::byte, 4096> waste;
  while (bytes > 0) {
    const size_t part = static_cast<size_t>(std::min<uint64_t>(bytes, waste.size()));
    fill(std::span(waste).first(part));
    bytes -= part;
  }
}

std::string TarReader::read_long(uint64_t bytes) {
  check(bytes <= kMaxPaxBytes, "tar", "{}: a description of {} bytes is above the limit of {}",
        place_, bytes, kMaxPaxBytes);
  std::string long_text(static_cast<size_t>(bytes), '\0');
  fill(std::as_writable_bytes(std::span(long_text)));
  skip((kBlock - bytes % kBlock) % kBlock);
  return long_text;
}

std::optional<TarEntry> TarReader::next() {
  skip(std::exchange(left_, 0));
  skip(std::exchange(padding_, 0));
  Described described;
  std::array<std::byte, kBlock> block;
  while (read_header(block)) {
    check(++entries_ <= kMaxTarEntries, "tar", "{}: has more than {} entries", place_,
          kMaxTarEntries);
    auto bytes = number(field(block, kSize));
    check(number(field(block, kSum)) == sum_of(block), "tar",
          "{}: no tar header at {}: damaged, or compressed (shards must be plain .tar)", place_,
          at_ - kBlock);
    check(bytes.has_value() && *bytes <= kMaxTarEntryBytes, "tar",
          "{}: an entry has no size, or one above the limit of {}", place_, kMaxTarEntryBytes);
    const char type = field(block, kType)[0];
    if (type == 'L') {
      described.path = read_long(*bytes);
      described.path.resize(std::min(described.path.find('\0'), described.path.size()));
      continue;
    }
    if (type == 'K') {  // the long target of a link
      read_long(*bytes);
      continue;
    }
    if (type == 'x' || type == 'g') {  // of the next entry, or of all of them
      const Described found = read_pax(read_long(*bytes));
      if (type == 'x' && !found.path.empty()) described.path = found.path;
      if (type == 'x' && found.bytes) described.bytes = found.bytes;
      continue;
    }
    if (described.bytes) bytes = described.bytes;
    check(*bytes <= kMaxTarEntryBytes, "tar", "{}: an entry's size is above the limit of {}",
          place_, kMaxTarEntryBytes);
    TarEntry entry{.name = std::move(described.path),
                   .offset = at_,
                   .bytes = *bytes,
                   .is_file = type == '0' || type == '\0' || type == '7',
                   .is_folder = type == '5'};
    if (entry.name.empty()) {
      entry.name = text(block, kName);
      if (field(block, kMagic) == "ustar" && !text(block, kPrefix).empty())
        entry.name = text(block, kPrefix) + "/" + entry.name;
    }
    check(entry.name.size() <= kMaxTarNameBytes, "tar", "{}: a name of {} bytes is above the limit",
          place_, entry.name.size());
    left_ = entry.bytes;
    padding_ = (kBlock - entry.bytes % kBlock) % kBlock;
    return entry;
  }
  return std::nullopt;
}

size_t TarReader::read(std::span<std::byte> out) {
  const size_t part = static_cast<size_t>(std::min<uint64_t>(left_, out.size()));
  fill(out.first(part));
  left_ -= part;
  return part;
}

void for_each_tar_entry(uint64_t size, FunctionRef<void(uint64_t, std::span<std::byte>)> read,
                        const std::string& place, FunctionRef<void(const TarEntry&)> visit) {
  check(size >= kBlock, "tar", "{}: {} bytes are no tar archive", place, size);
  uint64_t at = 0;
  const auto source = [&](std::span<std::byte> out) {
    const auto part = static_cast<size_t>(std::min<uint64_t>(out.size(), size - at));
    if (part > 0) read(at, out.first(part));
    at += part;
    return part;
  };
  const auto skip = [&](uint64_t bytes) {
    if (bytes > size - at) return false;
    at += bytes;
    return true;
  };
  TarReader tar(source, place, skip);
  while (const std::optional<TarEntry> entry = tar.next()) visit(*entry);
}

std::vector<TarEntry> tar_members(uint64_t size,
                                  FunctionRef<void(uint64_t, std::span<std::byte>)> read,
                                  const std::string& place) {
  std::vector<TarEntry> members;
  for_each_tar_entry(size, read, place, [&](const TarEntry& entry) {
    if (entry.is_file) members.push_back(entry);
  });
  return members;
}

}  // namespace vitrail
