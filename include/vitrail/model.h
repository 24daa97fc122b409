// Model: a network with its preprocessing and labels, and what is known about it.
#pragma once

#include <vitrail/error.h>
#include <vitrail/export.h>
#include <vitrail/log.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vit {

// How much of a long call is done, of how much.
using ProgressCallback = std::function<void(std::int64_t done, std::int64_t total)>;

struct PictureSize {
  int height = 0;  // pixels
  int width = 0;
};

struct ModelOptions {
  // What a checkpoint does not say, as text: {"num_heads", "4"}, {"mean", "0.5,0.5,0.5"}.
  std::vector<std::pair<std::string, std::string>> settings = {};
  // Names of the classes that replace the checkpoint's own: a file (text, a name a line; or JSON),
  // or the names themselves, one for each class.
  std::filesystem::path labels = {};
  std::vector<std::string> label_names = {};
  // Of the pictures that the network takes; positions are stretched to it. Nothing: the model's
  // own.
  std::optional<PictureSize> size = {};
  int threads = 0;  // that read the weights; 0: all cores
  std::stop_token stop = {};
  // Weights read, of how many. From threads of the library, one call at a time.
  ProgressCallback progress = {};
};

// A model whose files lie in memory: what would stand in its folder. Nothing of it is referred to
// once the Model is made.
struct ModelBytes {
  std::span<const std::byte> weights = {};    // model.safetensors, or a file of torch.save
  std::string_view config = {};               // config.json; empty: there is none
  std::string_view preprocessor_config = {};  // preprocessor_config.json; empty: there is none
  std::span<const std::byte> rejection = {};  // rejection.safetensors; empty: not calibrated
  std::string name = "memory";                // what the model is called, in messages too
};

// What the numbers of a model's head mean.
enum class Answer : std::uint8_t {
  softmax,  // one class of several: probabilities that sum to 1
  sigmoid,  // each class is asked about by itself
  raw,      // values of a regression, as they are
};

// How a picture becomes the network's input.
struct Preprocessing {
  int channels = 3;               // 3: RGB, 1: grey
  PictureSize size = {};          // of the input; 0x0: each picture has a size of its own
  std::vector<double> mean = {};  // by channel, of values from 0 to 1
  std::vector<double> std = {};   // the deviation that they are divided by
  bool turns_pictures = false;    // by the orientation that the camera noted (EXIF)
  std::string source = {};        // where this came from: "config.json", a setting, ...
  std::string json = {};          // every field, as Vitrail's config.json writes them
};

// Where a field of a model's configuration came from: {"num_heads", "12", "config.json"}.
struct Origin {
  std::string field = {};
  std::string value = {};
  std::string source = {};
};

struct Note {
  LogLevel level = LogLevel::note;
  std::string text = {};
};

// A layer, and what it costs for one picture of the model's own size.
struct Layer {
  std::string path = {};  // "patch_embed", "blocks.0.attn", "head"
  std::vector<std::int64_t> output_shape = {};
  std::int64_t parameters = 0;
  std::int64_t multiply_adds = 0;  // of matrix products and convolutions
};

// Copies share the weights; any number of threads may use them, and sessions of one model may run
// at the same time. One that was moved from answers every call with an Error.
class VITRAIL_API Model {
 public:
  // A folder or file (.safetensors, .pth, .pt, .bin) of any family that Vitrail knows, the folder
  // of a training run, the name of a bundled model, or "" for the bundled default.
  // Error: none of these (not_found), a checkpoint that is incomplete or damaged (bad_input; the
  // message names what ModelOptions::settings must say), of a network that Vitrail does not have
  // (unsupported), a stop (cancelled).
  explicit Model(const std::string& path_or_name = "", const ModelOptions& options = {});
  // The same of files in memory.
  explicit Model(const ModelBytes& bytes, const ModelOptions& options = {});

  const std::string& name() const;
  std::string family() const;  // whose checkpoint it is: "timm", "hf_vit", "dinov2", "vitrail", ...

  // The head.
  std::int64_t num_classes() const;                            // 0: features alone
  std::optional<std::string> label(std::int64_t index) const;  // nothing: unknown
  Answer answer() const;
  bool multi_label() const;  // a picture may show several classes, or none; only of sigmoid
  // An answer that is less certain (Classification::certainty) is not meant.
  // Nothing: the model was not calibrated, and every answer counts.
  std::optional<double> rejection_threshold() const;

  // The network.
  std::int64_t depth() const;      // layers of attention
  std::int64_t num_heads() const;  // heads of each
  std::int64_t embed_dim() const;
  PictureSize patch_size() const;
  PictureSize input_size() const;  // the size that it was made for, or ModelOptions::size
  std::int64_t num_parameters() const;
  std::vector<Layer> layers() const;  // in the order in which they run; costs of input_size()
  std::string config_json() const;    // every field of the configuration

  Preprocessing preprocessing() const;
  std::vector<Origin> origins() const;  // of the fields that the weights alone leave open
  std::vector<Note> notes() const;      // what reading the files had to choose, what to beware of

  struct Impl;
  const std::shared_ptr<Impl>& impl() const noexcept { return impl_; }

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace vit
