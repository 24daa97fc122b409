#include "train/methods/distillation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "data/scenes.h"
#include "formats/json.h"
#include "models/model_folder.h"
#include "models/vit.h"
#include "support/compare.h"
#include "support/random.h"
#include "train/methods/make_method.h"
#include "train/run_helpers.h"

namespace vitrail {
namespace {

using testing::bytes_of;
using testing::fresh_folder;
using testing::max_relative_error;
using testing::quiet_options;
using testing::random_tensor;
using testing::tiny_config;

Preprocess rule(int side, double mean, double std) {
  Preprocess p;
  p.resize_to = p.crop_to = {side, side};
  p.mean = {mean, mean + 0.02, mean - 0.03};
  p.std = {std, std + 0.01, std + 0.05};
  return p;
}

Tensor applied(const Image& image, const Preprocess& preprocess) {
  Tensor out = Tensor::empty({1, 3, preprocess.crop_to.height, preprocess.crop_to.width});
  apply(image, preprocess, out.f32());
  return out;
}

TEST(TeacherView, EqualsTheTeachersOwnPreprocessing) {
  Queue queue(2);
  const Image picture = render_scene_image({.size = 32}, 5);
  const Preprocess student = rule(32, 0.5, 0.25), teacher = rule(32, 0.4, 0.5);
  const Tensor same =
      view_as_teacher(queue, applied(picture, student), {{32, 32}, 3, student, teacher});
  EXPECT_LT(max_relative_error(same.values(), applied(picture, teacher).values()), 1e-5);

  // Larger and smaller: Pillow's filter, which works on bytes and so rounds twice.
  for (const int side : {48, 64, 20}) {
    Preprocess resizing = teacher;
    resizing.resize_to = resizing.crop_to = {side, side};
    const Tensor seen =
        view_as_teacher(queue, applied(picture, student), {{side, side}, 3, student, resizing});
    const Tensor expected = applied(picture, resizing);
    for (int64_t i = 0; i < seen.numel(); ++i)
      ASSERT_NEAR(seen.f32()[i], expected.f32()[i], 2.0 / 255 / 0.5) << side << " " << i;
  }
}

TEST(TeacherView, AGreyPictureStandsForThreeChannels) {
  Queue queue(1);
  Preprocess grey = rule(8, 0.3, 0.4);
  grey.channels = 1;
  const Preprocess teacher = rule(8, 0.5, 0.5);
  const Tensor images = random_tensor({2, 1, 8, 8}, 1, -0.7, 1.7);
  const Tensor seen = view_as_teacher(queue, images, {{8, 8}, 3, grey, teacher});
  ASSERT_EQ(seen.shape(), Shape({2, 3, 8, 8}));
  for (int64_t c = 0; c < 3; ++c) {
    const double colour = images.f32()[64 + 9] * grey.std[0] + grey.mean[0];
    EXPECT_NEAR(seen.f32()[(3 + c) * 64 + 9],
                (std::clamp(colour, 0.0, 1.0) - teacher.mean[c]) / teacher.std[c], 1e-5);
  }
}

VitConfig tiny_model(int64_t side, int64_t classes) {
  VitConfig config;
  config.image_height = config.image_width = side;
  config.patches.patch_height = config.patches.patch_width = 8;
  config.embed_dim = 16;
  config.depth = 1;
  config.block.attention.num_heads = 2;
  config.num_classes = classes;
  return config;
}

// A folder with a random teacher of these classes for pictures of 24 pixels.
std::filesystem::path write_teacher(const std::vector<std::string>& classes) {
  const auto folder = fresh_folder("teacher");
  std::filesystem::create_directories(folder);
  VisionTransformer network(tiny_model(24, static_cast<int64_t>(classes.size())));
  network.parameters().initialise(5);
  // Answers that differ: heads begin near zero.
  network.parameters()
      .at("head.weight")
      .set_value(random_tensor({network.config().num_classes, 16}, 6, -2, 2));
  write_model_folder(
      folder, {.network = network, .preprocess = to_json(rule(24, 0.4, 0.3)), .labels = classes});
  return folder;
}

const std::vector<std::string> kClasses{"circle", "square", "star"};

std::unique_ptr<Teacher> open_teacher(const std::vector<std::string>& theirs,
                                      Precision precision = Precision::f32) {
  return std::make_unique<Teacher>(
      TeacherOptions{.model = write_teacher(theirs).string(), .precision = precision, .threads = 1},
      kClasses, rule(16, 0.5, 0.5));
}

TEST(Teacher, ClassesAreMatchedByName) {
  Queue queue(1);
  const Tensor images = random_tensor({4, 3, 16, 16}, 1);
  const Tensor plain = open_teacher({"circle", "square", "star"})->logits(queue, images);
  const Tensor turned = open_teacher({"star", "heart", "circle", "square"})->logits(queue, images);
  ASSERT_EQ(plain.shape(), Shape({4, 3}));
  ASSERT_EQ(turned.shape(), Shape({4, 3}));
  // The random head's rows are the same numbers in the order of the classes.
  const auto theirs = open_teacher({"circle", "square", "star"});
  EXPECT_TRUE(std::ranges::equal(theirs->logits(queue, images).values(), plain.values()));
  const auto model = load_model(write_teacher({"star", "heart", "circle", "square"}).string());
  const Tensor all =
      model->network
          ->forward(Context(queue), view_as_teacher(queue, images, open_teacher(kClasses)->view()))
          .logits.value();
  for (int64_t row = 0; row < 4; ++row) {
    EXPECT_EQ(turned.f32()[row * 3], all.f32()[row * 4 + 2]);
    EXPECT_EQ(turned.f32()[row * 3 + 1], all.f32()[row * 4 + 3]);
    EXPECT_EQ(turned.f32()[row * 3 + 2], all.f32()[row * 4]);
  }
}

TEST(Teacher, IsFollowedWhereItsAnswersMeanWhatIsCompared) {
  const auto teacher = [](Answer answer, bool several) {
    const auto folder = write_teacher(kClasses);
    Json config = read_json(folder / "config.json");
    config["model"]["answer"] = name_of(answer);
    config["model"]["multi_label"] = several;
    write_json(folder / "config.json", config);
    return Teacher({.model = folder.string(), .threads = 1}, kClasses, rule(16, 0.5, 0.5));
  };
  using enum DistillationKind;
  EXPECT_NO_THROW(check_teacher(teacher(Answer::softmax, false), soft));
  EXPECT_NO_THROW(check_teacher(teacher(Answer::sigmoid, false), hard));
  EXPECT_THROW(check_teacher(teacher(Answer::sigmoid, false), soft), Error);
  EXPECT_THROW(check_teacher(teacher(Answer::sigmoid, true), hard), Error);
  EXPECT_THROW(check_teacher(teacher(Answer::raw, false), hard), Error);
}

TEST(Teacher, LowerPrecisionAnswersNearly) {
  Queue queue(1);
  const Tensor images = random_tensor({4, 3, 16, 16}, 1);
  const Tensor exact = open_teacher(kClasses)->logits(queue, images);
  for (const Precision precision : {Precision::bf16, Precision::int8}) {
    const Tensor near = open_teacher(kClasses, precision)->logits(queue, images);
    EXPECT_LT(max_relative_error(near.values(), exact.values()), 0.05);
    EXPECT_FALSE(std::ranges::equal(near.values(), exact.values()));
  }
}

TEST(Teacher, RefusesWhatDoesNotFit) {
  EXPECT_THROW(open_teacher({"circle", "square", "heart"}), Error);
  const std::string folder = write_teacher(kClasses).string();
  EXPECT_THROW(Teacher({.model = folder, .size = 25}, kClasses, rule(16, 0.5, 0.5)), Error);
  EXPECT_THROW(Teacher({.model = "/nowhere"}, kClasses, rule(16, 0.5, 0.5)), Error);
}

std::vector<double> softened(const float* logits, double temperature) {
  std::vector<double> p(kClasses.size());
  double sum = 0;
  for (size_t c = 0; c < p.size(); ++c) sum += p[c] = std::exp(logits[c] / temperature);
  for (double& value : p) value /= sum;
  return p;
}

struct Expected {
  double labels = 0, teacher = 0;
};

// The two halves of the loss, in double.
Expected expected_loss(const Tensor& from_labels, const Tensor& from_teacher, const Tensor& teacher,
                       const Batch& batch, const DistillationOptions& options) {
  Expected mean;
  const int64_t rows = teacher.size(0), classes = teacher.size(1);
  for (int64_t row = 0; row < rows; ++row) {
    const auto p = softened(from_labels.f32() + row * classes, 1);
    for (int64_t c = 0; c < classes; ++c) {
      const double target = batch.targets.defined()
                                ? batch.targets.f32()[row * classes + c]
                                : double(batch.labels.data<int64_t>()[row] == c);
      mean.labels -= target * std::log(p[c]) / rows;
    }
    const float* theirs = teacher.f32() + row * classes;
    const bool soft = options.kind == DistillationKind::soft;
    const double t = soft ? options.temperature : 1;
    const auto q = softened(theirs, t), s = softened(from_teacher.f32() + row * classes, t);
    for (int64_t c = 0; c < classes; ++c) {
      if (soft)
        mean.teacher += t * t * q[c] * std::log(q[c] / s[c]) / rows;
      else if (std::max_element(theirs, theirs + classes) - theirs == c)
        mean.teacher -= std::log(s[c]) / rows;
    }
  }
  return mean;
}

TEST(Distillation, LossIsThePapers) {
  Queue queue(1);
  Batch batch;
  batch.images = random_tensor({4, 3, 16, 16}, 1);
  batch.labels = Tensor::empty({4}, DType::i64);
  std::ranges::copy(std::array<int64_t, 4>{0, 1, 2, 1}, batch.labels.data<int64_t>());
  Batch mixed = batch;
  mixed.targets = Tensor::from(
      std::array{0.7f, 0.3f, 0.f, 0.f, 1.f, 0.f, 0.f, 0.4f, 0.6f, 0.2f, 0.8f, 0.f}, {4, 3});
  for (const bool token : {false, true}) {
    VitConfig config = tiny_model(16, 3);
    if (token) {
      config.tokens.distillation_token = true;
      config.position.prefix = 2;
      config.head.pooling = Pooling::distilled;
    }
    VisionTransformer student(config);
    student.parameters().initialise(9);
    for (const char* head : {"head.weight", "head_dist.weight"})
      if (Parameter* weight = student.parameters().find(head))
        weight->set_value(random_tensor({3, 16}, 10 + head[5], -2, 2));
    const NetworkOutput answer = student.forward(Context(queue), batch.images);
    ASSERT_EQ(answer.distillation_logits.defined(), token);
    const Variable& from_labels = token ? answer.class_logits : answer.logits;
    const Variable& from_teacher = token ? answer.distillation_logits : answer.logits;
    for (const auto kind : {DistillationKind::soft, DistillationKind::hard})
      for (const Batch* pictures : {&batch, &mixed}) {
        const DistillationOptions options{.kind = kind, .alpha = 0.3, .temperature = 2};
        auto teacher = open_teacher({"star", "circle", "square"});
        const Tensor theirs = teacher->logits(queue, batch.images);
        const Expected want =
            expected_loss(from_labels.value(), from_teacher.value(), theirs, *pictures, options);
        DistillationMethod method(student, {}, options, std::move(teacher));
        Tape tape;
        Context context(queue);
        context.tape = &tape;
        const Variable loss = method.forward(context, *pictures, {}).loss;
        EXPECT_NEAR(loss.value().f32()[0], 0.7 * want.labels + 0.3 * want.teacher, 1e-5);
        EXPECT_GT(want.teacher, 0.05);  // the teacher's part is there
        student.parameters().clear_gradients();
        tape.backward(queue, loss);
        for (const auto& parameter : student.parameters().all())
          EXPECT_TRUE(parameter->gradient().defined()) << parameter->path();
      }
  }
}

TEST(Distillation, ARunFollowsItsTeacherAndResumesBitForBit) {
  TrainConfig config = tiny_config();
  config.learning.teacher = "scenes";
  config.learning.distillation = "soft";
  config.learning.distillation_alpha = 0.9;
  config.epochs = 2;
  const auto whole = fresh_folder("whole"), parts = fresh_folder("parts");
  train(config, quiet_options(whole));
  RunOptions options = quiet_options(parts);
  int steps = 0;
  options.stop = [&] { return ++steps == 7; };
  EXPECT_TRUE(train(config, options).interrupted);
  options.stop = nullptr;
  options.resume = true;
  EXPECT_FALSE(train(config, options).interrupted);
  EXPECT_EQ(bytes_of(whole / "model.safetensors"), bytes_of(parts / "model.safetensors"));

  // The teacher matters.
  config.learning.distillation = "none";
  config.learning.teacher.clear();
  const auto alone = fresh_folder("alone");
  train(config, quiet_options(alone));
  EXPECT_NE(bytes_of(whole / "model.safetensors"), bytes_of(alone / "model.safetensors"));
}

TEST(Distillation, RefusesSettingsThatContradictEachOther) {
  const auto refused = [](const std::string& name, const std::string& value) {
    TrainConfig config = tiny_config();
    set_field(config, name, value);
    EXPECT_THROW(config.validate(), Error) << name << "=" << value;
  };
  refused("teacher", "scenes");     // without distillation
  refused("distillation", "soft");  // without a teacher
  refused("distillation", "warm");
  refused("distillation_alpha", "1.5");
  refused("distillation_temperature", "0");
  refused("teacher_precision", "f16");
  refused("method", "moco");
}

}  // namespace
}  // namespace vitrail
