#include "api/handles.h"
#include "core/atomic_file.h"
#include "core/error.h"
#include "explain/explanation.h"
#include "explain/overlay.h"
#include "report/explain_page.h"

namespace vit {

// Layers are independent of the session that made them; rows are computed on a thread of their own.
struct Explanation::Impl {
  vitrail::Explanation explanation;
  Classification answer;
  vitrail::ExplainPage page;
};

Explanation Session::explain(const Picture& picture, const ExplainOptions& options) {
  vitrail::Session& session = *impl_->session;
  auto result = std::make_shared<Explanation::Impl>();
  const vitrail::Image photo = read_picture(picture, session.preprocess().decode_options());
  result->explanation =
      vitrail::explain_picture(session, photo,
                               {.fusion = vitrail::head_fusion_from_name(options.fusion),
                                .discard_ratio = options.discard_ratio});
  const vitrail::Model& model = session.model();
  if (!result->explanation.logits.empty()) {
    const vitrail::Classification judged =
        vitrail::judge(model, result->explanation.logits, result->explanation.features,
                       {.threshold = impl_->threshold});
    result->answer = to_public(judged);
    add_answer(result->page, judged, model, impl_->threshold);
  }
  const auto* path = std::get_if<std::filesystem::path>(&picture.source());
  result->page.picture_name = path == nullptr ? "picture" : path->filename().string();
  result->page.model_name = model.name;
  return Explanation(std::move(result));
}

const Classification& Explanation::answer() const {
  return impl_->answer;
}
std::int64_t Explanation::grid_height() const {
  return impl_->explanation.layout.grid_height;
}
std::int64_t Explanation::grid_width() const {
  return impl_->explanation.layout.grid_width;
}
std::int64_t Explanation::first_patch_token() const {
  return impl_->explanation.layout.prefix();
}

std::vector<float> Explanation::rollout() const {
  return vitrail::patch_map(impl_->explanation.layout, impl_->explanation.rollout).values;
}

std::vector<float> Explanation::attention(std::int64_t layer, std::int64_t head,
                                          std::int64_t token) const {
  const vitrail::Explanation& e = impl_->explanation;
  vitrail::check(layer >= 0 && layer < static_cast<std::int64_t>(e.layers.size()), "explain",
                 "layer {} is outside the {} there are", layer, e.layers.size());
  vitrail::Queue queue(1);
  return vitrail::patch_map(e.layout, vitrail::attention_row(
                                          queue, e.layers[static_cast<size_t>(layer)], head, token))
      .values;
}

void Explanation::write_page(const std::filesystem::path& path) const {
  vitrail::Queue queue(1);
  vitrail::write_file_atomically(path,
                                 vitrail::explain_page(queue, impl_->explanation, impl_->page));
}

void Explanation::write_overlay(const std::filesystem::path& path) const {
  const vitrail::Explanation& e = impl_->explanation;
  vitrail::write_png(path, vitrail::draw_overlay(e.photo, e.geometry.box,
                                                 vitrail::patch_map(e.layout, e.rollout)));
}

}  // namespace vit
