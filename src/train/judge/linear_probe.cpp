#include "train/judge/linear_probe.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "core/error.h"
#include "core/rng.h"
#include "models/heads/classifier_head.h"
#include "ops/binary_cross_entropy.h"
#include "ops/linear.h"
#include "ops/softmax_cross_entropy.h"
#include "train/methods/loss.h"
#include "train/optimizer/lbfgs.h"

namespace vitrail {
namespace {

// Mean and deviation of each column; a constant one keeps deviation 1.
struct Scaling {
  std::vector<double> mean, deviation;

  explicit Scaling(const Tensor& x) {
    const int64_t rows = x.size(0), width = x.size(1);
    mean.assign(static_cast<size_t>(width), 0);
    deviation.assign(static_cast<size_t>(width), 0);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < width; ++j)
        mean[static_cast<size_t>(j)] += x.f32()[i * width + j] / static_cast<double>(rows);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < width; ++j) {
        const double d = x.f32()[i * width + j] - mean[static_cast<size_t>(j)];
        deviation[static_cast<size_t>(j)] += d * d / static_cast<double>(rows);
      }
    for (double& d : deviation) d = d > 1e-12 ? std::sqrt(d) : 1;
  }
  Tensor apply(const Tensor& x) const {
    Tensor out = Tensor::empty(x.shape());
    const int64_t width = x.size(1);
    for (int64_t i = 0; i < x.numel(); ++i) {
      const auto j = static_cast<size_t>(i % width);
      out.f32()[i] = static_cast<float>((x.f32()[i] - mean[j]) / deviation[j]);
    }
    return out;
  }
};

// Mean cross-entropy; of several classes a picture the sum of what each class's own probe has, so
// that a penalty means the same however many there are.
Variable probe_loss(const Context& context, const Variable& logits, const Tensor& labels) {
  if (labels.rank() == 1) return softmax_cross_entropy(context, logits, labels);
  return binary_cross_entropy(context, logits, targets_of(labels), {.sum_classes = true});
}

// The penalised loss as a function of weight and bias, laid out one after the other.
class Objective {
 public:
  Objective(Queue& queue, Tensor x, Tensor labels, int64_t classes)
      : queue_(queue),
        x_(std::move(x)),
        labels_(std::move(labels)),
        weight_("probe.weight", {classes, x_.size(1)}),
        bias_("probe.bias", {classes}) {
    weight_.set_value(Tensor::zeros(weight_.shape()));
    bias_.set_value(Tensor::zeros(bias_.shape()));
  }
  size_t size() const {
    return static_cast<size_t>(weight_.shape().numel() + bias_.shape().numel());
  }
  double penalty = 0;
  std::function<bool()> stop;

  double operator()(std::span<const double> at, std::span<double> gradient) {
    if (stop && stop())
      fail(ErrorCode::cancelled, "stop", "the work was asked to stop, and has, within a fit");
    place(at);
    Tape tape;
    Context context(queue_);
    context.tape = &tape;
    for (Parameter* parameter : {&weight_, &bias_}) parameter->slot()->clear();
    const Variable loss =
        probe_loss(context, linear(context, Variable(x_), weight_, &bias_), labels_);
    double value = loss.value().f32()[0];
    tape.backward(queue_, loss);
    const auto weights = static_cast<size_t>(weight_.shape().numel());
    for (size_t i = 0; i < at.size(); ++i) {
      const bool is_weight = i < weights;
      gradient[i] = is_weight ? weight_.gradient().f32()[i] + penalty * at[i]
                              : bias_.gradient().f32()[i - weights];
      if (is_weight) value += penalty / 2 * at[i] * at[i];
    }
    return value;
  }

 private:
  void place(std::span<const double> at) {
    std::ranges::transform(at.first(weight_.value().values().size()),
                           weight_.value().values().begin(),
                           [](double v) { return static_cast<float>(v); });
    std::ranges::transform(at.subspan(weight_.value().values().size()),
                           bias_.value().values().begin(),
                           [](double v) { return static_cast<float>(v); });
    weight_.changed();
    bias_.changed();
  }

  Queue& queue_;
  Tensor x_, labels_;
  Parameter weight_, bias_;
};

Tensor logits_of(Queue& queue, const LinearProbe& probe, const Tensor& x) {
  Parameter weight("probe.weight", probe.weight.shape()), bias("probe.bias", probe.bias.shape());
  weight.set_value(probe.weight);
  bias.set_value(probe.bias);
  const Context context(queue);
  return linear(context, Variable(x), weight, &bias).value();
}

// The answer for scaled features as one for the features themselves.
LinearProbe unscaled(const std::vector<double>& at, const Scaling& scaling, int64_t classes) {
  const auto width = static_cast<int64_t>(scaling.mean.size());
  LinearProbe probe{.weight = Tensor::empty({classes, width}), .bias = Tensor::empty({classes})};
  for (int64_t c = 0; c < classes; ++c) {
    double bias = at[static_cast<size_t>(classes * width + c)];
    for (int64_t j = 0; j < width; ++j) {
      const auto column = static_cast<size_t>(j);
      const double w = at[static_cast<size_t>(c * width + j)] / scaling.deviation[column];
      probe.weight.f32()[c * width + j] = static_cast<float>(w);
      bias -= w * scaling.mean[column];
    }
    probe.bias.f32()[c] = static_cast<float>(bias);
  }
  return probe;
}

}  // namespace

LinearProbe fit_probe(Queue& queue, const Features& train, const Features& validation,
                      int64_t classes, const ProbeOptions& options) {
  check(train.values.size(1) == validation.values.size(1), "probe",
        "training features have {} values, validation features {}", train.values.size(1),
        validation.values.size(1));
  const Scaling scaling(train.values);
  Objective objective(queue, scaling.apply(train.values), train.labels, classes);
  objective.stop = options.stop;
  std::vector<double> at(objective.size(), 0);
  LinearProbe best;
  const Context context(queue);
  for (const double penalty : options.penalties) {
    objective.penalty = penalty;
    minimise(std::ref(objective), at,
             {.max_iterations = options.max_iterations, .tolerance = options.tolerance});
    LinearProbe probe = unscaled(at, scaling, classes);
    const Tensor logits = logits_of(queue, probe, validation.values);
    probe.penalty = penalty;
    probe.correct = count_correct(logits, validation.labels);
    probe.loss = probe_loss(context, logits, validation.labels).value().f32()[0];
    if (validation.labels.rank() == 2) probe.map = evaluate_labels(logits, validation.labels).map;
    const double score = probe.map.value_or(static_cast<double>(probe.correct));
    const double record = best.map.value_or(static_cast<double>(best.correct));
    const bool better =
        !best.weight.defined() || score > record || (score == record && probe.loss < best.loss);
    if (better) best = std::move(probe);
  }
  return best;
}

Evaluation judge_by_probe(Queue& queue, const Features& train, const Features& judged,
                          const ProbeOptions& options) {
  check(train.pictures() > 1 && judged.pictures() > 0, "features",
        "{} pictures cannot say what {} are", train.pictures(), judged.pictures());
  constexpr int64_t kOneOf = 5;
  std::vector<int64_t> learning{0}, choosing{1};
  Rng rng(hash_path("linear probe"), 0);
  for (int64_t i = 2; i < train.pictures(); ++i)
    (rng.below(kOneOf) == 0 ? choosing : learning).push_back(i);
  int64_t classes = 0;
  for (const Features* each : {&train, &judged}) {
    const std::span labels(each->labels.data<int64_t>(), static_cast<size_t>(each->pictures()));
    classes = std::max(classes, std::ranges::max(labels) + 1);
  }
  const LinearProbe first =
      fit_probe(queue, rows_of(train, learning), rows_of(train, choosing), classes, options);
  ProbeOptions chosen = options;
  chosen.penalties = {first.penalty};
  const LinearProbe probe = fit_probe(queue, train, judged, classes, chosen);
  return {.loss = probe.loss,
          .accuracy = static_cast<double>(probe.correct) / static_cast<double>(judged.pictures()),
          .pictures = judged.pictures()};
}

Evaluation judge_probe(Queue& queue, const LinearProbe& probe, const Features& features) {
  return evaluate_labels(logits_of(queue, probe, features.values), features.labels);
}

int64_t count_correct(Queue& queue, const LinearProbe& probe, const Features& features) {
  return count_correct(logits_of(queue, probe, features.values), features.labels);
}

void set_head(Network& model, const LinearProbe& probe) {
  const Linear* first = model.head().linear();
  const Linear* second = model.head().distillation_linear();
  const int64_t classes = probe.weight.size(0), width = probe.weight.size(1);
  const int64_t first_width = model.head().pooled_dim();
  check(first != nullptr && width == feature_width(model), "probe",
        "a probe of {} features does not fit this model's head", width);
  // Two heads answer with the mean of both, so each is twice its part.
  const float factor = second == nullptr ? 1.0f : 2.0f;
  const auto part = [&](int64_t begin, int64_t columns) {
    Tensor weight = Tensor::empty({classes, columns});
    for (int64_t c = 0; c < classes; ++c)
      for (int64_t j = 0; j < columns; ++j)
        weight.f32()[c * columns + j] = factor * probe.weight.f32()[c * width + begin + j];
    return weight;
  };
  const auto set = [&](const Linear& linear, const Tensor& weight) {
    check(linear.bias() != nullptr, "probe", "this model's head has no bias, which a probe has");
    linear.weight().set_value(weight);
    linear.bias()->set_value(probe.bias.clone());
  };
  set(*first, part(0, first_width));
  if (second != nullptr) set(*second, part(first_width, width - first_width));
}

}  // namespace vitrail
