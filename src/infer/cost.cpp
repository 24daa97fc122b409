#include "infer/cost.h"

#include <fmt/format.h>

namespace vitrail {
namespace {

class Counter {
 public:
  Counter(const VisionTransformer& network, const TokenLayout& layout)
      : network_(network), config_(network.config()), layout_(layout) {}

  void add(const std::string& path, const Shape& output, int64_t multiply_adds) {
    cost_.layers.push_back({path, output, parameters_below(path), multiply_adds});
    cost_.multiply_adds += multiply_adds;
  }

  void add_patches() {
    const auto& c = config_;
    const int64_t per_patch = c.in_channels * c.patch_height * c.patch_width * c.embed_dim;
    add("patch_embed", {layout_.patches(), c.embed_dim}, layout_.patches() * per_patch);
  }

  void add_tokenizer(int64_t height, int64_t width) {
    const TokenizerConfig& t = config_.tokenizer;
    int64_t channels = config_.in_channels, macs = 0;
    const auto shrink = [](int64_t size, int64_t kernel, int64_t stride, int64_t padding) {
      return (size + 2 * padding - kernel) / stride + 1;
    };
    for (int64_t i = 0; i < t.layers; ++i) {
      const int64_t outputs = i + 1 == t.layers ? config_.embed_dim : t.hidden_channels;
      height = shrink(height, t.kernel, t.stride, t.padding);
      width = shrink(width, t.kernel, t.stride, t.padding);
      macs += height * width * outputs * channels * t.kernel * t.kernel;
      channels = outputs;
      if (t.pool_kernel == 0) continue;
      height = shrink(height, t.pool_kernel, t.pool_stride, t.pool_padding);
      width = shrink(width, t.pool_kernel, t.pool_stride, t.pool_padding);
    }
    add("tokenizer", {layout_.patches(), config_.embed_dim}, macs);
  }

  void add_resnet(int64_t height, int64_t width) {
    const ResNetConfig& r = config_.resnet;
    const std::string path = "patch_embed.backbone.";
    const auto shrink = [&](int64_t stride) {
      height = (height + stride - 1) / stride;
      width = (width + stride - 1) / stride;
    };
    const auto product = [&](int64_t inputs, int64_t kernel, int64_t outputs) {
      return height * width * inputs * kernel * kernel * outputs;
    };
    shrink(r.stem_stride);
    add(path + "conv1", {r.stem_channels, height, width},
        product(config_.in_channels, r.stem_kernel, r.stem_channels));
    add(path + (r.norm == Normalisation::batch ? "bn1" : "norm1"), {r.stem_channels, height, width},
        0);
    if (r.stem_pool) shrink(2);
    int64_t inputs = r.stem_channels;
    for (size_t stage = 0; stage < r.blocks.size(); ++stage) {
      const int64_t outputs = r.channels[stage], inner = outputs / 4;
      int64_t macs = 0;
      if (r.pooled) {
        macs += product(inputs, 3, outputs);  // before the pooling
        shrink(2);
        inputs = outputs;
      }
      for (int64_t block = 0; block < r.blocks[stage]; ++block, inputs = outputs) {
        const int64_t stride = !r.pooled && stage > 0 && block == 0 ? 2 : 1;
        if (r.bottleneck) macs += product(inputs, 1, inner);  // before the stride
        shrink(stride);
        macs += r.bottleneck ? product(inner, 3, inner) + product(inner, 1, outputs)
                             : product(inputs, 3, outputs) + product(outputs, 3, outputs);
        if (stride != 1 || inputs != outputs) macs += product(inputs, 1, outputs);
      }
      add(path + "layer" + std::to_string(stage + 1), {outputs, height, width}, macs);
    }
  }

  void add_block(int64_t index) {
    const auto& c = config_;
    const int64_t tokens = layout_.tokens(), inner = c.num_heads * c.head_size();
    const std::string path = fmt::format("blocks.{}", index);
    // q, k and v; q k^T and P v; the projection.
    const int64_t attention = tokens * c.embed_dim * 3 * inner + 2 * tokens * tokens * inner +
                              (c.attention_projection ? tokens * inner * c.embed_dim : 0);
    const int64_t matrices = c.mlp == MlpKind::plain ? 2 : 3;
    add(path + ".attn", {tokens, c.embed_dim}, attention);
    add(path + ".mlp", {tokens, c.embed_dim}, matrices * tokens * c.embed_dim * c.mlp_hidden());
  }

  void add_pooling() {
    const auto& c = config_;
    if (c.pooling == Pooling::sequence)
      add("sequence_pool", {c.embed_dim}, 2 * layout_.tokens() * c.embed_dim);
    if (!is_map(c.pooling)) return;
    const int64_t dim = c.embed_dim;
    const int64_t keys = c.pooling == Pooling::map ? layout_.patches() : layout_.tokens();
    const int64_t hidden = c.pool_mlp_hidden_dim > 0 ? c.pool_mlp_hidden_dim : c.mlp_hidden();
    add("attn_pool", {dim},
        2 * dim * dim + keys * dim * 2 * dim + 2 * keys * dim + 2 * dim * hidden);
  }

  void add_head() {
    const auto& c = config_;
    if (c.pre_logits_dim > 0)
      add("pre_logits.fc", {c.pre_logits_dim}, c.pooling_dim() * c.pre_logits_dim);
    if (c.num_classes == 0) return;
    add("head", {c.num_classes}, c.pooled_dim() * c.num_classes);
    if (c.pooling == Pooling::distilled)
      add("head_dist", {c.num_classes}, c.embed_dim * c.num_classes);
  }

  ModelCost finish() {
    cost_.parameters = network_.parameters().num_elements();
    cost_.tokens = layout_.tokens();
    return std::move(cost_);
  }

 private:
  int64_t parameters_below(const std::string& path) const {
    int64_t count = 0;
    for (const auto& parameter : network_.parameters().all())
      if (parameter->kind() == Parameter::Kind::weight && parameter->path().starts_with(path + "."))
        count += parameter->shape().numel();
    return count;
  }

  const VisionTransformer& network_;
  const VisionTransformerConfig& config_;
  TokenLayout layout_;
  ModelCost cost_;
};

}  // namespace

ModelCost model_cost(const VisionTransformer& network, int64_t height, int64_t width) {
  Counter counter(network, network.layout(height, width));
  if (network.config().patch_embedding == PatchEmbedding::tokenizer)
    counter.add_tokenizer(height, width);
  else if (network.config().patch_embedding == PatchEmbedding::resnet)
    counter.add_resnet(height, width);
  else
    counter.add_patches();
  for (int64_t i = 0; i < network.config().depth; ++i) counter.add_block(i);
  counter.add_pooling();
  counter.add_head();
  return counter.finish();
}

}  // namespace vitrail
