// DINO (Caron et al., "Emerging properties in self-supervised vision transformers", ICCV 2021):
// a student learns, from crops of a picture, the answer that a slow average of itself gives to its
// large ones. No labels.
#pragma once

#include <span>
#include <vector>

#include "models/vit.h"
#include "nn/dino_head.h"
#include "train/methods/method.h"

namespace vitrail {

struct DinoOptions {
  int64_t hidden = 2048, bottleneck = 256, outputs = 65536;  // of the head
  int64_t global_crops = 2;  // the first views; the teacher sees these alone
  double student_temperature = 0.1;
  double teacher_temperature = 0.04;
  double warmup_teacher_temperature = 0.04;  // rises linearly to teacher_temperature
  double warmup_teacher_epochs = 0;
  double teacher_momentum = 0.996;  // of weights; rises to 1 along half a cosine
  double center_momentum = 0.9;
  double freeze_last_layer = 1;  // epochs
};

// The configuration that DINO trains: without a head. Error: a model without a class token.
VitConfig dino_backbone(VitConfig config);

class DinoMethod : public Method {
 public:
  // The model is dino_backbone(config); the run exports the teacher's. Error: the config's, options
  // out of range.
  DinoMethod(const VitConfig& config, const DinoOptions& options);

  Network& model() override { return teacher_; }
  ParameterRegistry& parameters() override { return student_.parameters; }
  // The two begin alike: as the student, or as the teacher where it has values already.
  void begin() override;
  // batch.views: the global crops, then the local ones, each [B, C, h, w]. Context.dropout is the
  // student's alone. Error: fewer views than global crops.
  MethodLoss forward(Context& context, const Batch& batch, const StepNumbers& numbers) override;
  std::span<double> step_sums() override { return sums_; }
  void after_update(Queue& queue, const StepNumbers& numbers) override;
  // "teacher.PATH" and "center".
  NamedTensors state() const override;
  void load_state(const TensorSource& tensors) override;

  double teacher_temperature(const StepNumbers& numbers) const;
  double teacher_momentum(const StepNumbers& numbers) const;

 private:
  // A backbone with its projection head; all parameters under the authors' names, the head's below
  // "head".
  struct Projected {
    Projected(VisionTransformer& of, const DinoOptions& options);
    // Views of one size are one batch, as many as follow each other. Returns [V B, outputs].
    Variable forward(const Context& context, std::span<const Tensor> views, bool frozen) const;

    VisionTransformer& backbone;
    ParameterRegistry parameters;
    DinoHead head;
  };

  DinoOptions options_;
  VisionTransformer teacher_, student_backbone_;
  Projected student_, teacher_network_;
  Tensor center_;             // [outputs]
  std::vector<double> sums_;  // of the teacher's outputs in this step, and behind them their number
  int64_t sums_step_ = -1;
};

}  // namespace vitrail
