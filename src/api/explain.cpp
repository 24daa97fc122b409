#include "api/handles.h"
#include "core/atomic_file.h"
#include "explain/overlay.h"
#include "image/codec/codec.h"

namespace vit {
namespace {

vitrail::HeadFusion to_internal(HeadFusion fusion) {
  switch (fusion) {
    case HeadFusion::mean:
      return vitrail::HeadFusion::mean;
    case HeadFusion::max:
      return vitrail::HeadFusion::max;
    case HeadFusion::min:
      return vitrail::HeadFusion::min;
  }
  vitrail::fail("explain", "{} is no fusion of heads", static_cast<int>(fusion));
}

Explanation explain_one(Session::Impl& impl, const Picture& picture,
                        const vitrail::RolloutOptions& options) {
  vitrail::Session& session = *impl.session;
  auto result = std::make_shared<Explanation::Impl>();
  const vitrail::Image photo = read_picture(picture, session.preprocess().decode_options());
  result->explanation = vitrail::explain_picture(session, photo, options);
  const vitrail::Model& model = session.model();
  if (!result->explanation.logits.empty()) {
    const vitrail::Classification judged =
        vitrail::judge(model, result->explanation.logits, result->explanation.features,
                       {.threshold = impl.threshold});
    result->answer = to_public(judged);
    add_answer(result->page, judged, model, impl.threshold);
  }
  const auto* path = std::get_if<Picture::Path>(&picture.source());
  result->page.picture_name = path == nullptr ? "picture" : (*path)->filename().string();
  result->page.model_name = model.name;
  return Explanation(std::move(result));
}

std::vector<Result<Explanation>> explain_all(Session::Impl& impl, std::span<const Picture> pictures,
                                             const ExplainOptions& options) {
  const Turn turn(impl, options.stop);
  const vitrail::RolloutOptions rollout{.fusion = to_internal(options.fusion),
                                        .discard_ratio = options.discard_ratio};
  vitrail::check_rollout(rollout);
  vitrail::check_explainable(impl.session->model());
  std::vector<Result<Explanation>> results;
  results.reserve(pictures.size());
  for (const Picture& picture : pictures) {
    try {
      results.emplace_back(guarded([&] { return explain_one(impl, picture, rollout); }));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      results.emplace_back(error);
    }
    call_back(options.progress, static_cast<std::int64_t>(results.size()),
              static_cast<std::int64_t>(pictures.size()));
  }
  return results;
}

// Calls what reads an explanation's own explanation, whatever that may throw.
template <typename Impl, typename Read>
decltype(auto) of(const std::shared_ptr<Impl>& impl, Read&& read) {
  return guarded([&]() -> decltype(auto) { return read(held(impl, "explanation")); });
}

const vitrail::LayerAttention& layer_of(const vitrail::Explanation& explanation,
                                        std::int64_t layer) {
  const auto count = static_cast<std::int64_t>(explanation.layers.size());
  vitrail::check(layer >= 0 && layer < count, "explain", "there are layers 0 to {}, not {}",
                 count - 1, layer);
  return explanation.layers[static_cast<size_t>(layer)];
}

LayerGrid grid_of(const vitrail::TokenLayout& layout) {
  return {.prefix = layout.prefix(), .height = layout.grid_height, .width = layout.grid_width};
}

std::string page_of(const Explanation::Impl& impl) {
  vitrail::Queue queue(1);
  return vitrail::explain_page(queue, impl.explanation, impl.page);
}

vitrail::Image overlay_of(const Explanation::Impl& impl) {
  const vitrail::Explanation& e = impl.explanation;
  if (!e.no_rollout.empty()) return vitrail::explanation_overlay(e);
  return vitrail::draw_overlay(e.photo, e.geometry.box, vitrail::patch_map(e.layout, e.rollout));
}

// Error (unsupported): this picture has no rollout.
void check_rollout_of(const vitrail::Explanation& explanation) {
  vitrail::check(explanation.no_rollout.empty(), vitrail::ErrorCode::unsupported, "explain", "{}",
                 explanation.no_rollout);
}

}  // namespace

Explanation Session::explain(const Picture& picture, const ExplainOptions& options) {
  return only(explain(std::span(&picture, 1), options));
}

std::vector<Result<Explanation>> Session::explain(std::span<const Picture> pictures,
                                                  const ExplainOptions& options) {
  return guarded([&] { return explain_all(held(impl_, "session"), pictures, options); });
}

const Classification& Explanation::answer() const {
  return of(impl_, [](const Impl& i) -> const Classification& { return i.answer; });
}
std::int64_t Explanation::layers() const {
  return of(impl_, [](const Impl& i) { return std::ssize(i.explanation.layers); });
}
std::int64_t Explanation::heads() const {
  return of(impl_, [](const Impl& i) { return layer_of(i.explanation, 0).heads; });
}
std::int64_t Explanation::heads(std::int64_t layer) const {
  return of(impl_, [&](const Impl& i) { return layer_of(i.explanation, layer).heads; });
}
LayerGrid Explanation::queries(std::int64_t layer) const {
  return of(impl_, [&](const Impl& i) { return grid_of(layer_of(i.explanation, layer).queries); });
}
LayerGrid Explanation::keys(std::int64_t layer) const {
  return of(impl_, [&](const Impl& i) { return grid_of(layer_of(i.explanation, layer).keys); });
}
std::int64_t Explanation::tokens() const {
  return of(impl_, [](const Impl& i) { return i.explanation.layout.tokens(); });
}
std::int64_t Explanation::first_patch_token() const {
  return of(impl_, [](const Impl& i) { return i.explanation.layout.prefix(); });
}
std::int64_t Explanation::grid_height() const {
  return of(impl_, [](const Impl& i) { return i.explanation.layout.grid_height; });
}
std::int64_t Explanation::grid_width() const {
  return of(impl_, [](const Impl& i) { return i.explanation.layout.grid_width; });
}
Box Explanation::seen() const {
  return of(impl_, [](const Impl& i) {
    const vitrail::SourceBox& box = i.explanation.geometry.box;
    return Box{.left = box.x0, .top = box.y0, .right = box.x1, .bottom = box.y1};
  });
}

std::vector<float> Explanation::rollout() const {
  return of(impl_, [](const Impl& i) {
    check_rollout_of(i.explanation);
    return vitrail::patch_map(i.explanation.layout, i.explanation.rollout).values;
  });
}

std::vector<float> Explanation::attention(std::int64_t layer, std::int64_t head,
                                          std::int64_t token) const {
  return of(impl_, [&](const Impl& i) {
    vitrail::Queue queue(1);
    const vitrail::LayerAttention& of = layer_of(i.explanation, layer);
    return vitrail::patch_map(of.keys, vitrail::attention_row(queue, of, head, token)).values;
  });
}

Array Explanation::attention_maps(std::int64_t token) const {
  return of(impl_, [&](const Impl& i) {
    vitrail::Queue queue(1);
    const vitrail::Explanation& e = i.explanation;
    for (const vitrail::LayerAttention& layer : e.layers)
      vitrail::check(layer.keys == e.layout && layer.heads == e.layers.front().heads,
                     vitrail::ErrorCode::unsupported, "explain",
                     "the layers of this model have grids of their own; attention() gives each");
    Array maps{.values = {},
               .shape = {std::ssize(e.layers), layer_of(e, 0).heads, e.layout.grid_height,
                         e.layout.grid_width}};
    for (const vitrail::LayerAttention& layer : e.layers)
      for (std::int64_t head = 0; head < layer.heads; ++head) {
        const auto map =
            vitrail::patch_map(e.layout, vitrail::attention_row(queue, layer, head, token));
        maps.values.insert(maps.values.end(), map.values.begin(), map.values.end());
      }
    return maps;
  });
}

Array Explanation::attention_matrix(std::int64_t layer, std::int64_t head) const {
  return of(impl_, [&](const Impl& i) {
    vitrail::Queue queue(1);
    const vitrail::LayerAttention& attention = layer_of(i.explanation, layer);
    const std::int64_t tokens = attention.queries.tokens();
    Array matrix{.values = {}, .shape = {tokens, attention.keys.tokens()}};
    for (std::int64_t token = 0; token < tokens; ++token) {
      const std::vector<float> row = vitrail::attention_row(queue, attention, head, token);
      matrix.values.insert(matrix.values.end(), row.begin(), row.end());
    }
    return matrix;
  });
}

std::string Explanation::page() const {
  return of(impl_, page_of);
}
void Explanation::write_page(const std::filesystem::path& path) const {
  of(impl_, [&](const Impl& i) { vitrail::write_file_atomically(path, page_of(i)); });
}
std::vector<std::byte> Explanation::overlay() const {
  return of(impl_, [](const Impl& i) { return vitrail::encode_png(overlay_of(i)); });
}
void Explanation::write_overlay(const std::filesystem::path& path) const {
  of(impl_, [&](const Impl& i) { vitrail::write_png(path, overlay_of(i)); });
}

}  // namespace vit
