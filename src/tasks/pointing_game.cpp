#include "tasks/pointing_game.h"

#include <algorithm>
#include <functional>

#include "core/error.h"
#include "data/scenes_dataset.h"

namespace vitrail {
namespace {

// For each patch, whether an object is seen in its middle.
std::vector<uint8_t> patches_on_objects(const Scene& scene, const TokenLayout& layout) {
  const int side = scene.image.width;
  std::vector<uint8_t> on(static_cast<size_t>(layout.patches()));
  for (int64_t patch = 0; patch < layout.patches(); ++patch) {
    const int64_t row = patch / layout.grid_width, column = patch % layout.grid_width;
    const int64_t y = (2 * row + 1) * side / (2 * layout.grid_height);
    const int64_t x = (2 * column + 1) * side / (2 * layout.grid_width);
    for (const SceneObject& object : scene.objects)
      on[static_cast<size_t>(patch)] |= object.mask[static_cast<size_t>(y * side + x)] != 0;
  }
  return on;
}

int64_t highest(const std::vector<float>& map) {
  return std::ranges::max_element(map) - map.begin();
}

}  // namespace

PointingResult pointing_game(Session& session, const SceneOptions& options, Split split,
                             int64_t count) {
  const Network& network = *session.model().network;
  const std::vector<AttentionLayer> attentions = network.backbone().attentions();
  const PictureInput input = network.pictures();
  check(network.layout(input.height, input.width).class_tokens > 0 && !attentions.empty(),
        "pointing game", "the model has no class token whose attention could point");
  const Preprocess& p = session.preprocess();
  check(p.crop == CropRule::none || p.crop_to.height >= p.resize_to.height, "pointing game",
        "the model's preprocessing crops pictures, so its maps do not cover them");
  check_scene_options(options);
  const std::string& path = attentions.back().path;
  PointingResult result{
      .pictures = count,
      .hits = 0,
      .head_hits = std::vector<int64_t>(static_cast<size_t>(attentions.back().heads)),
      .chance = 0};
  const int64_t each = session.batch_size();
  for (int64_t first = 0; first < count; first += each) {
    const int64_t some = std::min(each, count - first);
    std::vector<Scene> scenes(static_cast<size_t>(some));
    session.queue().pool().parallel_for(some, [&](int64_t i, int) {
      scenes[static_cast<size_t>(i)] = render_scene(options, scene_index(split, first + i));
    });
    const PreparedBatch batch = session.prepare_count(
        some, [&](int64_t i) { return scenes[static_cast<size_t>(i)].image; });
    AttentionProbe::Request request;
    request.paths = {path};
    request.queries = {0};
    AttentionProbe probe(request);
    const TokenLayout layout = session.run(batch.images, {.probe = &probe}).layout();
    const Tensor& rows = probe.record(path).rows;  // [B, H, 1, N]
    const int64_t heads = rows.size(1), tokens = rows.size(3);
    for (int64_t i = 0; i < some; ++i) {
      const auto on = patches_on_objects(scenes[static_cast<size_t>(i)], layout);
      result.chance += static_cast<double>(std::ranges::count(on, 1)) /
                       static_cast<double>(on.size()) / static_cast<double>(count);
      std::vector<float> mean(on.size());
      for (int64_t head = 0; head < heads; ++head) {
        const float* row = rows.f32() + (i * heads + head) * tokens + layout.prefix();
        const std::vector<float> map(row, row + layout.patches());
        std::ranges::transform(mean, map, mean.begin(), std::plus());
        result.head_hits[static_cast<size_t>(head)] += on[static_cast<size_t>(highest(map))];
      }
      result.hits += on[static_cast<size_t>(highest(mean))];
    }
  }
  return result;
}

}  // namespace vitrail
