#include "explain/explanation.h"

#include <algorithm>

#include "core/error.h"
#include "models/heads/classifier_head.h"

namespace vitrail {
namespace {

LayerAttention copy_layer(Queue& queue, const AttentionRecord& record) {
  const kernels::AttentionArgs args = kernels::attention_of_sample(record.args, 0);
  const kernels::AttentionShape& shape = args.shape;
  check(!args.bias.present() && args.tokens.windows == 1, "explain",
        "{} adds a bias to its scores or attends in windows, which this explanation does not carry",
        record.path);
  const Shape heads{shape.heads, shape.queries, shape.head_dim};
  const Tensor q = Tensor::empty(heads), k = Tensor::empty(heads);
  kernels::attention_queries(queue, args, q.f32());
  kernels::attention_keys(queue, args, k.f32());
  return {.path = record.path,
          .heads = shape.heads,
          .head_dim = shape.head_dim,
          .scale = args.scale,
          .q = q,
          .k = k,
          .lse = Tensor::from({record.lse.f32(), static_cast<size_t>(shape.heads * shape.queries)},
                              {shape.heads, shape.queries})};
}

// What lies behind the last whole patch is not seen: the box ends where the patches do.
void cover_whole_patches(Explanation& explanation) {
  const TokenLayout& layout = explanation.layout;
  PreprocessResult& geometry = explanation.geometry;
  const auto end_of_patches = [](double begin, double end, int64_t covered, int size) {
    return begin + (end - begin) * std::min(1.0, static_cast<double>(covered) / size);
  };
  SourceBox& box = geometry.box;
  box.x1 = end_of_patches(box.x0, box.x1, layout.grid_width * layout.patch_width, geometry.width);
  box.y1 =
      end_of_patches(box.y0, box.y1, layout.grid_height * layout.patch_height, geometry.height);
}

}  // namespace

void check_explainable(const Model& model) {
  check(!model.network->backbone().attentions().empty(), ErrorCode::unsupported, "explain",
        "{} has no attention; choose a model with transformer blocks", model.name);
  for (const AttentionLayer& layer : model.network->backbone().attentions())
    check(layer.stage == 0 && layer.of_its_tokens, ErrorCode::unsupported, "explain",
          "{}: the attention of {} is not among the tokens of a single grid, and maps are drawn of "
          "models where all is",
          model.name, layer.path);
}

Explanation explain_picture(Session& session, const Image& photo, const RolloutOptions& options) {
  const Network& network = *session.model().network;
  check_explainable(session.model());
  AttentionProbe::Request request{.keep = true};
  for (const AttentionLayer& layer : network.backbone().attentions())
    request.paths.push_back(layer.path);
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
  if (!explanation.layout.of_feature_map) cover_whole_patches(explanation);
  if (output.logits.defined()) {
    const auto logits = output.logits.value().values(), features = output.pooled.value().values();
    explanation.logits.assign(logits.begin(), logits.end());
    explanation.features.assign(features.begin(), features.end());
  }
  const std::vector<double> start = network.head().pooling_weights(output.layout());
  explanation.from_class_token = explanation.layout.class_tokens > 0 && start.front() == 1;
  RolloutOptions stoppable = options;
  stoppable.stop = session.stop_token();
  explanation.rollout = attention_rollout(session.queue(), probe, 0, start, stoppable);
  for (const AttentionRecord& record : probe.records())
    explanation.layers.push_back(copy_layer(session.queue(), record));
  return explanation;
}

std::vector<float> attention_row(Queue& queue, const LayerAttention& layer, int64_t head,
                                 int64_t token) {
  const int64_t count = layer.q.size(1), dim = layer.head_dim;
  check(head >= 0 && head < layer.heads, "explain", "{} has heads 0 to {}, not {}", layer.path,
        layer.heads - 1, head);
  check(token >= 0 && token < count, "explain", "there are tokens 0 to {}, not {}", count - 1,
        token);
  kernels::AttentionArgs args;
  args.shape = {.batch = 1, .heads = 1, .queries = count, .keys = count, .head_dim = dim};
  args.scale = layer.scale;
  args.q = {.data = layer.q.f32() + head * count * dim, .stride = {0, 0, dim}};
  args.k = {.data = layer.k.f32() + head * count * dim, .stride = {0, 0, dim}};
  std::vector<float> row(static_cast<size_t>(count));
  kernels::attention_rows(
      queue, args,
      {.queries = &token, .count = 1, .lse = layer.lse.f32() + head * count, .rows = row.data()});
  return row;
}

PatchMap patch_map(const TokenLayout& layout, const std::vector<float>& row) {
  check(static_cast<int64_t>(row.size()) == layout.tokens(), "explain",
        "{} values do not fit {} tokens", row.size(), layout.tokens());
  return {.height = layout.grid_height,
          .width = layout.grid_width,
          .values = {row.begin() + layout.prefix(), row.end()}};
}

}  // namespace vitrail
