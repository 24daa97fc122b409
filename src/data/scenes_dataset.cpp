#include "data/scenes_dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "core/rng.h"
#include "data/sources.h"

namespace vitrail {
namespace {

constexpr int64_t kMaxPerSplit = int64_t{1} << 32;
constexpr int64_t kSplitDistance = int64_t{1} << 40;

// Pictures that have been made, by index. A slot is written once, by the thread that claimed it;
// whoever meets a claimed but unfinished slot renders for itself.
class PictureCache {
 public:
  PictureCache(int64_t count, size_t bytes_each)
      : bytes_each_(bytes_each),
        capacity_(std::min(count, kSceneCacheLimit / static_cast<int64_t>(bytes_each))),
        states_(static_cast<size_t>(capacity_)),
        pixels_(std::make_unique_for_overwrite<uint8_t[]>(static_cast<size_t>(capacity_) *
                                                          bytes_each)) {}

  bool load(int64_t index, std::vector<uint8_t>& out) const {
    if (index >= capacity_ || state(index).load(std::memory_order_acquire) != kReady) return false;
    std::memcpy(out.data(), slot(index), bytes_each_);
    return true;
  }
  void store(int64_t index, const std::vector<uint8_t>& pixels) {
    uint8_t expected = kEmpty;
    if (index >= capacity_ || !state(index).compare_exchange_strong(expected, kClaimed)) return;
    std::memcpy(slot(index), pixels.data(), bytes_each_);
    state(index).store(kReady, std::memory_order_release);
  }

 private:
  static constexpr uint8_t kEmpty = 0, kClaimed = 1, kReady = 2;
  std::atomic<uint8_t>& state(int64_t index) { return states_[static_cast<size_t>(index)]; }
  const std::atomic<uint8_t>& state(int64_t index) const {
    return states_[static_cast<size_t>(index)];
  }
  uint8_t* slot(int64_t index) const {
    return pixels_.get() + static_cast<size_t>(index) * bytes_each_;
  }

  size_t bytes_each_;
  int64_t capacity_;
  std::vector<std::atomic<uint8_t>> states_;
  std::unique_ptr<uint8_t[]> pixels_;
};

class SceneDataset : public Dataset {
 public:
  SceneDataset(const std::string& name, const SceneSetOptions& options, Split split)
      : options_(options) {
    name_ = name;
    classes_ = scene_classes();
    width_ = height_ = options.scene.size;
    const std::pair<Split, int64_t> parts[] = {
        {Split::train, options.count}, {Split::val, options.val}, {Split::test, options.test}};
    for (const auto& [part, count] : parts) {
      if (split != part && split != Split::all) continue;
      parts_.push_back({part, count});
      size_ += count;
    }
    check(size_ > 0, "scenes", "the split {} has no pictures", name_of(split));
    if (options.cache) {
      const auto side = static_cast<size_t>(options.scene.size);
      cache_ = std::make_unique<PictureCache>(size_, side * side * 3);
    }
  }

  int64_t size() const override { return size_; }
  int64_t label(int64_t index) const override {
    const auto [part, number] = locate(index);
    return scene_label(options_.scene, scene_index(part, number));
  }
  std::string id(int64_t index) const override {
    const auto [part, number] = locate(index);
    return fmt::format("{}/{}", name_of(part), number);
  }
  Sample get(int64_t index) const override {
    Sample sample{Image(width_, height_, 3), label(index), id(index)};
    if (cache_ && cache_->load(index, sample.image.pixels)) return sample;
    const auto [part, number] = locate(index);
    sample.image = render_scene_image(options_.scene, scene_index(part, number));
    if (cache_) cache_->store(index, sample.image.pixels);
    return sample;
  }
  // What a scene is drawn from, which is quicker than drawing it.
  uint64_t content(int64_t index) const override {
    const auto [part, number] = locate(index);
    const SceneOptions& scene = options_.scene;
    return hash_path(fmt::format("scene {} {} {} {} {}", scene.size, scene.seed, scene.max_objects,
                                 scene.occlusion, scene_index(part, number)));
  }

 private:
  std::pair<Split, int64_t> locate(int64_t index) const {
    size_t part = 0;
    while (index >= parts_[part].second) index -= parts_[part++].second;
    return {parts_[part].first, index};
  }

  SceneSetOptions options_;
  std::vector<std::pair<Split, int64_t>> parts_;
  int64_t size_ = 0;
  std::unique_ptr<PictureCache> cache_;
};

template <typename Number>
Number number_of(const std::string& key, const std::string& text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  check(error == std::errc() && stop == end, "scenes", "{}='{}' is not a number that fits", key,
        text);
  return value;
}

int64_t count_of(const std::string& key, const std::string& text) {
  const auto value = number_of<int64_t>(key, text);
  check(value >= 0 && value <= kMaxPerSplit, "scenes", "{}={} is outside 0 to {}", key, value,
        kMaxPerSplit);
  return value;
}

void set_option(SceneSetOptions& options, const std::string& key, const std::string& value) {
  if (key == "count")
    options.count = count_of(key, value);
  else if (key == "val")
    options.val = count_of(key, value);
  else if (key == "test")
    options.test = count_of(key, value);
  else if (key == "size")
    options.scene.size = number_of<int>(key, value);
  else if (key == "seed")
    options.scene.seed = number_of<uint64_t>(key, value);
  else if (key == "objects")
    options.scene.max_objects = number_of<int>(key, value);
  else if (key == "occlusion")
    options.scene.occlusion = number_of<double>(key, value);
  else if (key == "cache")
    options.cache = number_of<int>(key, value) != 0;
  else
    fail("scenes",
         "unknown key '{}'; known are count, val, test, size, seed, objects, occlusion, "
         "cache",
         key);
}

class SceneSource : public Source {
 public:
  explicit SceneSource(const SourceSpec& spec)
      : name_(spec.name), options_(parse_scene_arguments(spec.arguments)) {}
  std::vector<Split> splits() const override { return {Split::train, Split::val, Split::test}; }
  std::unique_ptr<Dataset> open(Split split) const override {
    return open_scenes(name_, options_, split);
  }

 private:
  std::string name_;
  SceneSetOptions options_;
};

}  // namespace

SceneSetOptions parse_scene_arguments(const std::string& arguments) {
  SceneSetOptions options;
  for (size_t begin = 0; begin < arguments.size();) {
    const size_t end = std::min(arguments.find(',', begin), arguments.size());
    const std::string item = arguments.substr(begin, end - begin);
    const size_t equals = item.find('=');
    check(equals != std::string::npos, "scenes", "'{}' is not key=value", item);
    set_option(options, item.substr(0, equals), item.substr(equals + 1));
    begin = end + 1;
  }
  check_scene_options(options.scene);
  return options;
}

int64_t scene_index(Split split, int64_t number) {
  switch (split) {
    case Split::val:
      return kSplitDistance + number;
    case Split::test:
      return 2 * kSplitDistance + number;
    default:
      return number;
  }
}

std::unique_ptr<Dataset> open_scenes(const std::string& name, const SceneSetOptions& options,
                                     Split split) {
  check_scene_options(options.scene);
  return std::make_unique<SceneDataset>(name, options, split);
}

std::unique_ptr<Source> scenes_source(const SourceSpec& spec) {
  return std::make_unique<SceneSource>(spec);
}

}  // namespace vitrail
