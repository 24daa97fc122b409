#include "ops/attention_description.h"

#include <cmath>
#include <span>

namespace vitrail {
namespace {

using kernels::AttentionArgs;

// Strides of a bias over `sizes`, 0 along the axes it broadcasts.
template <size_t kAxes>
std::array<int64_t, kAxes> broadcast_strides(const char* name, const Shape& bias,
                                             const std::array<int64_t, kAxes>& sizes) {
  const Shape wanted{std::span<const int64_t>(sizes)};
  bool fits = bias.rank() == static_cast<int>(kAxes);
  std::array<int64_t, kAxes> strides{};
  int64_t stride = 1;
  for (int axis = static_cast<int>(kAxes) - 1; axis >= 0 && fits; --axis) {
    fits = bias[axis] == 1 || bias[axis] == wanted[axis];
    strides[axis] = bias[axis] == 1 ? 0 : stride;
    stride *= bias[axis];
  }
  check(fits, "attention", "{} of {} does not broadcast to {}", name, bias.str(), wanted.str());
  return strides;
}

class Describer {
 public:
  Describer(AttentionDescription& to, const AttentionOptions& options)
      : to_(to), args_(to.args), options_(options) {}

  void describe() {
    describe_windows();
    describe_dense();
    describe_positions();
    describe_groups();
    describe_transform("q", options_.q_norm, options_.q_rotary, args_.shape.queries,
                       &args_.q_transform);
    describe_transform("k", options_.k_norm, options_.k_rotary, args_.shape.keys,
                       &args_.k_transform);
    describe_mixing();
  }

 private:
  const float* use(const Variable& x) {
    to_.variables.push_back(x);
    return x.value().f32();
  }
  template <class T>
  const T* use(const Tensor& table) {
    to_.tables.push_back(table);
    return table.data<T>();
  }
  // Error: x is defined and has another shape.
  void expect(const char* name, const Shape& shape, const Shape& wanted) const {
    check(shape == wanted, "attention", "{}: {} of {} must be {}", options_.path, name, shape.str(),
          wanted.str());
  }

  void describe_windows() {
    if (options_.windows == nullptr) {
      check(!options_.padding.defined(), "attention", "{}: only windows have padding",
            options_.path);
      check(options_.query_windows == nullptr, "attention",
            "{}: windows of queries need some of keys", options_.path);
      return;
    }
    const AttentionWindows& keys = *options_.windows;
    const AttentionWindows& queries =
        options_.query_windows == nullptr ? keys : *options_.query_windows;
    check(queries.memory == args_.shape.queries && keys.memory == args_.shape.keys, "attention",
          "{}: windows of {} tokens do not cut {} queries and {} keys", options_.path,
          queries.memory == args_.shape.queries ? keys.memory : queries.memory, args_.shape.queries,
          args_.shape.keys);
    check(queries.windows == keys.windows && queries.groups.defined() == keys.groups.defined(),
          "attention", "{}: {} windows of queries do not belong to {} of keys", options_.path,
          queries.windows, keys.windows);
    args_.shape.batch *= keys.windows;
    args_.shape.queries = queries.tokens;
    args_.shape.keys = keys.tokens;
    args_.tokens = {.windows = keys.windows,
                    .query_rows = use<int32_t>(queries.rows),
                    .key_rows = use<int32_t>(keys.rows)};
    if (!options_.padding.defined()) return;
    const AttentionDescription::Padding parts = to_.padding();
    expect("the padding", options_.padding.shape(), {parts.size});
    float* values = options_.padding.value().f32();
    use(options_.padding);
    args_.q.padding = values;
    args_.k.padding = values + parts.k;
    args_.v.padding = values + parts.v;
  }

  void describe_dense() {
    const kernels::AttentionShape& s = args_.shape;
    kernels::AttentionBias& bias = args_.bias;
    bias.causal = options_.causal;
    bias.key_lengths = options_.key_lengths;
    if (options_.bias != nullptr && options_.bias->defined()) {
      bias.stride = broadcast_strides<4>("a bias", options_.bias->shape(),
                                         {s.batch, s.heads, s.queries, s.keys});
      bias.dense = use(*options_.bias);
    }
    if (options_.key_bias.defined()) {
      bias.key_stride = broadcast_strides<3>("a bias by key", options_.key_bias.shape(),
                                             {s.batch, s.heads, s.keys});
      bias.by_key = use(options_.key_bias);
    }
  }

  void describe_positions() {
    const kernels::AttentionShape& s = args_.shape;
    if (options_.relative.table.defined()) describe_relative(options_.relative);
    const DecomposedBias& decomposed = options_.decomposed;
    if (decomposed.rows.defined()) {
      expect("the table of rows", decomposed.rows.shape(), {2 * decomposed.height - 1, s.head_dim});
      expect("the table of columns", decomposed.columns.shape(),
             {2 * decomposed.width - 1, s.head_dim});
      check(decomposed.height * decomposed.width == s.queries && s.queries == s.keys, "attention",
            "{}: rows and columns of a grid of {}x{} do not fit {} queries and {} keys",
            options_.path, decomposed.height, decomposed.width, s.queries, s.keys);
      args_.bias.decomposed = {.rows = use(decomposed.rows),
                               .columns = use(decomposed.columns),
                               .height = decomposed.height,
                               .width = decomposed.width};
    }
    const DistanceBias& distance = options_.distance;
    if (distance.slopes.defined()) {
      expect("the slopes", distance.slopes.shape(), {s.heads});
      expect("the places of queries", distance.query_places.shape(), {s.queries, 2});
      expect("the places of keys", distance.key_places.shape(), {s.keys, 2});
      args_.bias.distance = {.slopes = use(distance.slopes),
                             .query_places = use<float>(distance.query_places),
                             .key_places = use<float>(distance.key_places),
                             .prefix = distance.prefix};
    }
  }

  void describe_relative(const RelativeBias& relative) {
    const kernels::AttentionShape& s = args_.shape;
    const RelativeIndex& index = relative.index;
    expect("the table of relative positions", relative.table.shape(), {index.entries, s.heads});
    check(index.queries() == s.queries && index.keys() == s.keys, "attention",
          "{}: relative positions of {} queries and {} keys do not fit {} and {}", options_.path,
          index.queries(), index.keys(), s.queries, s.keys);
    kernels::RelativeTable& table = args_.bias.table;
    table = {.values = use(relative.table), .entries = index.entries, .prefix = index.prefix};
    if (index.index.defined()) {
      table.index = use<int32_t>(index.index);
      return;
    }
    table.query_entry = use<int32_t>(index.query_entry);
    table.key_entry = use<int32_t>(index.key_entry);
    if (index.prefix == 0 || !index.prefix_has_entries) return;
    const auto entries = static_cast<int32_t>(index.entries);
    table.prefix_to_token = entries - 3;
    table.token_to_prefix = entries - 2;
    table.prefix_to_prefix = entries - 1;
  }

  void describe_groups() {
    GroupBias groups = options_.groups;
    if (options_.windows != nullptr && options_.windows->groups.defined()) {
      check(!groups.query_groups.defined(), "attention",
            "{}: shifted windows have groups of their own", options_.path);
      const AttentionWindows* queries = options_.query_windows;
      groups = {.query_groups = queries == nullptr ? options_.windows->groups : queries->groups,
                .key_groups = options_.windows->groups,
                .penalty = options_.windows->penalty};
    }
    if (!groups.query_groups.defined()) return;
    const int64_t periods = groups.query_groups.size(0);
    expect("the groups of queries", groups.query_groups.shape(), {periods, args_.shape.queries});
    expect("the groups of keys", groups.key_groups.shape(), {periods, args_.shape.keys});
    check(periods > 0 && args_.shape.batch % periods == 0, "attention",
          "{}: groups of {} sequences do not repeat over {}", options_.path, periods,
          args_.shape.batch);
    args_.bias.groups = {.query_groups = use<int32_t>(groups.query_groups),
                         .key_groups = use<int32_t>(groups.key_groups),
                         .periods = periods,
                         .penalty = groups.penalty};
  }

  void describe_transform(const char* name, const HeadNormalization& norm,
                          const RotaryPositions& rotary, int64_t tokens,
                          kernels::HeadTransform* transform) {
    const int64_t dim = args_.shape.head_dim, heads = args_.shape.heads;
    transform->norm.kind = norm.kind;
    transform->norm.epsilon = static_cast<float>(norm.epsilon);
    const auto weight = [&](const char* what, const Variable& x, int64_t length) {
      if (!x.defined()) return static_cast<const float*>(nullptr);
      check(x.shape() == Shape{length}, "attention", "{}: the {} of {}'s norm is {}, not [{}]",
            options_.path, what, name, x.shape().str(), length);
      return use(x);
    };
    transform->norm.weight = weight("weight", norm.weight, dim);
    transform->norm.bias = weight("bias", norm.bias, dim);
    transform->norm.gain = weight("gain", norm.gain, heads);
    if (!rotary.angles.defined()) return;
    const Shape& shape = rotary.angles.shape();
    check(shape.rank() == 3 && (shape[0] == 1 || shape[0] == heads) &&
              shape[1] == tokens - rotary.prefix && 2 * shape[2] == dim,
          "attention",
          "{}: angles of {} do not turn {} heads of {} values, {} tokens behind {} that stay",
          options_.path, shape.str(), heads, dim, tokens - rotary.prefix, rotary.prefix);
    to_.variables.push_back(rotary.angles);
    transform->rotary = {.cosine = use<float>(rotary.cosine),
                         .sine = use<float>(rotary.sine),
                         .head_stride = shape[0] == 1 ? 0 : shape[1] * shape[2],
                         .prefix = rotary.prefix,
                         .interleaved = rotary.interleaved};
  }

  void describe_mixing() {
    const HeadMixingWeights& mixing = options_.mixing;
    if (!mixing.present()) return;
    check(!args_.bias.present() && options_.windows == nullptr && !args_.q_transform.present() &&
              !args_.k_transform.present() && args_.scale > 0,
          "attention",
          "{}: heads that are mixed take no bias, windows, norms or rotation, and a scale above 0",
          options_.path);
    const int64_t heads = args_.shape.heads;
    const auto learned = [&](const char* name, const Variable& x, const Shape& shape) {
      if (!x.defined()) return static_cast<const float*>(nullptr);
      expect(name, x.shape(), shape);
      return use(x);
    };
    kernels::HeadMixing& to = args_.mixing;
    to.before = learned("the mixing of scores", mixing.before, {heads, heads});
    to.before_bias = learned("the bias of mixed scores", mixing.before_bias, {heads});
    to.after = learned("the mixing of weights", mixing.after, {heads, heads});
    to.after_bias = learned("the bias of mixed weights", mixing.after_bias, {heads});
    if (mixing.norm == nullptr) return;
    check(mixing.norm->beta != nullptr, "attention", "{}: the norm over heads needs a bias",
          options_.path);
    to.norm_weight = learned("the norm over heads", mixing.norm->gamma.variable(), {heads});
    to.norm_bias = learned("the norm over heads", mixing.norm->beta->variable(), {heads});
    to.norm_epsilon = static_cast<float>(mixing.norm->epsilon);
  }

  AttentionDescription& to_;
  AttentionArgs& args_;
  const AttentionOptions& options_;
};

// Where the gradient of x is added; null where nobody wants it.
float* gradient_of(const Variable& x) {
  return x.defined() && x.needs_gradient() ? x.slot()->accumulator(x.shape()).f32() : nullptr;
}

kernels::HeadTransformGradient transform_gradients(const HeadNormalization& norm,
                                                   const RotaryPositions& rotary) {
  return {.weight = gradient_of(norm.weight),
          .bias = gradient_of(norm.bias),
          .gain = gradient_of(norm.gain),
          .angles = gradient_of(rotary.angles)};
}

}  // namespace

kernels::HeadView heads_of(const Tensor& tensor, const HeadPlace& place) {
  const int64_t row = tensor.size(2);
  return {.data = tensor.f32() + place.first, .stride = {tensor.size(1) * row, place.step, row}};
}

AttentionDescription::AttentionDescription(const AttentionOperands& operands,
                                           const AttentionOptions& options)
    : variables{operands.q, operands.k, operands.v}, in(operands) {
  args.shape = {.batch = in.q.size(0),
                .heads = options.heads,
                .queries = in.q.size(1),
                .keys = in.k.size(1),
                .head_dim = in.head_dim,
                .own_value_dim = in.value_dim};
  args.q = heads_of(in.q.value(), in.q_place);
  args.k = heads_of(in.k.value(), in.k_place);
  args.v = heads_of(in.v.value(), in.v_place);
  args.scale = static_cast<float>(
      options.scale != 0 ? options.scale : 1.0 / std::sqrt(static_cast<double>(in.head_dim)));
  Describer(*this, options).describe();
}

// Of one tensor it is a row of it.
AttentionDescription::Padding AttentionDescription::padding() const {
  const int64_t width = args.shape.heads * in.head_dim, size = 2 * width + output_width();
  if (in.shares_all) return {.size = size, .k = in.k_place.first, .v = in.v_place.first};
  return {.size = size, .k = width, .v = 2 * width};
}

void AttentionDescription::want_gradients(const AttentionOptions& options,
                                          kernels::AttentionBackward* grad) const {
  if (options.bias != nullptr) grad->bias.dense = gradient_of(*options.bias);
  grad->bias.by_key = gradient_of(options.key_bias);
  grad->bias.table = gradient_of(options.relative.table);
  grad->bias.decomposed_rows = gradient_of(options.decomposed.rows);
  grad->bias.decomposed_columns = gradient_of(options.decomposed.columns);
  grad->bias.slopes = gradient_of(options.distance.slopes);
  grad->q_transform = transform_gradients(options.q_norm, options.q_rotary);
  grad->k_transform = transform_gradients(options.k_norm, options.k_rotary);
  float* padding = gradient_of(options.padding);
  if (padding == nullptr) return;
  const Padding parts = this->padding();
  grad->dq.padding = padding;
  grad->dk.padding = padding + parts.k;
  grad->dv.padding = padding + parts.v;
}

}  // namespace vitrail
