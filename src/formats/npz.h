// NumPy's .npz files (numpy.savez): a zip archive of .npy files, as JAX's models come.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "formats/npy.h"
#include "formats/tensor_source.h"

namespace vitrail {

class InputFile;

class NpzFile : public TensorSource {
 public:
  // Tensors are called as their files within, without ".npy". Error: not a regular file, not a zip
  // archive, a compressed entry (numpy.savez_compressed), or one that is not an array.
  static std::shared_ptr<NpzFile> open(const std::filesystem::path& path);
  // The same over bytes in memory, which keep_alive owns; `place` names them in messages.
  static std::shared_ptr<NpzFile> parse(std::span<const std::byte> bytes,
                                        std::shared_ptr<void> keep_alive, std::string place);

  std::vector<std::string> names() const override;
  const TensorInfo* find(std::string_view name) const override;
  // A copy in C order. Error: the file was changed or shortened since it was opened.
  Tensor tensor(std::string_view name) const override;
  const std::map<std::string, std::string>& metadata() const override { return metadata_; }
  const std::string& place() const override { return place_; }

 private:
  struct Entry {
    TensorInfo info;
    bool fortran_order = false;
    uint64_t offset = 0;  // of the first element, from the start of the bytes
  };
  NpzFile() = default;

  std::shared_ptr<const InputFile> file_;  // nothing: the bytes lie in memory
  std::span<const std::byte> bytes_;
  std::shared_ptr<void> keep_alive_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::map<std::string, std::string> metadata_;  // there is none
  std::string place_;
};

inline constexpr size_t kNpzBegin = 512;  // bytes that tell one
// Whether a file begins like one: a zip archive whose first file is a .npy.
bool is_npz(std::span<const std::byte> begin);

}  // namespace vitrail
