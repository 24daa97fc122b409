// Opening a model, whichever family wrote it: what it is, and its weights under canonical names.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "formats/tensor_source.h"
#include "models/families/checkpoint_info.h"
#include "models/families/config_form.h"
#include "models/families/names.h"
#include "models/families/reading/model_file.h"

namespace vitrail {

struct CheckpointOptions {
  // --set key=value. state_dict=NAME chooses among the dictionaries of a file of torch.save,
  // adapter=FOLDER applies a LoRA adapter (models/peft/).
  Settings settings;
  // Whether a model whose preprocessing nobody knows is refused (it is, wherever pictures are fed).
  bool require_preprocess = true;
  bool read_labels = true;  // false where other names replace what the files say of classes
};

struct Checkpoint {
  CheckpointInfo info;
  std::shared_ptr<TensorSource> tensors;  // canonical names, finite, in the file's dtype
  std::shared_ptr<TensorSource> file;     // as they stand in the file
  Spelling spelling;
};

// A folder (config.json, model.safetensors or pytorch_model.bin or their index,
// preprocessor_config.json, labels), a .safetensors file, one of torch.save (.pth, .pth.tar, .pt,
// .bin: formats/pth.h) or an index.json; what stands beside a file counts as in a folder.
// Errors: everything that cannot be a model, and everything undetermined, in one line.
Checkpoint open_checkpoint(const std::filesystem::path& path,
                           const CheckpointOptions& options = {});
Checkpoint read_checkpoint(std::shared_ptr<TensorSource> tensors, const CheckpointFiles& beside,
                           const CheckpointOptions& options = {});

// The texts of what stands beside the weights; empty: there is none.
struct CheckpointTexts {
  std::string place;  // stands for the files in messages
  std::string_view config, preprocessor;
  std::span<const std::byte> rejection;
};
// The same of files in memory, .safetensors or of torch.save. What is read of them is copied, so
// they may go when the Checkpoint has been read. Error also: an adapter, which is a folder.
Checkpoint read_checkpoint(std::span<const std::byte> weights, const CheckpointTexts& texts,
                           const CheckpointOptions& options = {});

}  // namespace vitrail
