// The linear probe that a fine-tuning begins with: the pictures' features by the frozen model, and
// the classifier fitted to them, computed by one process or shared among several.
#pragma once

#include <span>

#include "train/finetune/finetune.h"
#include "train/judge/linear_probe.h"

namespace vitrail {

class FinetuneProbe {
 public:
  // `options` outlive the probe; options.run.stop is asked about once a second of work. Every call
  // then ends with an Error (ErrorCode::cancelled), on all processes alike.
  explicit FinetuneProbe(const FinetuneOptions& options) : options_(options) {}

  struct Fit {
    int64_t pictures = 0;  // learned from
    Measured validation;
    double rate = 0;  // pictures a second
  };
  Fit fit(const Network& model, Queue& queue, const RunData& data);
  bool fitted() const { return probe_.weight.defined(); }
  const LinearProbe& found() const { return probe_; }
  int64_t weights() const { return probe_.weight.numel() + probe_.bias.numel(); }

  // Of the classifier that was found.
  Measured judged(const Network& model, Queue& queue, const Dataset& set) const;

 private:
  Features features(const Network& model, Queue& queue, const Dataset& set) const;
  void share(std::span<double> values) const;
  void share(Tensor& values) const;

  const FinetuneOptions& options_;
  LinearProbe probe_;
};

// The multiply-adds of one picture; of pictures that differ in size, at the model's own.
int64_t multiply_adds_of_picture(const Network& model, const Preprocess& preprocess);

// How many pictures are about a second's work on the machine of kNominalRate, 4 to 32: between two
// batches, a run that was asked to stop does so.
int64_t pictures_a_second(int64_t multiply_adds);

}  // namespace vitrail
