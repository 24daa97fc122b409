// One step: parts, ranks, steps that are skipped, and less memory.
#include "train/run/learner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <thread>

#include "core/memory.h"
#include "models/vit.h"
#include "support/errors.h"
#include "support/random.h"
#include "train/methods/supervised.h"
#include "train/pair_exchange.h"

namespace vitrail {
namespace {

VitConfig tiny_model() {
  VitConfig config;
  config.image_height = config.image_width = 16;
  config.patches.patch_height = config.patches.patch_width = 4;
  config.embed_dim = 24;
  config.depth = 2;
  config.block.attention.num_heads = 3;
  config.num_classes = 5;
  return config;
}

// Blocks on the feature map of a residual network with batch normalisation.
VitConfig batch_normalised() {
  VitConfig config = tiny_model();
  config.patch_embedding = PatchEmbedding::resnet;
  config.resnet = {.stem_channels = 6,
                   .stem_kernel = 3,
                   .stem_stride = 1,
                   .stem_pool = false,
                   .blocks = {1, 1},
                   .channels = {12, 24},
                   .norm = Normalisation::batch};
  return config;
}

Batch random_batch(int64_t pictures, uint64_t seed) {
  Batch batch;
  batch.images = testing::random_tensor({pictures, 3, 16, 16}, seed);
  batch.labels = Tensor::empty({pictures}, DType::i64);
  for (int64_t i = 0; i < pictures; ++i) {
    batch.labels.data<int64_t>()[i] = (i * 7 + static_cast<int64_t>(seed)) % 5;
    batch.indices.push_back(i);
  }
  return batch;
}

Batch rows_of(const Batch& whole, int64_t begin, int64_t end) {
  Batch part;
  part.images = whole.images.rows(begin, end).clone();
  part.labels = whole.labels.rows(begin, end).clone();
  return part;
}

struct Training {
  explicit Training(const LearnerOptions& options = {}, GradientExchange* exchange = nullptr,
                    const VitConfig& config = tiny_model())
      : model(config), method(model, {.label_smoothing = 0.1, .threshold = {}}) {
    model.parameters().initialise(3);
    learner.emplace(method, options, exchange);
  }
  VisionTransformer model;
  SupervisedMethod method;
  std::optional<Learner> learner;
  Queue queue{1};

  bool same_weights(const Training& other) const {
    for (const auto& parameter : model.parameters().all()) {
      const Tensor a = parameter->value();
      const Tensor b = other.model.parameters().at(parameter->path()).value();
      if (std::memcmp(a.raw(), b.raw(), a.bytes()) != 0) return false;
    }
    return true;
  }
};

LearnerOptions with(OptimizerKind kind) {
  return {.optimizer = {.kind = kind}, .schedule = {.learning_rate = 3e-3, .total_steps = 100}};
}

TEST(Learner, PartsLearnWhatTheWholeBatchDoes) {
  Training whole(with(OptimizerKind::adamw)), halves(with(OptimizerKind::adamw));
  for (int64_t step = 0; step < 20; ++step) {
    const Batch batch = random_batch(8, static_cast<uint64_t>(step));
    const std::array parts{rows_of(batch, 0, 4), rows_of(batch, 4, 8)};
    const StepResult a = whole.learner->step(whole.queue, batch, {.step = step});
    const StepResult b =
        halves.learner->step(halves.queue, parts, {.step = step, .part = 0, .parts = 2});
    EXPECT_NEAR(a.loss, b.loss, 1e-4) << step;
    EXPECT_NEAR(a.gradient_norm, b.gradient_norm, 1e-3 * a.gradient_norm) << step;
    EXPECT_EQ(a.correct, b.correct);
    EXPECT_EQ(b.pictures, 8);
  }
}

TEST(Learner, TwoRanksAreTwoPartsToTheBit) {
  for (const auto& [checkpointing, model] :
       {std::pair{false, tiny_model()}, {true, tiny_model()}, {false, batch_normalised()}}) {
    LearnerOptions options = with(OptimizerKind::adamw);
    options.activation_checkpointing = checkpointing;
    VitConfig config = model;
    config.block.dropout = config.drop_path = 0.2;
    Training parts(options, nullptr, config);
    testing::PairExchange pair;
    Training left(options, &pair.first, config), right(options, &pair.second, config);
    const auto batch_of = [](int64_t step, int64_t part) {
      return random_batch(4, static_cast<uint64_t>(2 * step + part));
    };
    std::vector<double> losses, left_losses;
    for (int64_t step = 0; step < 20; ++step) {
      const std::array both{batch_of(step, 0), batch_of(step, 1)};
      losses.push_back(
          parts.learner->step(parts.queue, both, {.step = step, .part = 0, .parts = 2}).loss);
    }
    const auto run = [&](Training& training, int64_t rank, std::vector<double>* kept) {
      for (int64_t step = 0; step < 20; ++step) {
        const StepResult result = training.learner->step(training.queue, batch_of(step, rank),
                                                         {.step = step, .part = rank, .parts = 2});
        if (kept != nullptr) kept->push_back(result.loss);
      }
    };
    std::thread other([&] { run(right, 1, nullptr); });
    run(left, 0, &left_losses);
    other.join();
    EXPECT_EQ(losses, left_losses);
    EXPECT_TRUE(parts.same_weights(left));
    EXPECT_TRUE(parts.same_weights(right));
    // Each gradient is handed over once a step, and both ranks in one order.
    EXPECT_EQ(pair.first.order, pair.second.order);
    const auto trained = std::ranges::count_if(parts.model.parameters().all(),
                                               [](const auto& one) { return one->trainable(); });
    EXPECT_EQ(pair.first.order.size(), 20 * static_cast<size_t>(trained));
    // While backward runs: what is used last in the forward pass comes first.
    EXPECT_EQ(pair.first.order[0].starts_with("head"), !checkpointing);
  }
}

TEST(Learner, SkipsWhatIsNotFinite) {
  for (const auto& [kind, model] : {std::pair{OptimizerKind::adamw, tiny_model()},
                                    {OptimizerKind::sgd, tiny_model()},
                                    {OptimizerKind::muon, tiny_model()},
                                    {OptimizerKind::muon, batch_normalised()}}) {
    Training disturbed(with(kind), nullptr, model), calm(with(kind), nullptr, model);
    const auto step = [&](Training& training, const Batch& batch, int64_t number) {
      return training.learner->step(training.queue, batch, {.step = number});
    };
    step(disturbed, random_batch(4, 1), 0);
    step(calm, random_batch(4, 1), 0);
    Batch broken = random_batch(4, 2);
    broken.images.f32()[17] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_EQ(step(disturbed, broken, 1).skipped, Skip::not_finite);
    EXPECT_TRUE(disturbed.same_weights(calm));
    EXPECT_EQ(step(disturbed, random_batch(4, 3), 2).skipped, Skip::no);
    step(calm, random_batch(4, 3), 2);
    EXPECT_TRUE(disturbed.same_weights(calm));
  }
}

// A checkpoint with a right checksum may hold any number, and not every double is an integer.
TEST(Spikes, ACountThatNoRunHasIsRefused) {
  for (const double count : {-1.0, 0.5, 1e300, std::nan(""), HUGE_VAL}) {
    Tensor values = Tensor::empty({3}, DType::f64);
    values.data<double>()[0] = count;
    values.data<double>()[1] = values.data<double>()[2] = 1;
    SpikeDetector spikes(10, 3);
    const NamedTensors state{{"recent_losses", values}};
    EXPECT_ERROR(spikes.load(MemoryTensors(state)), "steps in a row");
  }
}

TEST(Spikes, AreFarAboveTheRecentLosses) {
  SpikeDetector spikes(10, 3);
  EXPECT_FALSE(spikes.skips(1000));  // nothing is known yet
  for (int i = 0; i < 150; ++i) EXPECT_FALSE(spikes.skips(2 + 0.1 * (i % 7)));
  EXPECT_FALSE(spikes.skips(5));  // high, but not twice the highest
  EXPECT_TRUE(spikes.skips(50));
  EXPECT_FALSE(spikes.skips(2.3));
  // What a checkpoint holds continues alike.
  EXPECT_TRUE(spikes.skips(60));
  SpikeDetector resumed(10, 3);
  resumed.load(MemoryTensors(spikes.state()));
  for (SpikeDetector* one : {&spikes, &resumed}) {
    EXPECT_TRUE(one->skips(60));
    EXPECT_TRUE(one->skips(60));
    EXPECT_FALSE(one->skips(60)) << "the fourth in a row is the new rule";
    EXPECT_FALSE(one->skips(60));
  }
  SpikeDetector off(0, 3);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(off.skips(i == 99 ? 1e9 : 1));
}

TEST(Spikes, AHardBatchLateInTrainingIsNone) {
  SpikeDetector spikes(20, 3);
  for (int i = 0; i < 100; ++i) spikes.skips(i % 25 == 0 ? 0.4 : 0.001);
  EXPECT_FALSE(spikes.skips(0.7));
  EXPECT_TRUE(spikes.skips(7));
}

TEST(Learner, SkipsASpike) {
  LearnerOptions options = with(OptimizerKind::adamw);
  options.schedule.learning_rate = 1e-4;
  options.spike_threshold = 20;
  Training training(options);
  for (int64_t step = 0; step < 60; ++step)
    ASSERT_EQ(training.learner->step(training.queue, random_batch(4, 1), {.step = step}).skipped,
              Skip::no);
  const auto head = training.model.parameters().find("head.weight");
  const Tensor before = head->value().clone();
  Batch wild = random_batch(4, 1);
  for (float& value : head->value().values()) value *= 1000;
  head->changed();
  EXPECT_EQ(training.learner->step(training.queue, wild, {.step = 60}).skipped, Skip::spike);
  EXPECT_EQ(head->value().f32()[0], before.f32()[0] * 1000);
}

struct Measured {
  std::vector<Tensor> gradients;
  size_t peak = 0;  // of one forward and backward pass, over what was in use before
};

Measured gradients_of(bool checkpointing, const VitConfig& config, PrecisionPlan* precision) {
  VisionTransformer model(config);
  model.parameters().initialise(5);
  SupervisedMethod method(model, {});
  Queue queue(2);
  const Batch batch = random_batch(8, 9);
  Measured measured;
  for (int pass = 0; pass < 2; ++pass) {  // the first packs the weights
    model.parameters().clear_gradients();
    release_cached_memory();
    reset_peak_memory();
    const size_t before = memory_stats().bytes_in_use;
    Tape tape;
    Context context(queue);
    context.tape = &tape;
    context.dropout = true;
    context.random = RandomKey(7, 11);
    context.precision = precision;
    context.activation_checkpointing = checkpointing;
    const MethodLoss loss = method.forward(context, batch, {});
    tape.backward(queue, loss.loss);
    measured.peak = memory_stats().peak_in_use - before;
  }
  for (const auto& parameter : model.parameters().all())
    measured.gradients.push_back(parameter->gradient());
  return measured;
}

TEST(ActivationCheckpointing, GivesTheSameBitsWithLessMemory) {
  VitConfig config = tiny_model();
  config.depth = 12;
  config.embed_dim = 48;
  config.block.dropout = config.block.attention.dropout = config.drop_path = 0.1;
  config.block.layer_scale = true;
  PrecisionPlan bf16 = default_plan(Precision::bf16);
  for (PrecisionPlan* precision : {static_cast<PrecisionPlan*>(nullptr), &bf16}) {
    const Measured plain = gradients_of(false, config, precision);
    const Measured less = gradients_of(true, config, precision);
    ASSERT_EQ(plain.gradients.size(), less.gradients.size());
    size_t weights = 0;
    for (size_t i = 0; i < plain.gradients.size(); ++i) {
      ASSERT_TRUE(plain.gradients[i].defined() && less.gradients[i].defined());
      EXPECT_EQ(std::memcmp(plain.gradients[i].raw(), less.gradients[i].raw(),
                            plain.gradients[i].bytes()),
                0)
          << i;
      weights += plain.gradients[i].bytes();
    }
    EXPECT_LT(static_cast<double>(less.peak - weights),
              0.35 * static_cast<double>(plain.peak - weights))
        << less.peak << " of " << plain.peak << ", gradients " << weights;
  }
}

}  // namespace
}  // namespace vitrail
