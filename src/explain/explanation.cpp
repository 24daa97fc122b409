#include "explain/explanation.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "core/stop.h"
#include "models/heads/classifier_head.h"

namespace vitrail {
namespace {

// What lies behind the last whole patch is not seen: the box ends where the patches do.
void cover_whole_patches(Explanation& explanation) {
  const TokenLayout& layout = explanation.stages.front();
  PreprocessResult& geometry = explanation.geometry;
  const auto end_of_patches = [](double begin, double end, int64_t covered, int size) {
    return begin + (end - begin) * std::min(1.0, static_cast<double>(covered) / size);
  };
  SourceBox& box = geometry.box;
  box.x1 = end_of_patches(box.x0, box.x1, layout.grid_width * layout.patch_width, geometry.width);
  box.y1 =
      end_of_patches(box.y0, box.y1, layout.grid_height * layout.patch_height, geometry.height);
}

// "56x56, 28x28 and 14x14"
std::string grids_of(const std::vector<TokenLayout>& stages) {
  std::string list;
  for (size_t i = 0; i < stages.size(); ++i)
    list += fmt::format("{}{}x{}",
                        i == 0                  ? ""
                        : i + 1 < stages.size() ? ", "
                                                : " and ",
                        stages[i].grid_height, stages[i].grid_width);
  return list;
}

// Empty: there is a rollout.
std::string reason_against_rollout(const Explanation& explanation,
                                   const std::vector<AttentionLayer>& layers) {
  for (const AttentionLayer& layer : layers)
    if (layer.stage != layers.front().stage)
      return fmt::format(
          "rollout needs the same tokens in every layer, and the stages of this model have grids "
          "of {}; its maps are shown layer by layer",
          grids_of(explanation.stages));
  for (size_t i = 0; i < layers.size(); ++i) {
    if (explanation.layers[i].mixing.present())
      return fmt::format(
          "rollout needs weights that add up to 1, and {} mixes those of its heads; maps are shown "
          "layer by layer",
          layers[i].path);
    if (layers[i].differential)
      return fmt::format(
          "rollout needs weights that add up to 1, and {} takes the second map of each head away "
          "from the first; maps are shown layer by layer",
          layers[i].path);
    if (layers[i].beside_another)
      return fmt::format(
          "rollout needs layers one after the other, and {} stands beside another; maps are shown "
          "layer by layer",
          layers[i].path);
    if (!layers[i].of_its_tokens)
      return fmt::format(
          "rollout needs the same tokens in every layer, and {} has other keys than queries; maps "
          "are shown layer by layer",
          layers[i].path);
    if (explanation.layers[i].terms.query.window.defined())
      return fmt::format(
          "rollout needs every token to see all others, and {} attends in windows; maps are shown "
          "layer by layer",
          layers[i].path);
  }
  return "";
}

void add_stage_maps(Session& session, Explanation& explanation) {
  for (int64_t stage = 0; stage < std::ssize(explanation.stages); ++stage) {
    const LayerAttention* last = nullptr;
    for (const LayerAttention& layer : explanation.layers)
      if (layer.stage == stage) last = &layer;
    if (last == nullptr) continue;  // a stage of convolutions
    check_stop(session.stop_token());
    explanation.stage_maps.push_back(
        patch_map(explanation, last->keys, mean_row(session.queue(), *last)));
  }
}

}  // namespace

void check_explainable(const Model& model) {
  check(!model.network->backbone().attentions().empty(), ErrorCode::unsupported, "explain",
        "{} has no attention; choose a model with transformer blocks", model.name);
}

Explanation explain_picture(Session& session, const Image& photo, const RolloutOptions& options) {
  const Network& network = *session.model().network;
  check_explainable(session.model());
  const std::vector<AttentionLayer> attentions = network.backbone().attentions();
  check_rollout(options);
  AttentionProbe::Request request{.keep = true};
  for (const AttentionLayer& layer : attentions) request.paths.push_back(layer.path);
  AttentionProbe probe(std::move(request));

  const PreprocessResult size =
      preprocess_geometry(photo.width, photo.height, session.preprocess());
  session.check_size({.picture = {size.height, size.width}, .keeps_attention = true});
  const PreparedBatch batch = session.prepare({&photo, 1});
  const NetworkOutput output = session.run(batch.images, {.probe = &probe});
  Explanation explanation{.layout = output.layout(),
                          .photo = to_rgb(photo),
                          .geometry = batch.geometry.front(),
                          .rollout_options = options};
  for (const Feature& feature : output.features) explanation.stages.push_back(feature.layout);
  if (!explanation.stages.front().of_feature_map) cover_whole_patches(explanation);
  if (output.logits.defined()) {
    const auto logits = output.logits.value().values(), features = output.pooled.value().values();
    explanation.logits.assign(logits.begin(), logits.end());
    explanation.features.assign(features.begin(), features.end());
  }
  const std::vector<double> start = network.head().pooling_weights(output.layout());
  explanation.from_class_token = explanation.layout.class_tokens > 0 && start.front() == 1;
  for (const AttentionLayer& layer : attentions) {
    const AttentionGrids grids = network.backbone().attention_grids(layer, size.height, size.width);
    explanation.layers.push_back(layer_attention(session.queue(), probe.record(layer.path),
                                                 layer.stage, grids.queries, grids.keys));
  }
  explanation.no_rollout = reason_against_rollout(explanation, attentions);
  if (!explanation.no_rollout.empty()) {
    add_stage_maps(session, explanation);
    return explanation;
  }
  RolloutOptions stoppable = options;
  stoppable.stop = session.stop_token();
  explanation.rollout = attention_rollout(session.queue(), probe, 0, start, stoppable);
  return explanation;
}

PatchMap patch_map(const TokenLayout& layout, const std::vector<float>& row) {
  check(static_cast<int64_t>(row.size()) == layout.tokens(), "explain",
        "{} values do not fit {} tokens", row.size(), layout.tokens());
  return {.height = layout.grid_height,
          .width = layout.grid_width,
          .values = {row.begin() + layout.prefix(), row.end()}};
}

PatchMap patch_map(const Explanation& explanation, const TokenLayout& layout,
                   const std::vector<float>& row) {
  PatchMap map = patch_map(layout, row);
  if (layout.of_feature_map || layout.patch_height == 0) return map;
  const TokenLayout& first = explanation.stages.front();
  // The picture as far as whole patches go; later stages may reach beyond it.
  const auto seen = [](int64_t cells, int64_t patch, int64_t picture, int64_t covered) {
    return std::min(static_cast<double>(cells),
                    static_cast<double>(std::min(picture, covered)) / static_cast<double>(patch));
  };
  map.rows_seen = seen(layout.grid_height, layout.patch_height, explanation.geometry.height,
                       first.grid_height * first.patch_height);
  map.columns_seen = seen(layout.grid_width, layout.patch_width, explanation.geometry.width,
                          first.grid_width * first.patch_width);
  return map;
}

}  // namespace vitrail
