#include "train/methods/make_method.h"

#include "core/error.h"
#include "data/multi_crop.h"
#include "train/methods/dino.h"
#include "train/methods/distillation.h"
#include "train/methods/mae.h"
#include "train/methods/supervised.h"

namespace vitrail {
namespace {

std::unique_ptr<Method> make_supervised(const MethodSetup& setup) {
  const MethodConfig& c = setup.config.learning;
  const LossOptions loss = loss_options(setup.config);
  if (c.distillation == "none") return std::make_unique<SupervisedMethod>(setup.model, loss);
  const TeacherOptions options{.model = c.teacher,
                               .precision = precision_from_name(c.teacher_precision),
                               .size = c.teacher_size};
  auto teacher = std::make_unique<Teacher>(options, setup.classes, setup.config.preprocess());
  check_teacher(*teacher, distillation_from_name(c.distillation));
  return std::make_unique<DistillationMethod>(
      setup.model, loss,
      DistillationOptions{.kind = distillation_from_name(c.distillation),
                          .alpha = c.distillation_alpha,
                          .temperature = c.distillation_temperature},
      std::move(teacher));
}

std::unique_ptr<Method> make_mae(const MethodSetup& setup) {
  const MethodConfig& c = setup.config.learning;
  return std::make_unique<MaeMethod>(MaeConfig{.encoder = as_vit(setup.config.model),
                                               .decoder_embed_dim = c.decoder_embed_dim,
                                               .decoder_depth = c.decoder_depth,
                                               .decoder_num_heads = c.decoder_num_heads,
                                               .mask_ratio = c.mask_ratio,
                                               .norm_pix_loss = c.norm_pix_loss});
}

std::unique_ptr<Method> make_dino(const MethodSetup& setup) {
  const MethodConfig& c = setup.config.learning;
  return std::make_unique<DinoMethod>(
      as_vit(setup.config.model),
      DinoOptions{.hidden = c.dino_hidden,
                  .bottleneck = c.dino_bottleneck,
                  .outputs = c.dino_outputs,
                  .student_temperature = c.student_temperature,
                  .teacher_temperature = c.teacher_temperature,
                  .warmup_teacher_temperature = c.warmup_teacher_temperature,
                  .warmup_teacher_epochs = c.warmup_teacher_epochs,
                  .teacher_momentum = c.teacher_momentum,
                  .center_momentum = c.center_momentum,
                  .freeze_last_layer = c.freeze_last_layer});
}

}  // namespace

std::unique_ptr<Method> make_method(const MethodSetup& setup) {
  const std::string& name = setup.config.method;
  if (name == "supervised") return make_supervised(setup);
  if (name == "mae") return make_mae(setup);
  if (name == "dino") return make_dino(setup);
  fail("training config", "method is '{}'; there are supervised, mae and dino", name);
}

std::vector<ViewOptions> views_of(const TrainConfig& config) {
  const MethodConfig& c = config.learning;
  if (config.method != "dino") return {};
  const auto side = static_cast<int>(c.local_size);
  return multi_crop({.global_size = config.preprocess().crop_to,
                     .local_size = {side, side},
                     .local_crops = c.local_crops,
                     .global_min_scale = c.global_min_scale,
                     .local_min_scale = c.local_min_scale,
                     .local_max_scale = c.local_max_scale,
                     .jitter = c.crop_jitter,
                     .grey_probability = c.crop_grey_probability,
                     .blur_min_radius = config.augment.blur_min_radius,
                     .blur_max_radius = config.augment.blur_max_radius});
}

}  // namespace vitrail
