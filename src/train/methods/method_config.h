// MethodConfig: the settings of the methods beside the supervised one. They stand flat in
// TrainConfig's JSON.
#pragma once

#include <cstdint>
#include <string>

namespace vitrail {

inline constexpr const char* kTrainingConfig = "training config";  // the place of its errors
// Error naming the field of a training config that is out of range.
void check_range(const char* name, double value, double low, double high);

struct MethodConfig {
  // Distillation (methods/distillation.h), of method supervised.
  std::string teacher;                // a model folder, file or bundled name; empty: none
  std::string distillation = "none";  // soft or hard
  double distillation_alpha = 0.5;    // the teacher's share of the loss
  double distillation_temperature = 3;
  int64_t teacher_size = 0;               // side of the pictures that it sees; 0: its own
  std::string teacher_precision = "f32";  // bf16, int8

  // Of method mae (models/mae.h).
  double mask_ratio = 0.75;
  bool norm_pix_loss = true;
  int64_t decoder_embed_dim = 512, decoder_depth = 8, decoder_num_heads = 16;

  // Of method dino (methods/dino.h). Crops: two global ones of image_size and local_crops of
  // local_size; a crop covers a part of the picture's area between its two scales.
  int64_t local_crops = 8, local_size = 96;
  double global_min_scale = 0.4, local_min_scale = 0.05, local_max_scale = 0.4;
  double crop_jitter = 1, crop_grey_probability = 0.2;  // data/multi_crop.h
  int64_t dino_outputs = 65536, dino_hidden = 2048, dino_bottleneck = 256;
  double student_temperature = 0.1, teacher_temperature = 0.04;
  double warmup_teacher_temperature = 0.04;  // rises linearly to teacher_temperature
  double warmup_teacher_epochs = 0;
  double teacher_momentum = 0.996;  // rises to 1 along half a cosine
  double center_momentum = 0.9;
  double freeze_last_layer = 1;    // epochs
  double final_weight_decay = -1;  // weight_decay goes there along half a cosine; below 0: it stays

  bool operator==(const MethodConfig&) const = default;
  // Error naming the field that is out of range or contradicts another or the method.
  void validate(const std::string& method) const;
};

// Calls visit(name, field) for every field.
template <typename Config, typename Visit>
void visit_method_fields(Config& c, Visit visit) {
  visit("teacher", c.teacher);
  visit("distillation", c.distillation);
  visit("distillation_alpha", c.distillation_alpha);
  visit("distillation_temperature", c.distillation_temperature);
  visit("teacher_size", c.teacher_size);
  visit("teacher_precision", c.teacher_precision);
  visit("mask_ratio", c.mask_ratio);
  visit("norm_pix_loss", c.norm_pix_loss);
  visit("decoder_embed_dim", c.decoder_embed_dim);
  visit("decoder_depth", c.decoder_depth);
  visit("decoder_num_heads", c.decoder_num_heads);
  visit("local_crops", c.local_crops);
  visit("local_size", c.local_size);
  visit("global_min_scale", c.global_min_scale);
  visit("local_min_scale", c.local_min_scale);
  visit("local_max_scale", c.local_max_scale);
  visit("crop_jitter", c.crop_jitter);
  visit("crop_grey_probability", c.crop_grey_probability);
  visit("dino_outputs", c.dino_outputs);
  visit("dino_hidden", c.dino_hidden);
  visit("dino_bottleneck", c.dino_bottleneck);
  visit("student_temperature", c.student_temperature);
  visit("teacher_temperature", c.teacher_temperature);
  visit("warmup_teacher_temperature", c.warmup_teacher_temperature);
  visit("warmup_teacher_epochs", c.warmup_teacher_epochs);
  visit("teacher_momentum", c.teacher_momentum);
  visit("center_momentum", c.center_momentum);
  visit("freeze_last_layer", c.freeze_last_layer);
  visit("final_weight_decay", c.final_weight_decay);
}

}  // namespace vitrail
