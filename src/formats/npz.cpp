#include "formats/npz.h"

#include <array>
#include <cstring>

#include "core/error.h"
#include "core/file.h"
#include "core/printable.h"
#include "formats/stored_zip.h"

namespace vitrail {
namespace {

constexpr std::string_view kNpyEnding = ".npy";

std::string_view chars_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The elements in C order, of an array whose first axis is the fastest.
void reorder(const std::byte* from, const TensorInfo& info, std::byte* to) {
  const size_t width = size_of(info.dtype);
  const int rank = info.shape.rank();
  std::array<int64_t, Shape::kMaxRank> index{}, stride{};
  int64_t step = 1;
  for (int axis = 0; axis < rank; ++axis) {
    stride[static_cast<size_t>(axis)] = step;
    step *= info.shape[axis];
  }
  const int64_t count = info.shape.numel();
  for (int64_t i = 0; i < count; ++i, to += width) {
    int64_t element = 0;
    for (int axis = 0; axis < rank; ++axis)
      element += index[static_cast<size_t>(axis)] * stride[static_cast<size_t>(axis)];
    std::memcpy(to, from + static_cast<size_t>(element) * width, width);
    for (int axis = rank - 1; axis >= 0; --axis) {
      if (++index[static_cast<size_t>(axis)] < info.shape[axis]) break;
      index[static_cast<size_t>(axis)] = 0;
    }
  }
}

}  // namespace

std::shared_ptr<NpzFile> NpzFile::open(const std::filesystem::path& path) {
  // As PthFile::open: the whole is read once to see what is where, the arrays when asked for.
  auto input = std::make_shared<const InputFile>(path);
  const auto size = static_cast<size_t>(input->size());
  const auto contents = std::make_unique_for_overwrite<std::byte[]>(size);
  const std::span<std::byte> bytes(contents.get(), size);
  input->read(0, bytes);
  auto file = parse(bytes, nullptr, path.string());
  file->bytes_ = {};
  file->file_ = std::move(input);
  return file;
}

std::shared_ptr<NpzFile> NpzFile::parse(std::span<const std::byte> bytes,
                                        std::shared_ptr<void> keep_alive, std::string place) {
  const StoredZip zip = read_stored_zip(bytes, place);
  if (!zip.compressed.empty())
    fail("npz", "{}: holds '{}' compressed; save the arrays with numpy.savez", place,
         printable(zip.compressed, 60));
  std::shared_ptr<NpzFile> file(new NpzFile);
  for (const auto& [name, data] : zip.entries) {
    if (!name.ends_with(kNpyEnding))
      fail("npz", "{}: holds '{}', which is no .npy file", place, printable(name, 60));
    const std::string key = name.substr(0, name.size() - kNpyEnding.size());
    const NpyLayout layout =
        npy_layout(chars_of(data), fmt::format("{}: '{}'", place, printable(key, 60)));
    const auto begin = static_cast<uint64_t>(data.data() - bytes.data());
    file->entries_.emplace(key, Entry{.info = {layout.dtype, layout.shape},
                                      .fortran_order = layout.fortran_order,
                                      .offset = begin + layout.begin});
  }
  file->bytes_ = bytes;
  file->keep_alive_ = std::move(keep_alive);
  file->place_ = std::move(place);
  return file;
}

std::vector<std::string> NpzFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

const TensorInfo* NpzFile::find(std::string_view name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second.info;
}

Tensor NpzFile::tensor(std::string_view name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) fail("npz", "{}: has no array '{}'", place_, printable(name));
  const Entry& entry = found->second;
  Tensor tensor = Tensor::empty(entry.info.shape, entry.info.dtype);
  const size_t size = entry.info.bytes();
  if (size == 0) return tensor;
  auto* to = static_cast<std::byte*>(tensor.raw());
  std::vector<std::byte> read;
  const std::byte* from = file_ ? nullptr : bytes_.data() + entry.offset;
  if (file_) {
    file_->check_unchanged();
    read.resize(size);
    file_->read(entry.offset, read);
    from = read.data();
  }
  if (entry.fortran_order && entry.info.shape.rank() > 1)
    reorder(from, entry.info, to);
  else
    std::memcpy(to, from, size);
  return tensor;
}

bool is_npz(std::span<const std::byte> begin) {
  constexpr size_t kNameLengthAt = 26, kNameAt = 30;  // of a zip archive's first header
  const std::string_view text = chars_of(begin);
  if (!text.starts_with("PK\x03\x04") || text.size() < kNameAt) return false;
  uint16_t length = 0;
  std::memcpy(&length, text.data() + kNameLengthAt, sizeof(length));
  return text.size() >= kNameAt + length && text.substr(kNameAt, length).ends_with(kNpyEnding);
}

}  // namespace vitrail
