// Session: a model made ready to answer.
#pragma once

#include <vitrail/classification.h>
#include <vitrail/explanation.h>
#include <vitrail/export.h>
#include <vitrail/model.h>
#include <vitrail/picture.h>
#include <vitrail/result.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <vector>

namespace vit {

// The arithmetic of the projections and of attention.
enum class Precision : std::uint8_t {
  model,  // f32, or what a quantized model was made for
  f32,
  bf16,  // operands rounded to bfloat16, sums in f32
  int8,  // weights and activations in 8 bits, sums in integers
  // The fastest on this machine that the model allows: int8 where it was quantized with its answers
  // measured, else bf16 where that is faster, else f32. The log says which.
  automatic,
};

// What to do with the orientation that a camera noted in the file (EXIF).
enum class Orientation : std::uint8_t {
  model,   // as the library does that the model comes from
  apply,   // turn the picture
  ignore,  // take it as it is stored
};

struct SessionOptions {
  int threads = 0;  // 0: all cores; at most 1024
  int batch = 8;    // pictures that run at once, 1 to 4096
  Precision precision = Precision::model;
  // The probability from which on a class counts, of models for several classes a picture; in
  // (0, 1).
  double threshold = 0.5;
  std::uint64_t memory = 0;  // bytes that a pass may take; 0: half of the machine's memory
  bool slow = false;         // allow pictures of so many tokens that each takes minutes to hours
  Orientation orientation = Orientation::model;
};

// `stop` ends a call with an Error (ErrorCode::cancelled): between pictures, and between the layers
// of a pass. `progress` is told how many pictures are done, on the calling thread.

struct ClassifyOptions {
  // How many of the best classes are named, at least 1. Nothing: five, and of a model for several
  // classes a picture at least those that reach the threshold.
  std::optional<int> top = {};
  std::stop_token stop = {};
  ProgressCallback progress = {};
};

struct FeatureOptions {
  enum class Kind : std::uint8_t {
    class_token,  // [D]
    mean,         // of patch tokens, [D]
    patches,      // [grid height, grid width, D]
  };
  // Nothing: the class token where the model has one, else the mean.
  std::optional<Kind> kind = {};
  // The output of this block, from 0; negative ones count from the last. Nothing: the tokens after
  // the final norm.
  std::optional<std::int64_t> layer = {};
  std::stop_token stop = {};
  ProgressCallback progress = {};
};

enum class HeadFusion : std::uint8_t { mean, max, min };

struct ExplainOptions {
  HeadFusion fusion = HeadFusion::mean;  // of the heads of a layer, in the rollout
  double discard_ratio = 0;  // share of a layer's smallest weights that the rollout drops, [0, 1)
  std::stop_token stop = {};
  ProgressCallback progress = {};
};

// With threads and memory of its own. Used by one thread at a time (a second one that comes in
// between is given an Error); answers depend neither on the number of threads nor on the other
// pictures of a batch. It keeps its model alive. One that was moved from answers every call with an
// Error.
//
// Calls with one picture throw its Error. Calls with several give for each, in their order, an
// answer or the Error that stands in its place; they throw only what concerns all pictures: options
// out of range, a model without a head, a stop, memory that is not there.
class VITRAIL_API Session {
 public:
  // Error: options out of range; the model is packed already for another precision (load it again).
  explicit Session(const Model& model, const SessionOptions& options = {});
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  Classification classify(const Picture& picture, const ClassifyOptions& options = {});
  std::vector<Result<Classification>> classify(std::span<const Picture> pictures,
                                               const ClassifyOptions& options = {});

  Features features(const Picture& picture, const FeatureOptions& options = {});
  std::vector<Result<Features>> features(std::span<const Picture> pictures,
                                         const FeatureOptions& options = {});

  Explanation explain(const Picture& picture, const ExplainOptions& options = {});
  std::vector<Result<Explanation>> explain(std::span<const Picture> pictures,
                                           const ExplainOptions& options = {});

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace vit
