// Files of torch.save: .pth, .pth.tar, .pt, .bin. Both forms, the zip archive of today and the
// sequence of pickles before torch 1.6, are read through a pickle reader that runs nothing
// (formats/pickle.h). So are the weights in an archive of torch.jit.save, whose program is not
// read.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "formats/tensor_source.h"

namespace vitrail {

class InputFile;

inline constexpr size_t kMaxPthTensors = 100'000;
inline constexpr int kMaxStateDictDepth = 8;  // dictionaries above a weight, in a checkpoint

struct PthOptions {
  // Which dictionary of weights is read, by its path in the checkpoint: "model_ema", "teacher". By
  // default the averaged weights where there are any, as timm has it (state_dict_ema, model_ema,
  // ema, teacher), then state_dict, model, and so on.
  std::string state_dict;
  // Whether names lose what wrappers add (formats/wrapper_names.h): not in a shard, whose index has
  // the whole names.
  bool unwrap = true;
};

class PthFile : public TensorSource {
 public:
  // Error: not a regular file, not of torch.save, beyond a limit, a pickle that would run code, no
  // weights in it, or no dictionary of the chosen name.
  static std::shared_ptr<PthFile> open(const std::filesystem::path& path,
                                       const PthOptions& options = {});
  // The same over bytes in memory, which keep_alive owns; `place` names them in messages.
  static std::shared_ptr<PthFile> parse(std::span<const std::byte> bytes,
                                        std::shared_ptr<void> keep_alive, std::string place,
                                        const PthOptions& options = {});

  std::vector<std::string> names() const override;
  const TensorInfo* find(std::string_view name) const override;
  // Of a file: a copy. Error: the file was changed or shortened since it was opened.
  // Of bytes in memory: read-only and sharing them where they have the tensor contiguous and
  // aligned; else a copy.
  Tensor tensor(std::string_view name) const override;
  const std::map<std::string, std::string>& metadata() const override { return metadata_; }
  const std::string& place() const override { return place_; }
  // Which dictionary was read and what others there are, a prefix that was taken off, what could
  // not be read.
  const std::vector<std::string>& notes() const override { return notes_; }
  const std::string& module_class() const override { return module_class_; }
  const std::string& module_fields() const override { return module_fields_; }

 private:
  struct Entry {
    TensorInfo info;
    uint64_t offset = 0;  // of the first element, from the start of the bytes
    std::vector<int64_t> strides;
  };
  friend class PthBuilder;
  PthFile() = default;

  std::shared_ptr<const InputFile> file_;  // nothing: the bytes lie in memory
  std::span<const std::byte> bytes_;
  std::shared_ptr<void> keep_alive_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::map<std::string, std::string> metadata_;
  std::string place_;
  std::vector<std::string> notes_;
  std::string module_class_, module_fields_;
};

// Whether a file begins like one of torch.save, whatever its name. Error: it cannot be read.
bool is_pth(std::span<const std::byte> begin);
bool is_pth_file(const std::filesystem::path& path);

}  // namespace vitrail
