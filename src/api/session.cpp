#include <algorithm>

#include "api/handles.h"
#include "tasks/embed.h"

namespace vit {
namespace {

vitrail::EmbeddingKind to_internal(FeatureOptions::Kind kind) {
  switch (kind) {
    case FeatureOptions::Kind::class_token:
      return vitrail::EmbeddingKind::class_token;
    case FeatureOptions::Kind::mean:
      return vitrail::EmbeddingKind::mean;
    case FeatureOptions::Kind::patches:
      return vitrail::EmbeddingKind::patches;
  }
  vitrail::fail("features", "{} is no kind of features", static_cast<int>(kind));
}

// Nothing: the model's own.
std::optional<vitrail::PrecisionPlan> plan_of(Precision precision) {
  switch (precision) {
    case Precision::model:
    case Precision::automatic:  // chosen by the session (SessionOptions::fastest)
      return std::nullopt;
    case Precision::f32:
      return vitrail::default_plan(vitrail::Precision::f32);
    case Precision::bf16:
      return vitrail::default_plan(vitrail::Precision::bf16);
    case Precision::int8:
      return vitrail::default_plan(vitrail::Precision::int8);
  }
  vitrail::fail("session", "{} is no precision", static_cast<int>(precision));
}

std::optional<vitrail::ExifPolicy> to_internal(Orientation orientation) {
  switch (orientation) {
    case Orientation::model:
      return std::nullopt;
    case Orientation::apply:
      return vitrail::ExifPolicy::apply;
    case Orientation::ignore:
      return vitrail::ExifPolicy::ignore;
  }
  vitrail::fail("session", "{} says nothing of orientation", static_cast<int>(orientation));
}

// The pictures in batches; answer(batch) gives a result for each picture of a batch.
template <typename T, typename AnswerBatch>
std::vector<Result<T>> for_all(vitrail::Session& session, std::span<const Picture> pictures,
                               const ProgressCallback& progress, AnswerBatch&& answer) {
  std::vector<Result<T>> results;
  results.reserve(pictures.size());
  session.for_each_batch(pictures_of(pictures, session.preprocess()),
                         [&](size_t, const vitrail::PreparedBatch& batch) {
                           for (Result<T>& result : answer(batch))
                             results.push_back(std::move(result));
                           call_back(progress, static_cast<std::int64_t>(results.size()),
                                     static_cast<std::int64_t>(pictures.size()));
                         });
  return results;
}

std::vector<Result<Classification>> classify_all(Session::Impl& impl,
                                                 std::span<const Picture> pictures,
                                                 const ClassifyOptions& options) {
  vitrail::check(!options.top || *options.top >= 1, "classify",
                 "ClassifyOptions::top is {}; it must be at least 1", options.top.value_or(0));
  const Turn turn(impl, options.stop);
  vitrail::Session& session = *impl.session;
  vitrail::check_has_classes(session.model());
  const vitrail::AnswerOptions answer{.top = options.top, .threshold = impl.threshold};
  return for_all<Classification>(
      session, pictures, options.progress, [&](const vitrail::PreparedBatch& batch) {
        std::vector<Result<Classification>> results;
        for (const vitrail::Classification& c : vitrail::classify(session, batch, answer)) {
          if (c.error.empty())
            results.emplace_back(to_public(c));
          else
            results.emplace_back(to_error(c.error, c.code));
        }
        return results;
      });
}

// Row i of a batch, with the shape of one.
Features row_of(const vitrail::Tensor& tensor, int64_t i) {
  const vitrail::Tensor row = tensor.rows(i, i + 1);
  return {.values = {row.values().begin(), row.values().end()},
          .shape = {row.shape().begin() + 1, row.shape().end()}};
}

std::vector<Result<Features>> features_of_all(Session::Impl& impl,
                                              std::span<const Picture> pictures,
                                              const FeatureOptions& options) {
  const Turn turn(impl, options.stop);
  vitrail::Session& session = *impl.session;
  const vitrail::EmbedOptions embed{
      .kind = options.kind ? to_internal(*options.kind)
                           : vitrail::default_embedding(*session.model().network),
      .layer = options.layer};
  vitrail::check_embedding(session.model(), embed);
  return for_all<Features>(
      session, pictures, options.progress, [&](const vitrail::PreparedBatch& batch) {
        vitrail::Tensor tensor;
        if (std::ranges::any_of(batch.errors, [](const std::string& e) { return e.empty(); }))
          tensor = vitrail::embed(session, batch.images, embed);
        std::vector<Result<Features>> results;
        for (size_t i = 0; i < batch.errors.size(); ++i) {
          if (batch.errors[i].empty())
            results.emplace_back(row_of(tensor, static_cast<int64_t>(i)));
          else
            results.emplace_back(to_error(batch.errors[i], batch.codes[i]));
        }
        return results;
      });
}

}  // namespace

Turn::Turn(Session::Impl& session, const std::stop_token& stop) : session_(session) {
  vitrail::check(!session.in_use.exchange(true), "session",
                 "another thread is using this session; give each thread a Session of its own: "
                 "they share the Model");
  session.session->stop_by(stop);
}
Turn::~Turn() {
  session_.session->stop_by({});
  session_.in_use = false;
}

Classification to_public(const vitrail::Classification& answer) {
  Classification out{
      .top = {}, .above = answer.above, .none = answer.none, .certainty = answer.certainty};
  for (const vitrail::Prediction& p : answer.top)
    out.top.push_back(
        {.index = p.index, .label = p.label, .probability = p.probability, .logit = p.logit});
  return out;
}

Session::Session(const Model& model, const SessionOptions& options)
    : impl_(guarded([&] {
        vitrail::check(options.threshold > 0 && options.threshold < 1, "session",
                       "the threshold is {}; it must lie between 0 and 1", options.threshold);
        auto impl = std::make_unique<Impl>();
        impl->threshold = options.threshold;
        impl->session = std::make_unique<vitrail::Session>(
            held(model.impl(), "model").model,
            vitrail::SessionOptions{.threads = options.threads,
                                    .batch = options.batch,
                                    .exif = to_internal(options.orientation),
                                    .precision = plan_of(options.precision),
                                    .fastest = options.precision == Precision::automatic,
                                    .limits = {.memory = options.memory, .slow = options.slow}});
        return impl;
      })) {}

Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Classification Session::classify(const Picture& picture, const ClassifyOptions& options) {
  return only(classify(std::span(&picture, 1), options));
}

std::vector<Result<Classification>> Session::classify(std::span<const Picture> pictures,
                                                      const ClassifyOptions& options) {
  return guarded([&] { return classify_all(held(impl_, "session"), pictures, options); });
}

Features Session::features(const Picture& picture, const FeatureOptions& options) {
  return only(features(std::span(&picture, 1), options));
}

std::vector<Result<Features>> Session::features(std::span<const Picture> pictures,
                                                const FeatureOptions& options) {
  return guarded([&] { return features_of_all(held(impl_, "session"), pictures, options); });
}

}  // namespace vit
