// The rendered scenes as a data set.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "data/dataset.h"
#include "data/scenes.h"

namespace vitrail {

// Rendered pictures are kept in memory up to this many bytes, then rendered anew each time.
inline constexpr int64_t kSceneCacheLimit = int64_t{512} << 20;

// What "scenes:key=value,..." may set: count, val and test (pictures of each split), size, seed,
// objects (max_objects), occlusion, cache (0 or 1).
struct SceneSetOptions {
  int64_t count = 20000;
  int64_t val = 2000;
  int64_t test = 2000;
  bool cache = true;
  SceneOptions scene;
};

// `arguments` is what follows "scenes:"; empty for the defaults. Error: an unknown key (the message
// lists the known ones), a value that is no number or outside its range.
SceneSetOptions parse_scene_arguments(const std::string& arguments);

// The scene that picture `number` of train, val or test shows. The splits of one seed share none.
int64_t scene_index(Split split, int64_t number);

// `name` is the spec. Split::all is train, val and test in this order.
std::unique_ptr<Dataset> open_scenes(const std::string& name, const SceneSetOptions& options,
                                     Split split);

}  // namespace vitrail
