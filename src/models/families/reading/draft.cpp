#include "models/families/reading/draft.h"

#include <cmath>

#include "core/error.h"
#include "formats/json_text.h"
#include "models/field_ranges.h"

namespace vitrail {
namespace {

std::optional<int64_t> square_root(int64_t value) {
  const auto root = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(value))));
  if (value <= 0 || root * root != value) return std::nullopt;
  return root;
}

void settle_added_positions(ConfigDraft& draft, const std::vector<int64_t>& likely_prefixes,
                            const std::string& place) {
  VitConfig& c = draft.config;
  if (c.position.kind != Position::learned) return;
  const std::vector<int64_t> prefixes =
      draft.position_prefix ? std::vector<int64_t>{*draft.position_prefix} : likely_prefixes;
  if (!draft.is_open("image_size")) {
    check_field_range("image_height", c.image_height);
    check_field_range("image_width", c.image_width);
    const int64_t grid = c.grid_height(c.image_height) * c.grid_width(c.image_width);
    for (const int64_t prefix : prefixes)
      if (draft.position_rows - prefix == grid) {
        c.position.prefix = prefix;
        return;
      }
  }
  // Made for another picture: a square one, as every family's own loader assumes.
  std::vector<std::pair<int64_t, int64_t>> squares;
  for (const int64_t prefix : prefixes)
    if (const auto side = square_root(draft.position_rows - prefix))
      squares.emplace_back(prefix, *side);
  if (squares.size() == 1 || (!squares.empty() && !draft.is_open("image_size"))) {
    const auto [prefix, side] = squares.front();
    c.position.prefix = prefix;
    if (draft.is_open("image_size")) {
      int64_t pixels = side;
      if (c.patch_embedding == PatchEmbedding::resnet)
        for (const int64_t stride : c.resnet.strides()) pixels *= stride;
      draft.settle_image(pixels * c.patches.patch_height, pixels * c.patches.patch_width,
                         "shapes (position grid)");
    } else {
      c.position.grid_height = c.position.grid_width = side;
      draft.record("position_grid_height", "shapes");
      draft.record("position_grid_width", "shapes");
    }
    return;
  }
  if (!draft.is_open("image_size"))
    fail("shapes", "{}: {} positions fit neither a picture of {}x{} nor a square grid", place,
         draft.position_rows, c.image_height, c.image_width);
}

// A table's offsets are (2h - 1)(2w - 1) of a grid h x w.
int64_t offsets_of(int64_t height, int64_t width) {
  return (2 * height - 1) * (2 * width - 1);
}

void settle_relative_grid(ConfigDraft& draft, const std::string& place) {
  VitConfig& c = draft.config;
  if (!c.relative.has_table() || draft.relative_rows == 0) return;
  constexpr int64_t kOfPrefix = 3;
  const int64_t offsets =
      draft.relative_rows - (c.relative.table.prefix_has_entries ? kOfPrefix : 0);
  if (c.position.grid_height > 0) {
    if (offsets_of(c.position.grid_height, c.position.grid_width) != offsets)
      fail("shapes", "{}: {} relative positions are not those of a grid of {}x{}", place, offsets,
           c.position.grid_height, c.position.grid_width);
    return;
  }
  if (!draft.is_open("image_size") &&
      offsets_of(c.grid_height(c.image_height), c.grid_width(c.image_width)) == offsets)
    return;
  const auto span = square_root(offsets);
  if (!span || *span % 2 == 0)
    fail("shapes", "{}: {} relative positions fit neither the picture nor a square grid", place,
         offsets);
  const int64_t side = (*span + 1) / 2;
  if (draft.is_open("image_size")) {
    draft.settle_image(side * c.patches.patch_height, side * c.patches.patch_width,
                       "shapes (relative positions)");
    return;
  }
  c.position.grid_height = c.position.grid_width = side;
  draft.record("position_grid_height", "shapes");
  draft.record("position_grid_width", "shapes");
}

}  // namespace

void ReadingDraft::record(const std::string& field, const std::string& source) {
  const nlohmann::json all = fields();
  const auto found = all.find(field);
  std::string value = found == all.end() ? "" : json_text(*found);
  if (value.size() >= 2 && value.front() == '"') value = value.substr(1, value.size() - 2);
  sources.push_back({field, std::move(value), source});
}

void ConfigDraft::settle_image(int64_t height, int64_t width, const std::string& source) {
  if (open.erase("image_size") == 0) return;
  config.image_height = height;
  config.image_width = width;
  record("image_height", source);
  record("image_width", source);
}

void ReadingDraft::add_preprocess(PreprocessKind kind, nlohmann::json block,
                                  const std::string& source) {
  if (preprocess_kind != PreprocessKind::none) return;
  preprocess_kind = kind;
  preprocess = std::move(block);
  sources.push_back({"preprocess", "", source});
}

void settle_positions(ConfigDraft& draft, const std::vector<int64_t>& likely_prefixes,
                      const std::string& place) {
  settle_added_positions(draft, likely_prefixes, place);
  settle_relative_grid(draft, place);
}

}  // namespace vitrail
