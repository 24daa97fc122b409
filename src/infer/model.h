// Model: a network with everything that an answer needs: preprocessing, labels, where it came from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "image/preprocess/preprocess.h"
#include "infer/labels.h"
#include "models/families/checkpoint_info.h"
#include "models/network.h"

namespace vitrail {

struct Model {
  std::shared_ptr<Network> network;
  Preprocess preprocess;
  ClassLabels labels;   // one for each class of the head
  CheckpointInfo info;  // family, where each field came from, warnings
  std::string name;     // what people call it: the folder's or file's name, or the architecture's
  std::filesystem::path path;          // empty: it came from no file
  bool bundled = false;                // one of the models that come with Vitrail
  std::optional<Rejection> rejection;  // when it answers "none of my classes"; nothing: never
  PrecisionPlan precision;             // what the checkpoint asks for; f32 unless it was quantized
  std::once_flag packing;  // sessions share the packed weights: loading or the first one packs
  std::optional<PrecisionPlan> packed;  // in which precision it did
};

struct PackOptions {
  std::optional<PrecisionPlan> precision;  // nothing: the model's own
  bool fastest = false;                    // instead: what fastest_precision() chooses
  bool single_pass = false;                // models/network.h
};

struct LoadOptions {
  // --set: fields of the configuration (models/vit_config.h) or of the preprocessing.
  std::vector<std::pair<std::string, std::string>> settings;
  std::filesystem::path labels;               // --labels: a file that replaces the checkpoint's own
  std::vector<std::string> label_names = {};  // the same as names, one for each class
  // --size: of the pictures that the network takes; nothing: the model's own. Positions are
  // stretched to it, and pictures prepared for it, by the rules of the model's family.
  std::optional<PictureSize> size = std::nullopt;
  int threads = 0;  // that read and pack; 0: all cores
  // Packs each weight as it is read, so that it is never in memory twice (SessionOptions.pack does
  // so afterwards). The weights can then not be saved.
  std::optional<PackOptions> pack = std::nullopt;
  std::stop_token stop = {};  // asked between two weights; Error (ErrorCode::cancelled)
  // Told how many weights of how many have been read, from the threads that read, one call at a
  // time. What it throws ends the loading.
  std::function<void(int64_t done, int64_t total)> progress = nullptr;
};

// A folder or .safetensors file of any family (a training run's folder is one), the name of a
// bundled model, or "" for the bundled default. Error: no such model, a checkpoint of no known
// family, an incomplete one (with the list of what --set must give), weights that do not fit or are
// not finite.
std::shared_ptr<Model> load_model(const std::string& path_or_name, const LoadOptions& options = {});

// A model whose files lie in memory: what would stand in its folder.
struct ModelBytes {
  std::string name = "memory";           // stands for the files in messages
  std::span<const std::byte> weights;    // a .safetensors file, or one of torch.save
  std::string_view config;               // config.json; empty: there is none
  std::string_view preprocessor;         // preprocessor_config.json; empty: there is none
  std::span<const std::byte> rejection;  // rejection.safetensors of a calibrated model; or empty
};
// The bytes are read before it returns and not referred to afterwards. Error: as of files.
std::shared_ptr<Model> load_model(const ModelBytes& bytes, const LoadOptions& options = {});

// How the checkpoint's pictures are prepared; for pictures of `size` by the rule of the library
// that the description comes from, where it has one. Error: nobody says how, or not at this size.
Preprocess preprocess_of(const CheckpointInfo& info,
                         std::optional<PictureSize> size = std::nullopt);

// An architecture ("vit_base_patch16_224", "resnet20") with random weights. Error: an unknown name.
std::shared_ptr<Model> random_model(const std::string& architecture, uint64_t seed = 0,
                                    const LoadOptions& options = {});

// The folders in which bundled models are looked for, in order: $VITRAIL_MODELS, models/ beside the
// installed program (share/vitrail/models), and models/ of the source tree.
std::vector<std::filesystem::path> bundled_model_folders();
// The names of the bundled models that are there.
std::vector<std::string> bundled_models();

}  // namespace vitrail
