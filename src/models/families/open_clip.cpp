#include "models/families/open_clip.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <vector>

#include "core/error.h"
#include "core/printable.h"
#include "models/families/open_clip_config.h"
#include "models/families/transposed.h"

namespace vitrail {
namespace {

constexpr std::string_view kVisual = "visual.";
constexpr std::string_view kTrunk = "visual.trunk.";
// What OpenCLIP's VisionTransformer has, and no other model of these names.
constexpr std::string_view kClipMarks[] = {"class_embedding", "positional_embedding",
                                           "ln_post.weight",
                                           "transformer.resblocks.0.attn.in_proj_weight"};
// Numbers that OpenAI's archives hold beside the weights.
constexpr std::string_view kOpenAiNumbers[] = {"input_resolution", "context_length", "vocab_size"};
// The parts of a CLIP that is not its tower of pictures.
constexpr std::string_view kTextParts[] = {"transformer.", "token_embedding.", "ln_final.",
                                           "text."};
constexpr std::string_view kTextTensors[] = {"positional_embedding",
                                             "text_projection",
                                             "text_projection.weight",
                                             "text_projection.bias",
                                             "logit_scale",
                                             "logit_bias",
                                             "attn_mask"};

// Modules saved whole whose forward pass is the tower's, beside OpenAI's archives.
constexpr std::string_view kClipClasses[] = {
    "open_clip.model.CLIP",
    "open_clip.model.CustomTextCLIP",
    "open_clip.timm_model.TimmModel",
    "open_clip.transformer.VisionTransformer",
    "clip.model.CLIP",
    "clip.model.VisionTransformer",
};

// Parts of names, and whose they are.
constexpr std::pair<std::string_view, const char*> kOtherTowers[] = {
    {"text_decoder.", "OpenCLIP's CoCa, which pools by attention of its own"},
    {"visual.attn_pool", "OpenCLIP's attentional pooling, as CoCa has it"},
    {"visual.layer1.", "CLIP's ResNet, a tower of convolutions"},
    {"visual.head.mlp.", "OpenCLIP's projection of two layers"},
    {"visual.head.pool.", "OpenCLIP's attention pooling behind a trunk"},
    {".attn.ln_q.", "OpenCLIP's norms of queries and keys"},
    {".attn.head_scale", "OpenCLIP's scales of heads"},
    {".ln_attn.", "OpenCLIP's norm behind attention"},
};

// OpenCLIP's names of modules and tensors, behind "visual.", and timm's. '#' is a number.
constexpr std::pair<std::string_view, std::string_view> kClipNames[] = {
    {"conv1", "patch_embed.proj"},
    {"class_embedding", "cls_token"},
    {"positional_embedding", "pos_embed"},
    {"ln_pre", "norm_pre"},
    {"transformer.resblocks.#.ln_1", "blocks.#.norm1"},
    {"transformer.resblocks.#.attn.in_proj_weight", "blocks.#.attn.qkv.weight"},
    {"transformer.resblocks.#.attn.in_proj_bias", "blocks.#.attn.qkv.bias"},
    {"transformer.resblocks.#.attn.out_proj", "blocks.#.attn.proj"},
    {"transformer.resblocks.#.ls_1", "blocks.#.ls1"},
    {"transformer.resblocks.#.ln_2", "blocks.#.norm2"},
    {"transformer.resblocks.#.mlp.c_fc", "blocks.#.mlp.fc1"},
    {"transformer.resblocks.#.mlp.c_proj", "blocks.#.mlp.fc2"},
    {"transformer.resblocks.#.ls_2", "blocks.#.ls2"},
};
constexpr std::string_view kBlocks = "transformer.resblocks.";

// timm's name of a tensor of OpenCLIP's own tower, by the name behind "visual."; "": none.
std::string timm_name(std::string_view name) {
  std::string number, pattern(name);
  if (name.starts_with(kBlocks)) {
    const std::string_view rest = name.substr(kBlocks.size());
    const size_t dot = rest.find('.');
    if (dot == std::string_view::npos) return "";
    number = rest.substr(0, dot);
    pattern = std::string(kBlocks) + "#" + std::string(rest.substr(dot));
  }
  for (const auto& [theirs, timm] : kClipNames) {
    if (!pattern.starts_with(theirs)) continue;
    const std::string_view suffix = std::string_view(pattern).substr(theirs.size());
    if (!suffix.empty() && suffix != ".weight" && suffix != ".bias" && suffix != ".gamma") continue;
    std::string found = std::string(timm) + std::string(suffix);
    if (const size_t at = found.find('#'); at != std::string::npos) found.replace(at, 1, number);
    return found;
  }
  return "";
}

bool is_of_text(std::string_view name) {
  return std::ranges::find(kTextTensors, name) != std::end(kTextTensors) ||
         std::ranges::find(kOpenAiNumbers, name) != std::end(kOpenAiNumbers) ||
         std::ranges::any_of(kTextParts, [&](auto part) { return name.starts_with(part); });
}

// What stands before the tower's names: "visual.", or nothing in a file of the tower alone. Nothing
// at all: these are no names of OpenCLIP's own tower.
std::optional<std::string> own_tower(const TensorSource& tensors) {
  for (const std::string_view prefix : {kVisual, std::string_view()})
    if (std::ranges::all_of(kClipMarks, [&](std::string_view mark) {
          return tensors.contains(std::string(prefix) + std::string(mark));
        }))
      return std::string(prefix);
  return std::nullopt;
}

bool has_trunk(const TensorSource& tensors) {
  const std::vector<std::string> names = tensors.names();
  return std::ranges::any_of(names, [](const auto& name) { return name.starts_with(kTrunk); });
}

bool is_resnet(const TensorSource& tensors) {
  return tensors.contains("visual.layer1.0.conv1.weight") &&
         tensors.contains("visual.attnpool.positional_embedding");
}

class TowerTensors : public TensorSource {
 public:
  explicit TowerTensors(std::shared_ptr<TensorSource> tensors)
      : tensors_(std::move(tensors)), notes_(tensors_->notes()), metadata_(tensors_->metadata()) {}

  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, entry] : entries_) names.push_back(name);
    return names;
  }
  const TensorInfo* find(std::string_view name) const override {
    const auto found = entries_.find(name);
    return found == entries_.end() ? nullptr : &found->second.info;
  }
  Tensor tensor(std::string_view name) const override {
    const auto found = entries_.find(name);
    if (found == entries_.end()) fail("clip", "{}: has no tensor '{}'", place(), printable(name));
    const auto& [info, original, turned] = found->second;
    if (original.empty()) return Tensor::zeros(info.shape).to(info.dtype);
    const Tensor stored = tensors_->tensor(original);
    return turned ? transposed(stored) : stored;
  }
  const std::map<std::string, std::string>& metadata() const override { return metadata_; }
  const std::string& place() const override { return tensors_->place(); }
  const std::vector<std::string>& notes() const override { return notes_; }
  const std::string& module_class() const override { return class_; }

  const TensorSource& file() const { return *tensors_; }
  void add(const std::string& name, const std::string& original) {
    entries_[name] = {tensors_->info(original), original, false};
  }
  void add_transposed(const std::string& name, const std::string& original) {
    TensorInfo info = tensors_->info(original);
    if (info.shape.rank() != 2)
      fail("clip", "{}: '{}' is {}; a projection is a matrix", place(), original, info.shape.str());
    info.shape = Shape{info.shape[1], info.shape[0]};
    entries_[name] = {info, original, true};
  }
  void add_zeros(const std::string& name, const Shape& shape, DType dtype) {
    entries_[name] = {{dtype, shape}, "", false};
  }
  // An unknown class may compute something else; that of OpenAI's archives has no name of its own.
  void check_class(bool of_openai) {
    const std::string& name = tensors_->module_class();
    const bool known = std::ranges::find(kClipClasses, name) != std::end(kClipClasses);
    if (!known && !of_openai) class_ = name;
  }
  void leave_out(const std::vector<std::string>& names) {
    if (names.empty()) return;
    notes_.push_back(fmt::format(
        "the tower of texts is left out: '{}'{}", printable(names.front()),
        names.size() > 1 ? fmt::format(" and {} more tensors", names.size() - 1) : std::string()));
  }
  void mark_projection() { metadata_.emplace(kProjectionHead, "raw"); }

 private:
  struct Entry {
    TensorInfo info;
    std::string original;  // empty: zeros
    bool turned = false;
  };
  std::shared_ptr<TensorSource> tensors_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::vector<std::string> notes_;
  std::map<std::string, std::string> metadata_;
  std::string class_;
};

void refuse_other_towers(const TensorSource& tensors) {
  const std::vector<std::string> names = tensors.names();
  for (const auto& [part, whose] : kOtherTowers)
    for (const std::string& name : names)
      if (name.find(part) != std::string::npos)
        fail(ErrorCode::unsupported, "clip",
             "{}: holds '{}', of {}, which Vitrail does not implement", tensors.place(),
             printable(name), whose);
}

// The tower's tensors under timm's names; those that have none keep their own, so that a message
// finds them.
void add_own_tower(TowerTensors& tower, const std::string& prefix, bool norm_after_pooling) {
  const TensorSource& file = tower.file();
  std::vector<std::string> others;
  for (const std::string& name : file.names()) {
    if (!prefix.empty() && !name.starts_with(prefix)) {
      if (is_of_text(name))
        others.push_back(name);
      else
        tower.add(name, name);
      continue;
    }
    const std::string inner = name.substr(prefix.size());
    const std::string norm = norm_after_pooling ? "fc_norm" : "norm";
    if (inner == "proj") {
      tower.add_transposed("head.weight", name);
      tower.mark_projection();
    } else if (inner == "ln_post.weight" || inner == "ln_post.bias") {
      tower.add(norm + inner.substr(std::string_view("ln_post").size()), name);
    } else {
      const std::string timm = timm_name(inner);
      tower.add(timm.empty() ? name : timm, name);
    }
  }
  // timm's patches have a bias where there is no norm behind them.
  const TensorInfo* patches = tower.find("patch_embed.proj.weight");
  if (patches != nullptr && !tower.contains("norm_pre.weight") && patches->shape.rank() > 0)
    tower.add_zeros("patch_embed.proj.bias", {patches->shape[0]}, patches->dtype);
  tower.leave_out(others);
}

void add_trunk(TowerTensors& tower) {
  std::vector<std::string> others;
  for (const std::string& name : tower.file().names()) {
    if (name.starts_with(kTrunk))
      tower.add(name.substr(kTrunk.size()), name);
    else if (name.starts_with("visual.head.proj."))
      tower.add("head." + name.substr(std::string_view("visual.head.proj.").size()), name);
    else if (is_of_text(name))
      others.push_back(name);
    else
      tower.add(name, name);
  }
  if (tower.contains("head.weight")) tower.mark_projection();
  tower.leave_out(others);
}

// What the shapes of OpenAI's own files say; the rest is the same in all of them.
OpenAiSizes openai_sizes(const TowerTensors& tower) {
  const auto shape = [&](const char* name) { return tower.info(name).shape; };
  const Shape patches = shape("patch_embed.proj.weight"), positions = shape("pos_embed");
  const Shape hidden = shape("blocks.0.mlp.fc1.weight"), head = shape("head.weight");
  check(patches.rank() == 4 && positions.rank() == 2 && hidden.rank() == 2, "clip",
        "{}: patches, positions and MLP are no tower of pictures", tower.place());
  const auto side = std::llround(std::sqrt(static_cast<double>(positions[0] - 1)));
  OpenAiSizes sizes{.width = patches[0],
                    .patch = patches[2],
                    .image = side * patches[2],
                    .hidden = hidden[0],
                    .output = head[0]};
  while (tower.contains(fmt::format("blocks.{}.norm1.weight", sizes.layers))) ++sizes.layers;
  return sizes;
}

}  // namespace

bool has_clip_names(const TensorSource& tensors) {
  return own_tower(tensors).has_value() || has_trunk(tensors) || is_resnet(tensors);
}

std::optional<ClipTower> clip_tower(const std::shared_ptr<TensorSource>& tensors,
                                    const nlohmann::json& config, const std::string& config_name) {
  if (!has_clip_names(*tensors)) return std::nullopt;
  refuse_other_towers(*tensors);
  auto tower = std::make_shared<TowerTensors>(tensors);
  ClipTower read{.tensors = tower, .config = nullptr, .config_name = config_name};
  const bool of_openai = std::ranges::all_of(
      kOpenAiNumbers, [&](std::string_view name) { return tensors->contains(name); });
  tower->check_class(of_openai);
  const std::string& place = config.is_object() ? config_name : tensors->place();
  if (const auto prefix = own_tower(*tensors)) {
    const bool after = config.is_object() && clip_norm_after_pooling(config);
    add_own_tower(*tower, *prefix, after);
    if (config.is_object()) {
      read.config = timm_config_of_clip(config, place);
    } else if (of_openai && tower->contains("head.weight")) {
      read.config = timm_config_of_openai(openai_sizes(*tower));
      read.config_name = "OpenAI's CLIP";
    }
    return read;
  }
  add_trunk(*tower);
  if (config.is_object())
    read.config = timm_config_of_trunk(
        config, place,
        {.norm = tower->contains("norm.weight"), .fc_norm = tower->contains("fc_norm.weight")});
  return read;
}

}  // namespace vitrail
