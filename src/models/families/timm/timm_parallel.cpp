#include "models/families/timm/timm_parallel.h"

#include <array>
#include <cstring>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "core/error.h"

namespace vitrail {
namespace {

constexpr std::string_view kInProjection = "in_proj.weight";

// Modules and tensors of a block that have another name alone: Vitrail's, timm's.
constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kRenamed = {{
    {"norm1", "in_norm"},
    {"attn.q_norm", "q_norm"},
    {"attn.k_norm", "k_norm"},
    {"attn.lambda_q1", "lambda_q1"},
    {"attn.lambda_k1", "lambda_k1"},
    {"attn.lambda_q2", "lambda_q2"},
    {"attn.lambda_k2", "lambda_k2"},
    {"attn.sub_norm", "sub_norm"},
    {"attn.proj", "attn_out_proj"},
    {"mlp.fc2", "mlp_out_proj"},
    {"mlp.fc1.bias", "mlp_bias"},
    {"ls1.gamma", "ls.gamma"},
}};
constexpr std::array<std::string_view, 3> kEndings = {"", ".weight", ".bias"};

// Rows or columns [begin, end) of a tensor of the file; axis -1: the whole.
struct Piece {
  std::string source;
  int axis = -1;
  int64_t begin = 0, end = 0;
};

Tensor columns(const Tensor& matrix, int64_t begin, int64_t end) {
  const int64_t rows = matrix.size(0), width = end - begin;
  Tensor part = Tensor::empty({rows, width}, matrix.dtype());
  const size_t size = size_of(matrix.dtype());
  const auto* from = static_cast<const std::byte*>(matrix.raw());
  auto* to = static_cast<std::byte*>(part.raw());
  for (int64_t row = 0; row < rows; ++row)
    std::memcpy(to + row * width * size, from + (row * matrix.size(1) + begin) * size,
                width * size);
  return part;
}

Tensor side_by_side(const Tensor& left, const Tensor& right) {
  const int64_t rows = left.size(0), first = left.size(1), second = right.size(1);
  Tensor all = Tensor::empty({rows, first + second}, left.dtype());
  const size_t size = size_of(left.dtype());
  auto* to = static_cast<std::byte*>(all.raw());
  for (int64_t row = 0; row < rows; ++row) {
    std::byte* at = to + row * (first + second) * size;
    std::memcpy(at, static_cast<const std::byte*>(left.raw()) + row * first * size, first * size);
    std::memcpy(at + first * size, static_cast<const std::byte*>(right.raw()) + row * second * size,
                second * size);
  }
  return all;
}

Tensor one_above(const Tensor& upper, const Tensor& lower) {
  Shape shape = upper.shape();
  shape[0] += lower.size(0);
  Tensor all = Tensor::empty(shape, upper.dtype());
  auto* to = static_cast<std::byte*>(all.raw());
  std::memcpy(to, upper.raw(), upper.bytes());
  std::memcpy(to + upper.bytes(), lower.raw(), lower.bytes());
  return all;
}

class ParallelBlocks : public TensorSource {
 public:
  ParallelBlocks(std::shared_ptr<TensorSource> stored, const std::vector<std::string>& blocks)
      : stored_(std::move(stored)) {
    for (const std::string& name : stored_->names())
      entries_.emplace(name, Entry{stored_->info(name), Piece{.source = name}});
    for (const std::string& block : blocks) take_block(block);
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
    if (found == entries_.end()) return stored_->tensor(name);
    const Piece& piece = found->second.piece;
    const Tensor whole = stored_->tensor(piece.source);
    if (piece.axis == 0) return whole.rows(piece.begin, piece.end);
    return piece.axis == 1 ? columns(whole, piece.begin, piece.end) : whole;
  }
  std::optional<QuantizedTensor> quantized(std::string_view name) const override {
    const auto found = entries_.find(name);
    if (found == entries_.end() || found->second.piece.axis >= 0) return std::nullopt;
    return stored_->quantized(found->second.piece.source);
  }
  const std::map<std::string, std::string>& metadata() const override {
    return stored_->metadata();
  }
  const std::string& place() const override { return stored_->place(); }
  const std::vector<std::string>& notes() const override { return stored_->notes(); }
  const std::string& module_class() const override { return stored_->module_class(); }
  const std::string& module_fields() const override { return stored_->module_fields(); }

 private:
  struct Entry {
    TensorInfo info;
    Piece piece;
  };

  void take_block(const std::string& block) {
    const Shape in = stored_->info(block + std::string(kInProjection)).shape;
    const int64_t width = in.rank() == 2 ? in[1] : 0,
                  hidden = in.rank() == 2 ? in[0] - 3 * width : 0;
    if (hidden <= 0)
      fail("timm", "{}: '{}{}' is {}: it holds no MLP beside q, k and v", place(), block,
           kInProjection, in.str());
    for (const auto& [ours, theirs] : kRenamed)
      for (const std::string_view ending : kEndings)
        rename(block + std::string(theirs) + std::string(ending),
               block + std::string(ours) + std::string(ending));
    for (const char* ending : {"weight", "bias"})
      split(block + "in_proj." + ending, 0, hidden, in[0], block + "mlp.fc1." + ending,
            block + "attn.qkv." + ending);
    split(block + "out_proj.weight", 1, width, width + hidden, block + "attn.proj.weight",
          block + "mlp.fc2.weight");
    rename(block + "out_proj.bias", block + "attn.proj.bias");
  }

  void rename(const std::string& from, const std::string& to) {
    auto node = entries_.extract(from);
    if (node.empty()) return;
    node.key() = to;
    entries_.insert(std::move(node));
  }

  // [0, middle) and [middle, end) along the axis.
  void split(const std::string& from, int axis, int64_t middle, int64_t end,
             const std::string& first, const std::string& second) {
    const auto found = entries_.find(from);
    if (found == entries_.end()) return;
    const TensorInfo whole = found->second.info;
    if (whole.shape.rank() <= axis || whole.shape[axis] != end)
      fail("timm", "{}: '{}' is {}, where {} are needed along axis {}", place(), from,
           whole.shape.str(), end, axis);
    const auto add = [&](const std::string& name, int64_t begin, int64_t stop) {
      TensorInfo info = whole;
      info.shape[axis] = stop - begin;
      entries_.emplace(
          name, Entry{info, Piece{.source = from, .axis = axis, .begin = begin, .end = stop}});
    };
    add(first, 0, middle);
    add(second, middle, end);
    entries_.erase(found);
  }

  std::shared_ptr<TensorSource> stored_;
  std::map<std::string, Entry, std::less<>> entries_;
};

// Takes a tensor out, in the type of the model.
std::optional<Tensor> taken_out(ModelEdit& model, const std::string& name) {
  auto node = model.tensors.extract(name);
  if (node.empty()) return std::nullopt;
  return node.mapped().to(model.dtype());
}

Tensor taken_or_zeros(ModelEdit& model, const std::string& name, int64_t size) {
  const std::optional<Tensor> found = taken_out(model, name);
  return found ? *found : Tensor::zeros({size}).to(model.dtype());
}

Tensor sum_of(const Tensor& a, const Tensor& b) {
  Tensor sum = a.to(DType::f32).clone();
  const Tensor addend = b.to(DType::f32);
  for (int64_t i = 0; i < sum.numel(); ++i) sum.f32()[i] += addend.f32()[i];
  return sum.to(a.dtype());
}

void join_block(ModelEdit& model, const std::string& block) {
  const VitConfig& c = model.config;
  const auto name = [&](const char* rest) { return block + rest; };
  const Tensor hidden = *taken_out(model, name("mlp.fc1.weight"));
  model.tensors[name("in_proj.weight")] =
      one_above(hidden, *taken_out(model, name("attn.qkv.weight")));
  const Tensor bias = taken_or_zeros(model, name("mlp.fc1.bias"), hidden.size(0));
  if (c.block.attention.qkv_bias)
    model.tensors[name("in_proj.bias")] = one_above(bias, *taken_out(model, name("attn.qkv.bias")));
  else
    model.tensors[name("mlp_bias")] = bias;
  if (c.block.attention.differential) {
    model.tensors[name("out_proj.weight")] = side_by_side(
        *taken_out(model, name("attn.proj.weight")), *taken_out(model, name("mlp.fc2.weight")));
    const Tensor attention = taken_or_zeros(model, name("attn.proj.bias"), c.embed_dim);
    const Tensor mlp = taken_or_zeros(model, name("mlp.fc2.bias"), c.embed_dim);
    if (c.block.attention.projection_bias)
      model.tensors[name("out_proj.bias")] = sum_of(attention, mlp);
  }
  for (const auto& [ours, theirs] : kRenamed)
    for (const std::string_view ending : kEndings) {
      auto node = model.tensors.extract(block + std::string(ours) + std::string(ending));
      if (node.empty()) continue;
      node.key() = block + std::string(theirs) + std::string(ending);
      model.tensors.insert(std::move(node));
    }
}

}  // namespace

std::shared_ptr<TensorSource> with_parallel_blocks(std::shared_ptr<TensorSource> tensors,
                                                   const std::string& prefix) {
  std::vector<std::string> blocks;
  for (int64_t i = 0;; ++i) {
    std::string block = prefix + "blocks." + std::to_string(i) + ".";
    if (!tensors->contains(block + std::string(kInProjection))) break;
    blocks.push_back(std::move(block));
  }
  if (blocks.empty()) return tensors;
  return std::make_shared<ParallelBlocks>(std::move(tensors), blocks);
}

void join_parallel_blocks(ModelEdit& model) {
  if (model.config.block.norms != NormPlacement::parallel) return;
  for (int64_t i = 0; i < model.config.depth; ++i) join_block(model, ModelEdit::block(i, ""));
}

}  // namespace vitrail
