// Teacher: a trained model that answers for the pictures a student learns from.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/precision.h"
#include "core/queue.h"
#include "image/preprocess/preprocess.h"
#include "infer/model.h"

namespace vitrail {

struct TeacherOptions {
  std::string model;  // what load_model takes
  Precision precision = Precision::f32;
  int64_t size = 0;  // side of the pictures that it is shown; 0: its own
  int threads = 0;   // that load it; 0: all cores
};

// What is done to the student's batch so that the teacher sees the same pictures.
struct TeacherView {
  PictureSize size;
  int channels = 3;
  Preprocess student, teacher;
};

// images [B, C, h, w] as the student is given them; returns [B, channels, height, width] as the
// teacher wants them: back to colours in [0, 1], resized with the bicubic filter (antialiased, as
// Pillow's), normalised by the teacher's rule. A grey picture stands for three equal channels.
Tensor view_as_teacher(Queue& queue, const Tensor& images, const TeacherView& view);

class Teacher {
 public:
  // `classes`: the student's, in the order of its logits; each is one of the teacher's by name or
  // WordNet identifier (tasks/match_classes.h). `student` is the preprocessing of its pictures.
  // Errors: what load_model refuses, a teacher without a head, a class that it does not know, grey
  // pictures where the student has colours, a size that does not fit its patches.
  Teacher(const TeacherOptions& options, const std::vector<std::string>& classes,
          const Preprocess& student);

  // In inference, [B, classes]: the teacher's logits of the student's classes.
  Tensor logits(Queue& queue, const Tensor& images) const;

  const Model& model() const { return *model_; }
  const TeacherView& view() const { return view_; }

 private:
  std::shared_ptr<Model> model_;
  PrecisionPlan precision_;
  TeacherView view_;
  std::vector<int64_t> classes_;  // the teacher's class for each of the student's
};

}  // namespace vitrail
