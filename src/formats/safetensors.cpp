#include "formats/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/file.h"
#include "core/printable.h"
#include "formats/safetensors_header.h"

namespace vitrail {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

constexpr size_t kLengthBytes = 8;

// Of the header, which the first eight bytes tell; it lies within the file.
uint64_t header_length(std::span<const std::byte> begin, uint64_t file_bytes,
                       const std::string& place) {
  if (file_bytes == 0) fail("safetensors", "{}: is empty", place);
  if (begin.size() < kLengthBytes)
    fail("safetensors", "{}: has {} bytes, too few for a safetensors file", place, file_bytes);
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, begin.data(), kLengthBytes);
  if (header_bytes > kMaxSafetensorsHeaderBytes)
    fail("safetensors",
         "{}: declares a header of {} bytes, above the limit of {}: not a "
         "safetensors file?",
         place, header_bytes, kMaxSafetensorsHeaderBytes);
  if (header_bytes > file_bytes - kLengthBytes)
    fail("safetensors", "{}: declares a header of {} bytes but has {} bytes in all: truncated?",
         place, header_bytes, file_bytes);
  return header_bytes;
}

}  // namespace

std::shared_ptr<SafetensorsFile> SafetensorsFile::open(const std::filesystem::path& path) {
  auto input = std::make_shared<const InputFile>(path);
  const std::string place = path.string();
  std::array<std::byte, kLengthBytes> length{};
  const uint64_t size = input->size();
  input->read(0, std::span(length).first(std::min<uint64_t>(size, kLengthBytes)));
  std::string text(header_length(length, size, place), '\0');
  input->read(kLengthBytes, std::as_writable_bytes(std::span(text)));
  auto file = with_header(text, kLengthBytes + text.size(), size, place);
  file->file_ = std::move(input);
  return file;
}

std::shared_ptr<SafetensorsFile> SafetensorsFile::parse(std::span<const std::byte> bytes,
                                                        std::shared_ptr<void> keep_alive,
                                                        std::string place) {
  const uint64_t header_bytes =
      header_length(bytes.first(std::min(bytes.size(), kLengthBytes)), bytes.size(), place);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes,
                              header_bytes);
  auto file = with_header(text, kLengthBytes + header_bytes, bytes.size(), std::move(place));
  file->bytes_ = bytes;
  file->keep_alive_ = std::move(keep_alive);
  return file;
}

std::shared_ptr<SafetensorsFile> SafetensorsFile::with_header(std::string_view text,
                                                              uint64_t data_start,
                                                              uint64_t file_bytes,
                                                              std::string place) {
  SafetensorsHeader header = parse_safetensors_header(text, file_bytes - data_start, place);
  std::shared_ptr<SafetensorsFile> file(new SafetensorsFile);
  for (SafetensorsEntry& entry : header.entries)
    file->entries_.emplace(std::move(entry.name), Entry{entry.info, data_start + entry.begin});
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
  if (file_) {
    Tensor read = Tensor::empty(info.shape, info.dtype);
    file_->check_unchanged();
    file_->read(offset, {static_cast<std::byte*>(read.raw()), info.bytes()});
    return read;
  }
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

}  // namespace vitrail
