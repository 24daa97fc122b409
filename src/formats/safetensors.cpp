#include "formats/safetensors.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/printable.h"
#include "formats/mapped_file.h"
#include "formats/safetensors_header.h"

namespace vitrail {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

constexpr size_t kLengthBytes = 8;

}  // namespace

std::shared_ptr<SafetensorsFile> SafetensorsFile::open(const std::filesystem::path& path) {
  auto mapping = std::make_shared<MappedFile>(path);
  return parse(mapping->bytes(), mapping, path.string());
}

std::shared_ptr<SafetensorsFile> SafetensorsFile::parse(std::span<const std::byte> bytes,
                                                        std::shared_ptr<void> keep_alive,
                                                        std::string place) {
  if (bytes.empty()) fail("safetensors", "{}: is empty", place);
  if (bytes.size() < kLengthBytes)
    fail("safetensors", "{}: has {} bytes, too few for a safetensors file", place, bytes.size());
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), kLengthBytes);
  if (header_bytes > kMaxSafetensorsHeaderBytes)
    fail("safetensors",
         "{}: declares a header of {} bytes, above the limit of {}: not a "
         "safetensors file?",
         place, header_bytes, kMaxSafetensorsHeaderBytes);
  if (header_bytes > bytes.size() - kLengthBytes)
    fail("safetensors", "{}: declares a header of {} bytes but has {} bytes in all: truncated?",
         place, header_bytes, bytes.size());

  const size_t data_start = kLengthBytes + header_bytes;
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes,
                              header_bytes);
  SafetensorsHeader header = parse_safetensors_header(text, bytes.size() - data_start, place);

  std::shared_ptr<SafetensorsFile> file(new SafetensorsFile);
  for (SafetensorsEntry& entry : header.entries)
    file->entries_.emplace(std::move(entry.name), Entry{entry.info, data_start + entry.begin});
  file->bytes_ = bytes;
  file->keep_alive_ = std::move(keep_alive);
  file->metadata_ = std::move(header.metadata);
  file->place_ = std::move(place);
  return file;
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  names.reserve(entries_.size());
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

const TensorInfo* SafetensorsFile::find(std::string_view name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second.info;
}

Tensor SafetensorsFile::tensor(std::string_view name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end())
    fail("safetensors", "{}: has no tensor '{}'", place_, printable(name));
  const auto& [info, offset] = found->second;
  const std::byte* data = bytes_.data() + offset;
  if (reinterpret_cast<uintptr_t>(data) % size_of(info.dtype) != 0) {
    Tensor copy = Tensor::empty(info.shape, info.dtype);
    if (info.bytes() > 0) std::memcpy(copy.raw(), data, info.bytes());
    return copy;
  }
  // Storage hands out writable pointers; read_only keeps everyone from using them so.
  auto storage = Storage::wrap(const_cast<std::byte*>(data), info.bytes(), keep_alive_, true);
  return Tensor::over(std::move(storage), 0, info.shape, info.dtype);
}

void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<const NamedTensors::value_type*> order;
  for (const auto& named : tensors) {
    if (!named.second.defined())
      fail("safetensors", "{}: tensor '{}' holds nothing", path.string(), named.first);
    order.push_back(&named);
  }
  std::ranges::sort(order, [](const auto* left, const auto* right) {
    const int left_rank = safetensors_rank(left->second.dtype());
    const int right_rank = safetensors_rank(right->second.dtype());
    return left_rank != right_rank ? left_rank > right_rank : left->first < right->first;
  });
  std::vector<std::string> names;
  std::vector<SafetensorsEntry> entries;
  uint64_t next = 0;
  for (const auto* named : order) {
    const auto& [name, tensor] = *named;
    names.push_back(name);
    entries.push_back({name, {tensor.dtype(), tensor.shape()}, next, next + tensor.bytes()});
    next += tensor.bytes();
  }
  std::ranges::sort(names);
  const auto twice = std::ranges::adjacent_find(names);
  if (twice != names.end())
    fail("safetensors", "{}: two tensors are called '{}'", path.string(), *twice);

  const std::string header = format_safetensors_header(entries, metadata, path.string());
  const uint64_t header_bytes = header.size();
  if (header_bytes > kMaxSafetensorsHeaderBytes)
    fail("safetensors", "{}: a header of {} bytes is above the limit of {}", path.string(),
         header_bytes, kMaxSafetensorsHeaderBytes);
  AtomicFile file(path);
  file.write(std::as_bytes(std::span(&header_bytes, 1)));
  file.write(header);
  for (const auto* named : order)
    file.write({static_cast<const std::byte*>(named->second.raw()), named->second.bytes()});
  file.commit();
}

void advise_dropped(const Tensor& tensor) {
  if (!tensor.defined() || !MappedFile::contains(tensor.raw(), tensor.bytes())) return;
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(tensor.raw());
  const uintptr_t first = (begin + page - 1) / page * page;
  const uintptr_t last = (begin + tensor.bytes()) / page * page;
  if (first < last) ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

}  // namespace vitrail
