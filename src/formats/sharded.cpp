#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "core/printable.h"
#include "formats/file_kind.h"
#include "formats/json.h"
#include "formats/npz.h"
#include "formats/pth.h"
#include "formats/safetensors.h"
#include "formats/wrapper_names.h"

namespace vitrail {
namespace {

constexpr size_t kMaxShards = 10'000;

// Whether a name found in a file stays within the folder it is meant for.
bool stays_inside(const std::filesystem::path& name) {
  return !name.empty() && name.native().find('\0') == std::string::npos && name.is_relative() &&
         std::ranges::none_of(name, [](const auto& part) { return part == ".."; });
}

// Names are as in the file.
std::shared_ptr<TensorSource> open_file(const std::filesystem::path& path,
                                        const std::string& state_dict) {
  if (is_pth_file(path)) return PthFile::open(path, {.state_dict = state_dict, .unwrap = false});
  if (!state_dict.empty())
    fail("model", "{}: is not a file of torch.save, so state_dict={} chooses nothing in it",
         path.string(), state_dict);
  std::array<std::byte, kForeignBytes> begin{};
  const size_t got = InputFile(path).read_some(0, begin);
  if (const std::string kind = foreign_kind(std::span(begin).first(got)); !kind.empty())
    fail(ErrorCode::unsupported, "model", "{}: is {}", path.string(), kind);
  return SafetensorsFile::open(path);
}

bool is_npz_file(const std::filesystem::path& path) {
  std::array<std::byte, kNpzBegin> begin{};
  return is_npz(std::span<const std::byte>(begin).first(InputFile(path).read_some(0, begin)));
}

// The one .npz of a folder; empty where there is none or more.
std::filesystem::path only_npz_in(const std::filesystem::path& folder) {
  std::filesystem::path found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    if (entry.path().extension() != ".npz") continue;
    if (!found.empty()) return {};
    found = entry.path();
  }
  return found;
}

class ShardedTensors : public TensorSource {
 public:
  explicit ShardedTensors(const std::filesystem::path& index) : place_(index.string()) {
    const Json json = read_json(index, kIndexJson);
    const auto map = json.is_object() ? json.find("weight_map") : json.end();
    if (!json.is_object() || map == json.end() || !map->is_object())
      fail("safetensors", "{}: has no object 'weight_map'", place_);
    for (const auto& [name, value] : map->items()) add(name, value, index.parent_path());
    for (const auto& [shard_name, shard] : shards_)
      for (const std::string& name : shard->names())
        if (const auto found = where_.find(name);
            found == where_.end() || found->second != shard.get())
          fail("safetensors", "{}: shard '{}' holds '{}', which the index does not place there",
               place_, printable(shard_name), printable(name));
  }

  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    names.reserve(where_.size());
    for (const auto& [name, shard] : where_) names.push_back(name);
    return names;
  }
  const TensorInfo* find(std::string_view name) const override {
    const auto found = where_.find(name);
    return found == where_.end() ? nullptr : found->second->find(name);
  }
  Tensor tensor(std::string_view name) const override {
    const auto found = where_.find(name);
    if (found == where_.end())
      fail("safetensors", "{}: has no tensor '{}'", place_, printable(name));
    return found->second->tensor(name);
  }
  const std::map<std::string, std::string>& metadata() const override { return metadata_; }
  const std::string& place() const override { return place_; }

 private:
  void add(const std::string& name, const Json& value, const std::filesystem::path& folder) {
    if (!value.is_string())
      fail("safetensors", "{}: weight_map gives '{}' no file name", place_, printable(name));
    const auto& shard_name = value.get_ref<const std::string&>();
    if (!stays_inside(shard_name))
      fail("safetensors", "{}: the shard '{}' of '{}' is outside the folder of the index", place_,
           printable(shard_name), printable(name));
    auto found = shards_.find(shard_name);
    if (found == shards_.end()) {
      if (shards_.size() >= kMaxShards)
        fail("safetensors", "{}: names more than {} shards", place_, kMaxShards);
      auto shard = open_file(folder / shard_name, "");
      metadata_.insert(shard->metadata().begin(), shard->metadata().end());
      found = shards_.emplace(shard_name, std::move(shard)).first;
    }
    if (!found->second->contains(name))
      fail("safetensors", "{}: the shard '{}' lacks '{}', which the index places there", place_,
           printable(shard_name), printable(name));
    where_.emplace(name, found->second.get());
  }

  std::map<std::string, std::shared_ptr<TensorSource>> shards_;
  std::map<std::string, TensorSource*, std::less<>> where_;
  std::map<std::string, std::string> metadata_;
  std::string place_;
};

}  // namespace

std::shared_ptr<TensorSource> open_sharded(const std::filesystem::path& index) {
  return std::make_shared<ShardedTensors>(index);
}

std::shared_ptr<TensorSource> open_tensors(const std::filesystem::path& path,
                                           const std::string& state_dict) {
  const auto open_whole = [&](const std::filesystem::path& file) -> std::shared_ptr<TensorSource> {
    if (is_npz_file(file)) {
      if (!state_dict.empty())
        fail("model", "{}: is a NumPy archive, so state_dict={} chooses nothing in it",
             file.string(), state_dict);
      return NpzFile::open(file);
    }
    if (is_pth_file(file)) return PthFile::open(file, {.state_dict = state_dict});
    return unwrapped(open_file(file, state_dict));
  };
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) {
    if (path.extension() == ".json") return unwrapped(open_sharded(path));
    return open_whole(path);
  }
  for (const char* name : {"model.safetensors", "pytorch_model.bin"}) {
    if (std::filesystem::exists(path / name, ignored)) return open_whole(path / name);
    const auto index = path / (std::string(name) + ".index.json");
    if (std::filesystem::exists(index, ignored)) return unwrapped(open_sharded(index));
  }
  for (const char* name : {"open_clip_model.safetensors", "open_clip_pytorch_model.bin"})
    if (std::filesystem::exists(path / name, ignored)) return open_whole(path / name);
  if (const std::filesystem::path npz = only_npz_in(path); !npz.empty()) return open_whole(npz);
  fail("model",
       "{}: holds neither model.safetensors nor model.safetensors.index.json, nor "
       "pytorch_model.bin, nor OpenCLIP's open_clip_model.safetensors or "
       "open_clip_pytorch_model.bin, nor one .npz",
       path.string());
}

}  // namespace vitrail
