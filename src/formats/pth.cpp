#include "formats/pth.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>

#include "core/error.h"
#include "core/file.h"
#include "core/printable.h"
#include "formats/file_kind.h"
#include "formats/pickle.h"
#include "formats/state_dict.h"
#include "formats/stored_zip.h"

namespace vitrail {

// Held by PthBuilder, which pth.h names: so neither is of this file alone.
struct PthContents {
  Pickle pickle;
  bool script = false;  // of torch.jit.save
  std::map<std::string, std::span<const std::byte>, std::less<>> storages;
};

namespace {

using Kind = PickleValue::Kind;
using Bytes = std::span<const std::byte>;

constexpr std::string_view kZipMagic = "PK\x03\x04";
// 0x1950a86a20f9469cfc6c, with which torch's older files begin.
constexpr std::string_view kLegacyMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
constexpr int64_t kLegacyProtocol = 1001;

std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
bool is_zip(Bytes bytes) {
  return text_of(bytes).starts_with(kZipMagic);
}
bool is_pickle(Bytes bytes) {
  const std::string_view text = text_of(bytes);
  return text.size() >= 2 && text[0] == '\x80' && text[1] >= 2 && text[1] <= 5 &&
         !begins_like_safetensors(bytes);
}

// DIR/data.pkl, and DIR/data/KEY for each storage. A TorchScript archive has them, too, beside the
// program in DIR/code/ (which is compressed, and not looked at) and the numbers in it,
// DIR/constants.pkl.
PthContents read_zip(Bytes bytes, const std::string& place) {
  const StoredZip zip = read_stored_zip(bytes, place);
  const auto& entries = zip.entries;
  if (const std::string kind = foreign_zip_kind(zip); !kind.empty())
    fail("pth", "{}: is {}", place, kind);
  constexpr std::string_view kPickle = "/data.pkl";
  std::string folder;
  for (const auto& [name, data] : entries) {
    if (!name.ends_with(kPickle)) continue;
    if (!folder.empty()) fail("pth", "{}: holds more than one data.pkl", place);
    folder = name.substr(0, name.size() - kPickle.size());
  }
  if (folder.empty()) fail("pth", "{}: has its data.pkl outside of a folder", place);
  PthContents contents;
  contents.script = entries.contains(folder + "/constants.pkl");
  // Of a compressed entry no bytes are known, so weights among them would be missed below.
  const bool program = contents.script && (zip.compressed.starts_with(folder + "/code/") ||
                                           zip.compressed.starts_with(folder + "/.debug"));
  if (!zip.compressed.empty() && !program)
    fail("pth", "{}: the archive holds '{}' compressed; torch.save stores it as it is", place,
         printable(zip.compressed, 60));
  if (const auto order = entries.find(folder + "/byteorder");
      order != entries.end() && text_of(order->second) != "little")
    fail("pth", "{}: was written on a big-endian machine", place);
  const Bytes pickle = entries.at(folder + std::string(kPickle));
  if (pickle.size() > kMaxPickleBytes)
    fail("pth", "{}: its pickle of {} bytes is above the limit of {}", place, pickle.size(),
         kMaxPickleBytes);
  contents.pickle = parse_pickle(pickle, place);
  const std::string prefix = folder + "/data/";
  for (const auto& [name, data] : entries)
    if (name.starts_with(prefix)) contents.storages.emplace(name.substr(prefix.size()), data);
  return contents;
}

// Pickles of the magic number, the protocol, the machine, the object and the storages' keys; then,
// in the keys' order, each storage's length in elements and its bytes.
PthContents read_legacy(Bytes bytes, const std::string& place) {
  size_t at = 0;
  const auto next = [&](size_t limit = kMaxPickleBytes) {
    const Bytes rest = bytes.subspan(at);
    Pickle pickle = parse_pickle(rest.first(std::min(rest.size(), limit)), place);
    at += pickle.bytes;
    return pickle;
  };
  const auto refuse = [&](const char* why) {
    fail("pth", "{}: is a pickle that torch.save did not write ({})", place, why);
  };
  constexpr size_t kSmall = 4096;  // what stands before the object
  const Pickle magic = next(kSmall);
  if (magic.top().kind != Kind::large_integer || magic.top().text != kLegacyMagic)
    refuse("no magic number");
  const Pickle protocol = next(kSmall);
  if (protocol.top().kind != Kind::integer || protocol.top().integer != kLegacyProtocol)
    refuse("not protocol 1001");
  const Pickle machine = next(kSmall);
  if (machine.top().kind != Kind::dict) refuse("no description of the machine");
  for (size_t i = 0; i + 1 < machine.top().items.size(); i += 2)
    if (machine.at(machine.top().items[i]).text == "little_endian" &&
        machine.at(machine.top().items[i + 1]).integer == 0)
      fail("pth", "{}: was written on a big-endian machine", place);
  PthContents contents;
  contents.pickle = next();
  const Pickle keys = next();
  if (keys.top().kind != Kind::list) refuse("no list of storages");

  std::map<std::string_view, const PickleStorage*> known;
  for (const PickleStorage& storage : contents.pickle.storages)
    known.emplace(storage.key, &storage);
  for (const uint32_t item : keys.top().items) {
    const std::string_view key = keys.at(item).text;
    const auto found = known.find(key);
    if (found == known.end()) refuse("bytes of a storage that nothing refers to");
    int64_t numel = 0;
    if (bytes.size() - at < sizeof(numel)) fail("pth", "{}: ends within its storages", place);
    std::memcpy(&numel, bytes.data() + at, sizeof(numel));
    at += sizeof(numel);
    const auto width =
        static_cast<int64_t>(found->second->untyped ? 1 : legacy_width(*found->second, place));
    int64_t length = 0;
    if (numel < 0 || __builtin_mul_overflow(numel, width, &length) ||
        static_cast<uint64_t>(length) > bytes.size() - at)
      fail("pth", "{}: a storage of {} elements goes beyond the file's end: truncated?", place,
           numel);
    contents.storages.emplace(key, bytes.subspan(at, static_cast<size_t>(length)));
    at += static_cast<size_t>(length);
  }
  return contents;
}

}  // namespace

// Ties the pickle's tensors to the file's bytes.
class PthBuilder {
 public:
  PthBuilder(Bytes bytes, PthContents contents, std::string place)
      : bytes_(bytes), contents_(std::move(contents)), place_(std::move(place)) {}

  std::shared_ptr<PthFile> build(const PthOptions& options, std::shared_ptr<void> keep_alive) {
    StateDict chosen = contents_.script ? script_state_dict(contents_.pickle, options, place_)
                                        : choose_state_dict(contents_.pickle, options, place_);
    std::shared_ptr<PthFile> file(new PthFile);
    for (const auto& [name, index] : chosen.tensors) {
      const PickleTensor& tensor = contents_.pickle.tensors[index];
      file->entries_.emplace(
          name,
          PthFile::Entry{{tensor.dtype, tensor.shape}, offset_of(tensor, name), tensor.strides});
    }
    file->notes_ = std::move(chosen.notes);
    file->module_class_ = std::move(chosen.module_class);
    file->module_fields_ = std::move(chosen.module_fields);
    file->bytes_ = bytes_;
    file->keep_alive_ = std::move(keep_alive);
    file->place_ = std::move(place_);
    return file;
  }

 private:
  uint64_t offset_of(const PickleTensor& tensor, const std::string& name) const {
    const PickleStorage& storage = contents_.pickle.storages[tensor.storage];
    const auto found = contents_.storages.find(storage.key);
    if (found == contents_.storages.end())
      fail("pth", "{}: lacks the bytes of '{}' (storage {})", place_, printable(name),
           printable(storage.key, 40));
    const auto width = static_cast<int64_t>(size_of(tensor.dtype));
    const auto available = static_cast<int64_t>(found->second.size()) / width;
    int64_t first = 0, last = 0;
    bool overflow = __builtin_add_overflow(storage.begin, tensor.offset, &first);
    last = first;
    for (int axis = 0; axis < tensor.shape.rank() && !overflow; ++axis) {
      const int64_t steps = std::max<int64_t>(tensor.shape[axis] - 1, 0);
      overflow =
          __builtin_add_overflow(last, steps * tensor.strides[static_cast<size_t>(axis)], &last);
    }
    if (tensor.shape.numel() == 0) return 0;
    if (overflow || last >= available)
      fail("pth", "{}: '{}' reaches to element {} of a storage that holds {}: truncated?", place_,
           name, last, available);
    return static_cast<uint64_t>(found->second.data() - bytes_.data() + first * width);
  }

  Bytes bytes_;
  PthContents contents_;
  std::string place_;
};

std::shared_ptr<PthFile> PthFile::open(const std::filesystem::path& path,
                                       const PthOptions& options) {
  // To see what is where the file is read as a whole once; the weights are read when they are asked
  // for, so that they are never in memory twice.
  auto input = std::make_shared<const InputFile>(path);
  const auto size = static_cast<size_t>(input->size());
  const auto contents = std::make_unique_for_overwrite<std::byte[]>(size);
  const std::span<std::byte> bytes(contents.get(), size);
  input->read(0, bytes);
  auto file = parse(bytes, nullptr, path.string(), options);
  file->bytes_ = {};
  file->file_ = std::move(input);
  return file;
}

std::shared_ptr<PthFile> PthFile::parse(Bytes bytes, std::shared_ptr<void> keep_alive,
                                        std::string place, const PthOptions& options) {
  if (bytes.empty()) fail("pth", "{}: is empty", place);
  if (const std::string kind = foreign_kind(bytes); !kind.empty())
    fail("pth", "{}: is {}", place, kind);
  if (!is_zip(bytes) && !is_pickle(bytes))
    fail("pth", "{}: is neither a zip archive nor a pickle, so not a file of torch.save", place);
  PthContents contents = is_zip(bytes) ? read_zip(bytes, place) : read_legacy(bytes, place);
  return PthBuilder(bytes, std::move(contents), std::move(place))
      .build(options, std::move(keep_alive));
}

std::vector<std::string> PthFile::names() const {
  std::vector<std::string> names;
  names.reserve(entries_.size());
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

const TensorInfo* PthFile::find(std::string_view name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second.info;
}

Tensor PthFile::tensor(std::string_view name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) fail("pth", "{}: has no tensor '{}'", place_, printable(name));
  const auto& [info, offset, strides] = found->second;
  const size_t width = size_of(info.dtype);
  const int64_t numel = info.shape.numel();
  if (numel == 0) return Tensor::empty(info.shape, info.dtype);
  bool contiguous = true;
  int64_t expected = 1;
  size_t elements = 1;  // from the first to the last one of the tensor, in the storage
  for (int axis = info.shape.rank() - 1; axis >= 0; --axis) {
    elements += static_cast<size_t>((info.shape[axis] - 1) * strides[static_cast<size_t>(axis)]);
    contiguous &= info.shape[axis] == 1 || strides[static_cast<size_t>(axis)] == expected;
    expected *= info.shape[axis];
  }
  if (file_) file_->check_unchanged();
  if (file_ && contiguous) {
    Tensor read = Tensor::empty(info.shape, info.dtype);
    file_->read(offset, {static_cast<std::byte*>(read.raw()), info.bytes()});
    return read;
  }
  std::vector<std::byte> part(file_ ? elements * width : 0);
  if (file_) file_->read(offset, part);
  const std::byte* data = file_ ? part.data() : bytes_.data() + offset;
  if (contiguous && reinterpret_cast<uintptr_t>(data) % width == 0) {
    // Storage hands out writable pointers; read_only keeps everyone from using them so.
    auto storage = Storage::wrap(const_cast<std::byte*>(data), info.bytes(), keep_alive_, true);
    return Tensor::over(std::move(storage), 0, info.shape, info.dtype);
  }
  Tensor copy = Tensor::empty(info.shape, info.dtype);
  auto* out = static_cast<std::byte*>(copy.raw());
  if (contiguous) {
    std::memcpy(out, data, info.bytes());
    return copy;
  }
  std::array<int64_t, Shape::kMaxRank> index{};
  for (int64_t i = 0; i < numel; ++i, out += width) {
    int64_t element = 0;
    for (int axis = 0; axis < info.shape.rank(); ++axis)
      element += index[static_cast<size_t>(axis)] * strides[static_cast<size_t>(axis)];
    std::memcpy(out, data + element * static_cast<int64_t>(width), width);
    for (int axis = info.shape.rank() - 1; axis >= 0; --axis) {
      if (++index[static_cast<size_t>(axis)] < info.shape[axis]) break;
      index[static_cast<size_t>(axis)] = 0;
    }
  }
  return copy;
}

bool is_pth_file(const std::filesystem::path& path) {
  const InputFile file(path);
  std::array<std::byte, 16> begin{};
  return is_pth(std::span<const std::byte>(begin).first(file.read_some(0, begin)));
}
bool is_pth(std::span<const std::byte> begin) {
  return is_zip(begin) || is_pickle(begin);
}

}  // namespace vitrail
