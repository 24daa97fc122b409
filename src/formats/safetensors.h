// safetensors: eight bytes of header length (little-endian), a JSON header, then the tensors'
// bytes. Source: github.com/huggingface/safetensors, whose rules of validity are kept: offsets
// start at zero, follow each other without gap or overlap and end with the file.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/tensor_source.h"

namespace vitrail {

class InputFile;

inline constexpr uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;  // as upstream
inline constexpr size_t kMaxSafetensorsTensors = 100'000;
inline constexpr size_t kMaxSafetensorsMetadata = 10'000;
inline constexpr size_t kMaxTensorNameBytes = 1024;

// A file opened for reading; immutable, so any number of threads may ask for tensors.
class SafetensorsFile : public TensorSource {
 public:
  // Reads the header; a tensor is read when it is asked for, into memory of its own: nothing that
  // happens to the file afterwards can touch it. Error: not a regular file, unreadable, or not a
  // valid safetensors file; nothing of the declared sizes is allocated before it has been checked
  // against the file.
  static std::shared_ptr<SafetensorsFile> open(const std::filesystem::path& path);
  // The same over bytes in memory, which keep_alive owns; `place` names them in messages.
  static std::shared_ptr<SafetensorsFile> parse(std::span<const std::byte> bytes,
                                                std::shared_ptr<void> keep_alive,
                                                std::string place);

  std::vector<std::string> names() const override;
  const TensorInfo* find(std::string_view name) const override;
  // Of a file: a copy. Error: the file was changed or shortened since it was opened.
  // Of bytes in memory: read-only and sharing them; copied where they are not aligned for the
  // dtype.
  Tensor tensor(std::string_view name) const override;
  const std::map<std::string, std::string>& metadata() const override { return metadata_; }
  const std::string& place() const override { return place_; }

 private:
  struct Entry {
    TensorInfo info;
    size_t offset = 0;  // from the start of the bytes
  };
  SafetensorsFile() = default;
  // `text`: the header; the tensors' bytes begin at `data_start` of `file_bytes`.
  static std::shared_ptr<SafetensorsFile> with_header(std::string_view text, uint64_t data_start,
                                                      uint64_t file_bytes, std::string place);

  std::shared_ptr<const InputFile> file_;  // nothing: the bytes lie in memory
  std::span<const std::byte> bytes_;
  std::shared_ptr<void> keep_alive_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::map<std::string, std::string> metadata_;
  std::string place_;
};

// Writes atomically, byte for byte what safetensors.torch.save_file writes for the same tensors and
// at most one metadata entry (upstream leaves the order of more to chance; here they are sorted).
// Error: a name twice, or the file cannot be written.
void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata = {});

// model.safetensors.index.json or pytorch_model.bin.index.json: a map from tensor names to the
// files beside it. Error: a shard outside the folder, a tensor that its shard lacks, a name in two
// shards.
std::shared_ptr<TensorSource> open_sharded(const std::filesystem::path& index);

// A .safetensors file, one of torch.save (.pth, .pth.tar, .pt, .bin: told by its first bytes), an
// .index.json, or a folder that holds model.safetensors or pytorch_model.bin, whole or in shards.
// `state_dict` chooses among the dictionaries of a file of torch.save (formats/pth.h).
std::shared_ptr<TensorSource> open_tensors(const std::filesystem::path& path,
                                           const std::string& state_dict = "");

}  // namespace vitrail
