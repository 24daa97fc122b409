// Session: a model made ready to answer, with its own threads and memory.
//
// Sessions of one model may run at the same time, each used by one thread at a time. Answers depend
// neither on the number of threads nor on the other pictures of a batch.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "autograd/timing.h"
#include "core/queue.h"
#include "image/image.h"
#include "image/preprocess/preprocess.h"
#include "infer/model.h"
#include "infer/pass_limits.h"
#include "ops/attention_probe.h"

namespace vitrail {

// Error: no number of threads that a session can be given.
void check_threads(int threads);

struct SessionOptions {
  int threads = 0;                         // 0: all cores
  int batch = 8;                           // pictures that run at once
  std::optional<ExifPolicy> exif;          // overrides the family's
  std::optional<PrecisionPlan> precision;  // overrides the model's
  bool fastest = false;  // instead: what fastest_precision() chooses, which is said in one line
  // Packs the weights at once and gives their source back, so that they are in memory once. They
  // can no longer be saved; no session without this option may be running, and none may want
  // another precision afterwards. Without it, each weight
  // is packed when it is first used and its source is kept.
  bool pack = true;
  PassLimits limits;  // of memory and work, checked before a batch is allocated
};

// What is computed of a batch beside the answer.
struct RunHooks {
  AttentionProbe* probe = nullptr;
  Timings* timings = nullptr;  // what each operation takes is added to it
  // Told each named activation as it is made: "patch_embed", "blocks.3", "norm", "pooled", "head".
  std::function<void(const std::string& path, const Tensor& value)> observer;
};

// Pictures ready for the network. One that could not be read has its error here; its row of
// `images` is zero and its answer means nothing.
struct PreparedBatch {
  Tensor images;  // [B, C, H, W]; undefined when a single picture of unknown size was not read
  std::vector<PreprocessResult> geometry;
  std::vector<std::string> errors;  // "" where the picture was read
  std::vector<ErrorCode> codes;     // of these errors
};

using VisitBatch = std::function<void(size_t first, const PreparedBatch& batch)>;

class Session {
 public:
  // Error: options out of range.
  explicit Session(std::shared_ptr<Model> model, const SessionOptions& options = {});

  const Model& model() const { return *model_; }
  const Preprocess& preprocess() const { return preprocess_; }  // with the EXIF override
  const PrecisionPlan& precision() const { return precision_; }
  const SessionOptions& options() const { return options_; }
  Queue& queue() { return queue_; }
  // Of the network's input. Error: the preprocessing gives each picture a size of its own.
  PictureSize input_size() const;
  // options().batch; 1 when the preprocessing gives each picture a size of its own.
  int64_t batch_size() const;

  // Decodes and preprocesses on the session's threads.
  PreparedBatch prepare_files(std::span<const std::string> paths);
  // Error: what preprocessing refuses.
  PreparedBatch prepare(std::span<const Image> images);
  // picture(i) for i in [0, count), called from the session's threads; it may throw Error.
  PreparedBatch prepare_count(int64_t count, const std::function<Image(int64_t)>& picture);

  // Prepares pictures batch after batch and calls visit(first, prepared) for each, in order, on the
  // calling thread. While it runs, the session's other threads prepare the next batch, one and no
  // more, whenever a computation leaves them waiting.
  void for_each_batch(std::span<const std::string> paths, const VisitBatch& visit);
  void for_each_batch(int64_t count, const std::function<Image(int64_t)>& picture,
                      const VisitBatch& visit);
  // Where pictures come from. Either may throw Error.
  struct Pictures {
    int64_t count = 0;
    std::function<Image(int64_t i)> load;
    std::function<PreprocessResult(int64_t i, float* out)> write;  // loaded and preprocessed
  };
  void for_each_batch(const Pictures& pictures, const VisitBatch& visit);

  // From now on every call ends with an Error (ErrorCode::cancelled) when this token says so:
  // before a picture is read, and between the layers of a pass.
  void stop_by(std::stop_token stop) { stop_ = std::move(stop); }
  const std::stop_token& stop_token() const { return stop_; }

  // Error: a pass of this size is beyond options().limits.
  void check_size(const PassSize& size);

  // images [B, C, H, W] f32, normalised. No gradient, no dropout. Error: sizes that do not fit.
  NetworkOutput run(const Tensor& images, const RunHooks& hooks = {});
  // [number of pictures, classes], in batches. Error: a model without a head.
  Tensor logits(std::span<const Image> images);

 private:
  Pictures files(std::span<const std::string> paths) const;
  Pictures in_memory(std::span<const Image> images) const;
  Pictures counted(int64_t count, const std::function<Image(int64_t)>& picture) const;

  // Memory for the pictures [first, first + count); those of a size of their own are written.
  PreparedBatch begin_batch(const Pictures& pictures, int64_t first, int64_t count);
  void write_picture(const Pictures& pictures, int64_t first, int64_t i,
                     PreparedBatch& batch) const;
  PreparedBatch prepare_all(const Pictures& pictures);

  std::shared_ptr<Model> model_;
  SessionOptions options_;
  Preprocess preprocess_;
  PrecisionPlan precision_;
  PassSize allowed_{.batch = 0};  // the last size that was found to be within the limits
  std::stop_token stop_;
  Queue queue_;
};

}  // namespace vitrail
