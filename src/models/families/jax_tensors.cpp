#include "models/families/jax_tensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/printable.h"

namespace vitrail {
namespace {

// What stands before every name: nothing, an optimizer's target, flax's collection, big_vision's
// tower of pictures.
constexpr std::string_view kJaxPrefixes[] = {"", "opt/target/", "params/", "params/img/"};
constexpr std::string_view kJaxMark = "Transformer/encoder_norm/scale";

// google's names of a block's parts, and big_vision's.
struct JaxBlockNames {
  std::string_view attention, norm2, mlp;
};
constexpr JaxBlockNames kJaxBlocks[] = {
    {"MultiHeadDotProductAttention_1", "LayerNorm_2", "MlpBlock_3"},
    {"MultiHeadDotProductAttention_0", "LayerNorm_1", "MlpBlock_0"}};

// Parts of names that no plain Vision Transformer of these files has.
constexpr std::pair<std::string_view, const char*> kJaxOthers[] = {
    {"encoderblock/", "all blocks in one array; save them apart"},
    {"conv_root/", "a hybrid with a convolutional stem"},
    {"MAPHead_", "an attention pooling"}};

// A kernel as a matrix, [in, out]: the heads of q, k and v are joined, and those that the output
// projection reads.
Shape matrix_of(const std::string& name, const Shape& shape) {
  if (shape.rank() != 3) return shape;
  const bool reads_heads = name.find("/out/") != std::string::npos;
  return reads_heads ? Shape{shape[0] * shape[1], shape[2]} : Shape{shape[0], shape[1] * shape[2]};
}

Shape in_order(const Shape& shape, std::span<const int> order) {
  std::vector<int64_t> dims;
  for (const int axis : order) dims.push_back(shape[axis]);
  return Shape(std::span<const int64_t>(dims));
}

// The elements of x, of this shape, with its axes in another order: appended at `to`.
void write_in_order(const Tensor& x, const Shape& shape, std::span<const int> order,
                    std::byte* to) {
  const size_t width = size_of(x.dtype()), rank = order.size();
  const Shape out = in_order(shape, order);
  std::array<int64_t, Shape::kMaxRank> stride{}, index{};
  for (size_t i = 0; i < rank; ++i) {
    stride[i] = 1;
    for (int axis = order[i] + 1; axis < shape.rank(); ++axis) stride[i] *= shape[axis];
  }
  const auto* from = static_cast<const std::byte*>(x.raw());
  for (int64_t count = x.numel(); count > 0; --count, to += width) {
    int64_t element = 0;
    for (size_t i = 0; i < rank; ++i) element += index[i] * stride[i];
    std::memcpy(to, from + static_cast<size_t>(element) * width, width);
    for (size_t i = rank; i-- > 0;) {
      if (++index[i] < out[static_cast<int>(i)]) break;
      index[i] = 0;
    }
  }
}

class JaxTensors : public TensorSource {
 public:
  JaxTensors(std::shared_ptr<TensorSource> tensors, std::string_view prefix)
      : tensors_(std::move(tensors)), prefix_(prefix), notes_(tensors_->notes()) {
    const std::vector<std::string> names = tensors_->names();
    for (const std::string& name : names)
      for (const auto& [part, what] : kJaxOthers)
        if (name.find(part) != std::string::npos)
          fail(ErrorCode::unsupported, "jax",
               "{}: '{}' is of {}, which is not read from such files", place(), printable(name),
               what);
    add("cls_token", {"cls"});
    add("pos_embed", {"Transformer/posembed_input/pos_embedding"});
    add("pos_embed", {"pos_embedding"});
    add("patch_embed.proj.weight", {"embedding/kernel"});
    add("patch_embed.proj.bias", {"embedding/bias"});
    add_norm("norm", "Transformer/encoder_norm");
    add_dense("pre_logits.fc", {"pre_logits"});
    add_dense("head", {"head"});
    for (int64_t i = 0; add_block(i);) ++i;
    // What is left keeps its name, so that a message finds it.
    for (const std::string& name : names)
      if (std::ranges::find(used_, name) == used_.end())
        entries_.emplace(name, Entry{tensors_->info(name), {whole(name)}});
    notes_.emplace_back(
        "the names are those of google's JAX models, which are read as timm reads them");
  }

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
    if (found == entries_.end()) fail("jax", "{}: has no '{}'", place(), printable(name));
    Tensor joined = Tensor::empty(found->second.info.shape, found->second.info.dtype);
    auto* to = static_cast<std::byte*>(joined.raw());
    for (const Part& part : found->second.parts) {
      const Tensor stored = tensors_->tensor(part.name);
      write_in_order(stored, part.shape, part.order, to);
      to += stored.bytes();
    }
    return joined;
  }
  const std::map<std::string, std::string>& metadata() const override { return metadata_; }
  const std::string& place() const override { return tensors_->place(); }
  const std::vector<std::string>& notes() const override { return notes_; }

 private:
  // An array, read as of this shape and with its axes in this order.
  struct Part {
    std::string name;  // whole, in the file
    Shape shape;
    std::vector<int> order;
  };
  struct Entry {
    TensorInfo info;
    std::vector<Part> parts;  // one below the other
  };

  Part whole(const std::string& name) const {
    Part part{name, tensors_->info(name).shape, {}};
    for (int axis = 0; axis < part.shape.rank(); ++axis) part.order.push_back(axis);
    return part;
  }
  Part part_of(const std::string& name) const {
    Part part = whole(name);
    const int rank = part.shape.rank();
    if (name.ends_with("/bias") && rank == 2) {  // of heads
      part.shape = {part.shape[0] * part.shape[1]};
      part.order = {0};
    } else if (name.ends_with("/kernel") && rank == 4) {  // [h, w, in, out]
      part.order = {3, 2, 0, 1};
    } else if (name.ends_with("/kernel") && (rank == 2 || rank == 3)) {
      part.shape = matrix_of(name, part.shape);
      part.order = {1, 0};
    }
    return part;
  }

  // Nothing where the file lacks one of the arrays: what needs them says so.
  void add(const std::string& torch, const std::vector<std::string>& jax) {
    Entry entry;
    for (const std::string& ending : jax) {
      const std::string name = prefix_ + ending;
      if (!tensors_->contains(name)) return;
      entry.parts.push_back(part_of(name));
    }
    const Part& first = entry.parts.front();
    entry.info = {tensors_->info(first.name).dtype, in_order(first.shape, first.order)};
    for (size_t i = 1; i < entry.parts.size(); ++i) {
      const Part& part = entry.parts[i];
      const TensorInfo& info = tensors_->info(part.name);
      if (part.shape != first.shape || info.dtype != entry.info.dtype)
        fail("jax", "{}: '{}' is {} and '{}' {}; they must be alike", place(), first.name,
             tensors_->info(first.name).shape.str(), part.name, info.shape.str());
      entry.info.shape[0] += first.shape[first.order[0]];
    }
    for (const Part& part : entry.parts) used_.push_back(part.name);
    entries_.emplace(torch, std::move(entry));
  }
  void add_dense(const std::string& torch, const std::vector<std::string>& jax) {
    for (const auto& [suffix, ending] : {std::pair{".weight", "/kernel"}, {".bias", "/bias"}}) {
      std::vector<std::string> names;
      for (const std::string& name : jax) names.push_back(name + ending);
      add(torch + suffix, names);
    }
  }
  void add_norm(const std::string& torch, const std::string& jax) {
    add(torch + ".weight", {jax + "/scale"});
    add(torch + ".bias", {jax + "/bias"});
  }

  // false: there is no such block.
  bool add_block(int64_t index) {
    const std::string jax = "Transformer/encoderblock_" + std::to_string(index) + "/";
    const std::string torch = "blocks." + std::to_string(index) + ".";
    for (const JaxBlockNames& names : kJaxBlocks) {
      const std::string attention = jax + std::string(names.attention) + "/";
      const std::string mlp = jax + std::string(names.mlp) + "/";
      const TensorInfo* query = tensors_->find(prefix_ + attention + "query/kernel");
      if (query == nullptr) continue;
      read_heads(prefix_ + attention + "query/kernel", query->shape);
      add_norm(torch + "norm1", jax + "LayerNorm_0");
      add_dense(torch + "attn.qkv", {attention + "query", attention + "key", attention + "value"});
      add_dense(torch + "attn.proj", {attention + "out"});
      add_norm(torch + "norm2", jax + std::string(names.norm2));
      add_dense(torch + "mlp.fc1", {mlp + "Dense_0"});
      add_dense(torch + "mlp.fc2", {mlp + "Dense_1"});
      return true;
    }
    return false;
  }
  void read_heads(const std::string& name, const Shape& shape) {
    if (shape.rank() != 3)
      fail("jax", "{}: '{}' is {}; [width, heads, head size] is needed", place(), name,
           shape.str());
    const std::string heads = std::to_string(shape[1]);
    const auto [found, first] = metadata_.emplace(kJaxHeads, heads);
    if (!first && found->second != heads)
      fail("jax", "{}: '{}' has {} heads, and a block before it {}", place(), name, heads,
           found->second);
  }

  std::shared_ptr<TensorSource> tensors_;
  std::string prefix_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::vector<std::string> used_;  // whole names in the file
  std::map<std::string, std::string> metadata_;
  std::vector<std::string> notes_;
};

}  // namespace

std::shared_ptr<TensorSource> jax_as_torch(std::shared_ptr<TensorSource> tensors) {
  for (const std::string_view prefix : kJaxPrefixes)
    if (tensors->contains(std::string(prefix) + std::string(kJaxMark)))
      return std::make_shared<JaxTensors>(std::move(tensors), prefix);
  return tensors;
}

}  // namespace vitrail
