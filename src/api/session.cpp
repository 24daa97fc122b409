#include <algorithm>
#include <array>

#include "api/handles.h"
#include "core/error.h"
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
      break;
  }
  return vitrail::EmbeddingKind::patches;
}

vitrail::ChannelOrder to_internal(ChannelOrder order) {
  switch (order) {
    case ChannelOrder::rgb:
      return vitrail::ChannelOrder::rgb;
    case ChannelOrder::bgr:
      return vitrail::ChannelOrder::bgr;
    case ChannelOrder::rgba:
      return vitrail::ChannelOrder::rgba;
    case ChannelOrder::bgra:
      return vitrail::ChannelOrder::bgra;
    case ChannelOrder::grey:
      break;
  }
  return vitrail::ChannelOrder::grey;
}

vitrail::Image read_frame(const Frame& frame, const vitrail::DecodeOptions& options) {
  const vitrail::ImageView view{.pixels = frame.pixels,
                                .width = frame.width,
                                .height = frame.height,
                                .row_stride = frame.row_stride,
                                .order = to_internal(frame.order)};
  return options.color == vitrail::ColorMode::grey ? vitrail::to_grey(view) : vitrail::to_rgb(view);
}

}  // namespace

vitrail::Image read_picture(const Picture& picture, const vitrail::DecodeOptions& options) {
  if (const auto* path = std::get_if<std::filesystem::path>(&picture.source()))
    return vitrail::load_picture(*path, options);
  if (const auto* bytes = std::get_if<std::span<const std::byte>>(&picture.source()))
    return vitrail::decode_picture(*bytes, options);
  return read_frame(std::get<Frame>(picture.source()), options);
}

vitrail::PreparedBatch prepare(vitrail::Session& session, std::span<const Picture> pictures) {
  const vitrail::DecodeOptions options = session.preprocess().decode_options();
  vitrail::PreparedBatch batch = session.prepare_count(
      static_cast<int64_t>(pictures.size()),
      [&](int64_t i) { return read_picture(pictures[static_cast<size_t>(i)], options); });
  for (const std::string& error : batch.errors)
    vitrail::check(error.empty(), "picture", "{}", error);
  return batch;
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
    : impl_(std::make_unique<Impl>()) {
  vitrail::check(options.threshold > 0 && options.threshold < 1, "session",
                 "the threshold is {}; it must lie between 0 and 1", options.threshold);
  impl_->threshold = options.threshold;
  impl_->session = std::make_unique<vitrail::Session>(
      model.impl()->model,
      vitrail::SessionOptions{.threads = options.threads, .batch = options.batch});
}

Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Classification Session::classify(const Picture& picture, int top) {
  return classify(std::span(&picture, 1), top).front();
}

std::vector<Classification> Session::classify(std::span<const Picture> pictures, int top) {
  vitrail::Session& session = *impl_->session;
  const auto batch = static_cast<size_t>(session.batch_size());
  std::vector<Classification> answers;
  for (size_t first = 0; first < pictures.size(); first += batch) {
    const auto part = pictures.subspan(first, std::min(batch, pictures.size() - first));
    for (const vitrail::Classification& c : vitrail::classify(
             session, prepare(session, part), {.top = top, .threshold = impl_->threshold}))
      answers.push_back(to_public(c));
  }
  return answers;
}

Features Session::features(const Picture& picture, const FeatureOptions& options) {
  vitrail::Session& session = *impl_->session;
  const vitrail::PreparedBatch batch = prepare(session, std::span(&picture, 1));
  const auto& config = session.model().network->config();
  const vitrail::Tensor tensor = vitrail::embed(
      session, batch.images,
      {.kind = options.kind ? to_internal(*options.kind) : vitrail::default_embedding(config),
       .layer = options.layer});
  return {.values = {tensor.values().begin(), tensor.values().end()},
          .shape = {tensor.shape().begin() + 1, tensor.shape().end()}};
}

}  // namespace vit
