// Vitrail for C++ programs: load a Vision Transformer, classify, take features, explain, train.
//
//   vit::Session session{vit::Model("my-model")};
//   for (const vit::Prediction& p : session.classify("photo.jpg").top)
//     std::cout << p.label.value_or("?") << " " << p.probability << "\n";
//
// Everything throws vit::Error, with one line that says where, what and what would be right.
#pragma once

#include <vitrail/error.h>
#include <vitrail/export.h>
#include <vitrail/version.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace vit {

using Error = vitrail::Error;

enum class ChannelOrder : std::uint8_t { rgb, bgr, rgba, bgra, grey };

// A frame in the caller's memory: 8 bits a channel, channels interleaved, rows from the top.
struct Frame {
  const std::uint8_t* pixels = nullptr;
  int width = 0;
  int height = 0;
  std::int64_t row_stride = 0;  // bytes from a row to the next; 0: rows without padding
  ChannelOrder order = ChannelOrder::rgb;
};

// A picture by path, by the bytes of a file of any format that is read, or as a frame. Bytes and
// frames are referred to, not copied: they must live until the call that takes the picture returns.
class Picture {
 public:
  Picture(const char* path) : source_(std::filesystem::path(path)) {}         // NOLINT: implicit
  Picture(const std::string& path) : source_(std::filesystem::path(path)) {}  // NOLINT: implicit
  Picture(std::filesystem::path path) : source_(std::move(path)) {}           // NOLINT: implicit
  Picture(std::span<const std::byte> encoded) : source_(encoded) {}           // NOLINT: implicit
  Picture(const Frame& frame) : source_(frame) {}                             // NOLINT: implicit

  using Source = std::variant<std::filesystem::path, std::span<const std::byte>, Frame>;
  const Source& source() const { return source_; }

 private:
  Source source_;
};

struct ModelOptions {
  // What a checkpoint does not say: {"num_heads", "4"}, {"mean", "0.5,0.5,0.5"}.
  std::vector<std::pair<std::string, std::string>> settings;
  std::filesystem::path labels;  // a file of class names that replaces the checkpoint's own
};

// What the numbers of a model's head mean.
enum class Answer : std::uint8_t {
  softmax,  // one class of several: probabilities that sum to 1
  sigmoid,  // each class is asked about by itself
  raw,      // values of a regression, as they are
};

// A network with its preprocessing and labels. Copies share the weights; sessions of one model may
// run at the same time.
class VITRAIL_API Model {
 public:
  // A folder or .safetensors file of any family that Vitrail knows, the name of a bundled model, or
  // "" for the bundled default. Error: none of these, or a checkpoint that is incomplete.
  explicit Model(const std::string& path_or_name = "", const ModelOptions& options = {});

  const std::string& name() const;
  std::int64_t num_classes() const;
  std::optional<std::string> label(std::int64_t index) const;  // nothing: unknown
  Answer answer() const;
  bool multi_label() const;  // a picture may show several classes, or none; only of sigmoid
  // An answer that is less certain (Classification::certainty) is not meant.
  // Nothing: the model was not calibrated (vitrail calibrate), and every answer counts.
  std::optional<double> rejection_threshold() const;
  std::int64_t depth() const;      // layers of attention
  std::int64_t num_heads() const;  // heads of each
  std::int64_t embed_dim() const;

  struct Impl;
  const std::shared_ptr<Impl>& impl() const { return impl_; }

 private:
  std::shared_ptr<Impl> impl_;
};

struct Prediction {
  std::int64_t index = 0;
  std::optional<std::string> label;  // nothing: the checkpoint does not say
  // By the model's answer: softmax over all classes, or the sigmoid of this class alone. Of a
  // regression NaN: the value is the logit.
  double probability = 0;
  float logit = 0;
};

struct Classification {
  std::vector<Prediction> top;  // the best classes, best first
  // Of a model for several classes a picture (Model::multi_label): how many classes reach the
  // session's threshold. They are the first of `top`, as many as it holds.
  std::int64_t above = 0;
  // Of a calibrated model (vitrail calibrate): the picture shows none of its classes, for it is
  // less certain than Model::rejection_threshold() of the best one.
  bool none = false;
  std::optional<double> certainty;  // nothing: the model was not calibrated
};

struct FeatureOptions {
  enum class Kind : std::uint8_t {
    class_token,  // [D]
    mean,         // of patch tokens, [D]
    patches,      // [grid height, grid width, D]
  };
  // Nothing: the class token where the model has one, else the mean.
  std::optional<Kind> kind;
  // The output of this block, from 0; negative ones count from the last. Nothing: the tokens after
  // the final norm.
  std::optional<std::int64_t> layer;
};

struct Features {
  std::vector<float> values;
  std::vector<std::int64_t> shape;
};

struct ExplainOptions {
  std::string fusion = "mean";  // of heads in the rollout: mean, max or min
  double discard_ratio = 0;  // share of a layer's smallest weights that the rollout drops, [0, 1)
};

// Where a model gathered from. Grids are [grid_height, grid_width], row by row.
class VITRAIL_API Explanation {
 public:
  const Classification& answer() const;  // the five best; nothing of a model without a head
  std::int64_t grid_height() const;
  std::int64_t grid_width() const;
  // Attention rollout from the answer to the patches (Abnar and Zuidema 2020).
  std::vector<float> rollout() const;
  // The exact softmax row of one head: what `token` attends to, patches only. Tokens count from the
  // sequence's start, class token first where there is one. Error: out of range.
  std::vector<float> attention(std::int64_t layer, std::int64_t head, std::int64_t token) const;
  std::int64_t first_patch_token() const;

  void write_page(const std::filesystem::path& path) const;  // self-contained HTML, at most 10 MB
  void write_overlay(const std::filesystem::path& path) const;  // PNG

  struct Impl;
  explicit Explanation(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<const Impl> impl_;
};

struct SessionOptions {
  int threads = 0;  // 0: all cores
  int batch = 8;    // pictures that run at once
  // The probability from which on a class counts, of models for several classes a picture; in
  // (0, 1).
  double threshold = 0.5;
};

// A model made ready to answer, with threads and memory of its own. Used by one thread at a time;
// answers depend neither on the number of threads nor on the other pictures of a batch.
class VITRAIL_API Session {
 public:
  explicit Session(const Model& model, const SessionOptions& options = {});
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  // With the `top` best classes. Error: a picture that cannot be read, a model without a head.
  Classification classify(const Picture& picture, int top = 5);
  std::vector<Classification> classify(std::span<const Picture> pictures, int top = 5);
  Features features(const Picture& picture, const FeatureOptions& options = {});
  Explanation explain(const Picture& picture, const ExplainOptions& options = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct TrainOptions {
  std::string data;  // "folder:DIR", "fashion-mnist:DIR", "cifar10:DIR", "scenes:size=64"
  std::filesystem::path output;  // the run's folder; it can be loaded as a model afterwards
  std::string architecture;      // "": the recipe's own for this kind of data
  // Fields of the training or of the model: {"epochs", "20"}, {"learning_rate", "5e-4"}.
  std::vector<std::pair<std::string, std::string>> settings;
  int threads = 0;
  int workers = 1;      // threads that decode and augment
  bool resume = false;  // go on from the run's last checkpoint
};

struct TrainProgress {
  std::int64_t step = 0, steps = 0;
  std::int64_t epoch = 0, epochs = 0;
  double loss = 0;
  double pictures_per_second = 0;
};

struct TrainResult {
  double accuracy = 0;  // on the pictures held out
  std::int64_t evaluated = 0;
};

// Trains from the recipe for the data; the progress callback may be empty.
// Error: data, settings or output that cannot be used.
VITRAIL_API TrainResult train(const TrainOptions& options,
                              const std::function<void(const TrainProgress&)>& progress = {});

}  // namespace vit
