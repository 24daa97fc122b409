#include "report/gallery.h"

#include <span>

#include "core/error.h"
#include "explain/explanation.h"
#include "explain/overlay.h"
#include "models/heads/classifier_head.h"
#include "report/page_parts.h"
#include "report/text_encoding.h"

namespace vitrail {
namespace {

using nlohmann::json;

constexpr int kSide = 224;
constexpr int kSmallSide = 64;
constexpr int kQuality = 85;

// Rows of the last layer, mean over its heads, weighted as the answer weighs their tokens.
std::vector<float> last_layer_row(Queue& queue, const Explanation& explanation,
                                  const std::vector<double>& weights) {
  const LayerAttention& layer = explanation.layers.back();
  std::vector<float> sum(weights.size());
  for (size_t token = 0; token < weights.size(); ++token) {
    if (weights[token] == 0) continue;
    const auto share = static_cast<float>(weights[token] / static_cast<double>(layer.heads));
    for (int64_t head = 0; head < layer.heads; ++head) {
      const std::vector<float> row = attention_row(queue, layer, head, static_cast<int64_t>(token));
      for (size_t i = 0; i < sum.size(); ++i) sum[i] += share * row[i];
    }
  }
  return sum;
}

json map_text(const std::vector<float>& values) {
  if (values.empty()) return nullptr;
  return encode_base85(std::as_bytes(std::span(values)));
}

}  // namespace

GalleryPicture gallery_picture(Session& session, const Image& photo) {
  GalleryPicture result;
  result.picture = apply_geometry(photo, session.preprocess());
  try {
    const Explanation explanation = explain_picture(session, photo);
    const TokenLayout& layout = explanation.layout;
    if (!explanation.no_rollout.empty()) fail("explain", "{}", explanation.no_rollout);
    result.rows = layout.grid_height;
    result.columns = layout.grid_width;
    result.rollout = patch_map(layout, explanation.rollout).values;
    const std::vector<double> weights = session.model().network->head().pooling_weights(layout);
    if (!explanation.layers.empty())
      result.last_layer =
          patch_map(layout, last_layer_row(session.queue(), explanation, weights)).values;
  } catch (const Error& error) {
    // A model whose attention cannot be followed still has its pictures shown.
    result.rollout.clear();
    result.last_layer.clear();
    result.remark = error.what();
  }
  return result;
}

std::string picture_address(const Image& picture) {
  const Image small = shrunk(picture, kSide);
  if (small.width <= kSmallSide && small.height <= kSmallSide) return png_address(small);
  return jpeg_address(small, kQuality);
}

json gallery_data(const std::vector<GalleryPicture>& pictures) {
  json list = json::array();
  for (const GalleryPicture& picture : pictures)
    list.push_back({{"id", picture.id},
                    {"source", picture_address(picture.picture)},
                    {"rows", picture.rows},
                    {"columns", picture.columns},
                    {"rollout", map_text(picture.rollout)},
                    {"last", map_text(picture.last_layer)},
                    {"label", picture.label},
                    {"answer", picture.answer},
                    {"label_probability", picture.label_probability},
                    {"answer_probability", picture.answer_probability}});
  return list;
}

}  // namespace vitrail
