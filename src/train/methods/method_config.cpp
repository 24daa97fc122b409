#include "train/methods/method_config.h"

#include "core/error.h"
#include "core/precision.h"
#include "train/methods/distillation.h"

namespace vitrail {
void check_range(const char* name, double value, double low, double high) {
  check(value >= low && value <= high, kTrainingConfig, "{} is {}; it must lie between {} and {}",
        name, value, low, high);
}

void MethodConfig::validate(const std::string& method) const {
  check(method == "supervised" || method == "mae" || method == "dino", kTrainingConfig,
        "method is '{}'; it must be supervised, mae or dino", method);
  if (distillation != "none") {
    distillation_from_name(distillation);
    check(!teacher.empty(), kTrainingConfig, "distillation is {} and no teacher is named",
          distillation);
    check(method == "supervised", kTrainingConfig,
          "{} has no teacher beside itself; leave distillation out", method);
  } else {
    check(teacher.empty(), kTrainingConfig,
          "the teacher {} is of no use while distillation is none", teacher);
  }
  check_range("distillation_alpha", distillation_alpha, 0, 1);
  check_range("distillation_temperature", distillation_temperature, 1e-3, 1e3);
  check_range("teacher_size", static_cast<double>(teacher_size), 0, 16384);
  precision_from_name(teacher_precision);
  check_range("mask_ratio", mask_ratio, 0, 1);
  check_range("local_crops", static_cast<double>(local_crops), 0, 64);
  check_range("local_size", static_cast<double>(local_size), 1, 16384);
  check_range("global_min_scale", global_min_scale, 1e-3, 1);
  check_range("local_min_scale", local_min_scale, 1e-3, local_max_scale);
  check_range("local_max_scale", local_max_scale, 1e-3, 1);
  check_range("crop_jitter", crop_jitter, 0, 5);
  check_range("crop_grey_probability", crop_grey_probability, 0, 1);
  check_range("dino_outputs", static_cast<double>(dino_outputs), 2, 1 << 22);
  check_range("dino_hidden", static_cast<double>(dino_hidden), 1, 1 << 20);
  check_range("dino_bottleneck", static_cast<double>(dino_bottleneck), 1, 1 << 20);
  check_range("student_temperature", student_temperature, 1e-3, 10);
  check_range("teacher_temperature", teacher_temperature, 1e-3, 10);
  check_range("warmup_teacher_temperature", warmup_teacher_temperature, 1e-3, 10);
  check_range("warmup_teacher_epochs", warmup_teacher_epochs, 0, 1e6);
  check_range("teacher_momentum", teacher_momentum, 0, 1);
  check_range("center_momentum", center_momentum, 0, 1);
  check_range("freeze_last_layer", freeze_last_layer, 0, 1e6);
  check_range("final_weight_decay", final_weight_decay, -1, 1e3);
}

}  // namespace vitrail
