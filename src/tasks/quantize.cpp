#include "tasks/quantize.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "core/advice.h"
#include "core/error.h"
#include "infer/session.h"
#include "kernels/gemm_int8.h"
#include "models/answer.h"
#include "ops/attention.h"
#include "ops/attention_probe.h"
#include "tasks/match_classes.h"

namespace vitrail {
namespace {

std::string layer_of(const Parameter& weight) {
  return weight.path().substr(0, weight.path().rfind('.'));
}

bool lies_in(const std::string& layer, const std::string& path) {
  return layer == path || layer.starts_with(path + ".");
}

struct Answers {
  int64_t width = 0;
  // What is added to all of a row changes no softmax, nor a direction; it does a sigmoid or value.
  bool shift_is_nothing = true;
  std::vector<float> values;  // [pictures, width]
  int64_t count() const { return width == 0 ? 0 : static_cast<int64_t>(values.size()) / width; }
  const float* row(int64_t i) const { return values.data() + i * width; }
  int64_t best(int64_t i) const { return std::max_element(row(i), row(i) + width) - row(i); }
};

class Measurement {
 public:
  Measurement(const std::shared_ptr<Model>& model, const Dataset& pictures,
              const QuantizeOptions& options)
      : model_(model), pictures_(pictures), options_(options) {
    total_ = options.limit > 0 ? std::min(options.limit, pictures.size()) : pictures.size();
    check(total_ > 0, "quantize", "{} has no pictures", pictures.name());
  }

  int64_t total() const { return total_; }

  // Attention's own products, which have no weights, by the names that a plan gives them.
  std::vector<std::string> attentions() {
    Session session(model_, {.threads = options_.threads, .batch = 1, .pack = false});
    AttentionProbe probe({.queries = {0}});
    session.run(prepared(session, 0, 1), {.probe = &probe});
    std::vector<std::string> paths;
    for (const AttentionRecord& record : probe.records())
      paths.push_back(record.path + kProductsName);
    return paths;
  }

  Answers answers(const PrecisionPlan& plan, int64_t count, const std::string& what) {
    Session session(
        model_,
        {.threads = options_.threads, .batch = options_.batch, .precision = plan, .pack = false});
    const ClassAnswer answer = model_->network->class_answer();
    Answers answers{.shift_is_nothing = answer.classes == 0 || answer.meaning == Answer::softmax};
    for (int64_t first = 0; first < count; first += session.batch_size()) {
      const int64_t part = std::min(session.batch_size(), count - first);
      const NetworkOutput output = session.run(prepared(session, first, part));
      const Tensor values = output.logits.defined() ? output.logits.value() : output.pooled.value();
      answers.width = values.size(1);
      answers.values.insert(answers.values.end(), values.f32(), values.f32() + values.numel());
      if (options_.progress) options_.progress(what, first + part, count);
    }
    for (const float value : answers.values)
      check(std::isfinite(value), "quantize",
            "the model answers with values that are not finite; see {}", said(Deed::doctor));
    return answers;
  }

 private:
  Tensor prepared(Session& session, int64_t first, int64_t count) {
    const PreparedBatch batch =
        session.prepare_count(count, [&](int64_t i) { return pictures_.get(first + i).image; });
    for (int64_t i = 0; i < count; ++i)
      check(batch.errors[static_cast<size_t>(i)].empty(), "quantize", "{}: {}",
            pictures_.id(first + i), batch.errors[static_cast<size_t>(i)]);
    return batch.images;
  }

  std::shared_ptr<Model> model_;
  const Dataset& pictures_;
  const QuantizeOptions& options_;
  int64_t total_ = 0;
};

std::vector<double> centred(const float* row, int64_t width) {
  const double mean = std::accumulate(row, row + width, 0.0) / static_cast<double>(width);
  std::vector<double> out(row, row + width);
  for (double& value : out) value -= mean;
  return out;
}

double relative_error(const Answers& reference, const Answers& other, int64_t count) {
  double difference = 0, size = 0;
  for (int64_t i = 0; i < count; ++i) {
    std::vector<double> x(reference.row(i), reference.row(i) + reference.width);
    if (reference.shift_is_nothing) x = centred(reference.row(i), reference.width);
    for (int64_t j = 0; j < reference.width; ++j) {
      const double delta = double{other.row(i)[j]} - reference.row(i)[j];
      difference += delta * delta;
      size += x[static_cast<size_t>(j)] * x[static_cast<size_t>(j)];
    }
  }
  return size > 0 ? std::sqrt(difference / size) : 0;
}

double cosine(const float* a, const float* b, int64_t width) {
  const std::vector<double> x = centred(a, width), y = centred(b, width);
  const double xy = std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
  const double xx = std::inner_product(x.begin(), x.end(), x.begin(), 0.0);
  const double yy = std::inner_product(y.begin(), y.end(), y.begin(), 0.0);
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 1.0;
}

// The share of yes-or-no questions, one a class, whose answer changed.
double changed_decisions(const float* a, const float* b, int64_t width) {
  int64_t changed = 0;
  for (int64_t i = 0; i < width; ++i) changed += (a[i] >= 0) != (b[i] >= 0) ? 1 : 0;
  return static_cast<double>(changed) / static_cast<double>(width);
}

double relative_difference(const float* a, const float* b, int64_t width) {
  double difference = 0, size = 0;
  for (int64_t i = 0; i < width; ++i) {
    difference += (double{b[i]} - a[i]) * (double{b[i]} - a[i]);
    size += double{a[i]} * a[i];
  }
  return size > 0 ? std::sqrt(difference / size) : 0;
}

double weight_error(Queue& queue, const Parameter& weight) {
  const Tensor& value = weight.value();
  const int64_t outputs = value.size(0), inputs = value.numel() / outputs;
  const Tensor back = Tensor::empty(value.shape());
  kernels::dequantize_weight(queue, kernels::quantize_weight(queue, value.f32(), outputs, inputs),
                             back.f32());
  double difference = 0, size = 0;
  for (int64_t i = 0; i < value.numel(); ++i) {
    const double delta = double{back.f32()[i]} - value.f32()[i];
    difference += delta * delta;
    size += double{value.f32()[i]} * value.f32()[i];
  }
  return size > 0 ? std::sqrt(difference / size) : 0;
}

// The true class of each picture as the model numbers it, where the set's classes are the model's.
std::optional<std::vector<int64_t>> true_classes(const Model& model, const Dataset& pictures,
                                                 const QuantizeOptions& options, int64_t count) {
  const ClassAnswer answer = model.network->class_answer();
  const int64_t classes = answer.classes;
  const bool one_class = answer.meaning != Answer::raw && !asks_each_class(answer);
  if (classes == 0 || !one_class || pictures.multi_label()) return std::nullopt;
  std::vector<int64_t> to_model(pictures.classes().size());
  std::iota(to_model.begin(), to_model.end(), 0);
  if (!options.classes_by_number) {
    try {
      to_model = match_classes(pictures.classes(), model.labels);
    } catch (const Error&) {
      return std::nullopt;  // other pictures: what counts is that the answers stay
    }
  } else if (pictures.num_classes() != classes) {
    return std::nullopt;
  }
  std::vector<int64_t> truth;
  for (int64_t i = 0; i < count; ++i)
    truth.push_back(to_model[static_cast<size_t>(pictures.label(i))]);
  return truth;
}

// Mean of per-picture losses in points, with its normal 95% interval.
void set_drop(const std::vector<double>& losses, QuantizeReport& report) {
  const auto n = static_cast<double>(losses.size());
  const double mean = std::accumulate(losses.begin(), losses.end(), 0.0) / n;
  double squares = 0;
  for (const double loss : losses) squares += (loss - mean) * (loss - mean);
  const double half = n > 1 ? 1.96 * std::sqrt(squares / (n - 1) / n) : 0;
  report.drop = 100 * mean;
  report.drop_low = 100 * (mean - half);
  report.drop_high = 100 * (mean + half);
}

// Whether a picture is answered as before.
bool answered_alike(const ClassAnswer& answer, const float* before, const float* after,
                    int64_t width) {
  constexpr double kSame = 0.01;
  if (answer.classes > 0 && answer.meaning == Answer::raw)
    return relative_difference(before, after, width) <= kSame;
  if (asks_each_class(answer)) return changed_decisions(before, after, width) == 0;
  return std::max_element(before, before + width) - before ==
         std::max_element(after, after + width) - after;
}

// What is lost of one picture's answer, where no truth is known.
double loss_between(const ClassAnswer& answer, const float* before, const float* after,
                    int64_t width) {
  if (answer.classes > 0 && answer.meaning == Answer::raw)
    return relative_difference(before, after, width);
  if (asks_each_class(answer)) return changed_decisions(before, after, width);
  return 1 - cosine(before, after, width);
}

const char* measure_of(const ClassAnswer& answer, bool truth) {
  if (truth) return "top1";
  if (answer.classes > 0 && answer.meaning == Answer::raw) return "values";
  return asks_each_class(answer) ? "decisions" : "cosine";
}

void compare(const ClassAnswer& answer, const Answers& before, const Answers& after,
             const std::optional<std::vector<int64_t>>& truth, QuantizeReport& report) {
  const int64_t count = before.count();
  std::vector<double> losses;
  double kept = 0, right_before = 0, right_after = 0, lost = 0;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t a = before.best(i), b = after.best(i);
    kept += answered_alike(answer, before.row(i), after.row(i), before.width);
    if (truth) {
      const int64_t label = (*truth)[static_cast<size_t>(i)];
      right_before += a == label;
      right_after += b == label;
      losses.push_back(static_cast<double>(a == label) - static_cast<double>(b == label));
    } else {
      losses.push_back(loss_between(answer, before.row(i), after.row(i), before.width));
      lost += losses.back();
    }
  }
  const auto n = static_cast<double>(count);
  report.pictures = count;
  report.measure = measure_of(answer, truth.has_value());
  report.before = truth ? right_before / n : 1.0;
  report.after = truth ? right_after / n : 1 - lost / n;
  report.agreement = kept / n;
  report.answer_error = relative_error(before, after, count);
  set_drop(losses, report);
}

// Half as many again at each turn: few measurements even when many layers must rise.
std::vector<std::string> layers_to_raise(const QuantizeReport& report) {
  std::vector<const LayerError*> low;
  for (const LayerError& layer : report.layers)
    if (layer.precision == Precision::int8) low.push_back(&layer);
  std::sort(low.begin(), low.end(), [](const LayerError* a, const LayerError* b) {
    return a->answer_error > b->answer_error;
  });
  const size_t count = std::min(low.size(), 1 + report.raised.size() / 2);
  std::vector<std::string> paths;
  for (size_t i = 0; i < count; ++i) paths.push_back(low[i]->path);
  return paths;
}

}  // namespace

std::string QuantizeReport::worst_layer() const {
  const LayerError* worst = nullptr;
  for (const LayerError& layer : layers)
    if (layer.precision == Precision::int8 &&
        (worst == nullptr || layer.answer_error > worst->answer_error))
      worst = &layer;
  return worst == nullptr ? "" : worst->path;
}

QuantizeReport quantize(const std::shared_ptr<Model>& model, const Dataset& pictures,
                        const QuantizeOptions& options) {
  check(!model->network->backbone().blocks().empty(), "quantize",
        "{} has no transformer blocks, whose projections are what runs in 8 bits; choose a model "
        "that has some",
        model->name);
  const ClassAnswer answer = model->network->class_answer();
  QuantizeReport report{.plan = options.plan};
  Measurement measurement(model, pictures, options);
  const std::vector<std::string> attentions = measurement.attentions();
  const auto& parameters = model->network->parameters().all();
  for (const auto& [path, precision] : options.plan.layers) {
    const PrecisionPlan defaults = default_plan(Precision::int8);
    const bool known = defaults.layers.contains(path) || std::ranges::count(attentions, path) > 0 ||
                       std::any_of(parameters.begin(), parameters.end(), [&](const auto& p) {
                         return p->read_packed() && lies_in(layer_of(*p), path);
                       });
    check(known, "quantize", "the model has no layer '{}'; {} lists them", path,
          said(Deed::inspect));
  }
  const int64_t sample = std::min(options.layer_pictures, measurement.total());
  const Answers before = measurement.answers({}, measurement.total(), "f32");
  Queue queue(options.threads);
  std::vector<const Parameter*> weights;
  for (const auto& parameter : parameters)
    if (parameter->read_packed() && options.plan.of(parameter->path()) == Precision::int8)
      weights.push_back(parameter.get());
  const auto measure = [&](const std::string& path, double weight_error) {
    const PrecisionPlan alone{.base = Precision::f32, .layers = {{path, Precision::int8}}};
    report.layers.push_back(
        {.path = path,
         .weight_error = weight_error,
         .answer_error = relative_error(before, measurement.answers(alone, sample, path), sample)});
  };
  for (const Parameter* weight : weights) measure(layer_of(*weight), weight_error(queue, *weight));
  for (const std::string& path : attentions)
    if (options.plan.of(path) == Precision::int8) measure(path, 0);
  const auto truth = true_classes(*model, pictures, options, measurement.total());
  compare(answer, before, measurement.answers(report.plan, measurement.total(), "int8"), truth,
          report);
  while (options.raise_layers && !report.within(options.max_drop) &&
         !report.worst_layer().empty()) {
    for (const std::string& path : layers_to_raise(report)) {
      report.plan.layers[path] = Precision::bf16;
      report.raised.push_back(path);
      for (LayerError& layer : report.layers)
        if (layer.path == path) layer.precision = Precision::bf16;
    }
    compare(answer, before, measurement.answers(report.plan, measurement.total(), "int8"), truth,
            report);
  }
  return report;
}

}  // namespace vitrail
