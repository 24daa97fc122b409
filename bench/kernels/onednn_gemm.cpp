#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <dnnl.hpp>

#include "bench/kernels/gemm_case.h"

namespace vitrail::bench {
namespace {

using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

dnnl::engine& engine() {
  static dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

dnnl::memory plain(const dnnl::memory::dims& dims, const float* data) {
  return {{dims, Type::f32, Tag::ab}, engine(), const_cast<float*>(data)};
}

// u8 = x / scale + kZero, as the activations of a ViT lie on both sides of zero.
constexpr int kZero = 128;

struct State {
  dnnl::stream stream{engine()};
  dnnl::memory a_f32, a, w, bias, c;
  dnnl::matmul matmul;
  dnnl::reorder convert;
  std::vector<float> output;
};

struct Scales {
  float activation = 1;
  std::vector<float> weight;  // [N]
};

Scales scales_of(const GemmData& data) {
  const auto largest = [](const float* x, int64_t count) {
    float value = 0;
    for (int64_t i = 0; i < count; ++i) value = std::max(value, std::abs(x[i]));
    return value;
  };
  Scales scales{.activation = largest(data.a.data(), static_cast<int64_t>(data.a.size())) / 127};
  for (int64_t n = 0; n < data.shape.n; ++n)
    scales.weight.push_back(largest(&data.w[static_cast<size_t>(n * data.shape.k)], data.shape.k) /
                            127);
  return scales;
}

// How A gets from f32 to what the product reads.
dnnl::primitive_attr activation_attributes(Precision precision, const Scales& scales) {
  dnnl::primitive_attr attributes;
  if (precision != Precision::int8) return attributes;
  attributes.set_output_scales(0, {1 / scales.activation});
  attributes.set_zero_points(DNNL_ARG_DST, 0, {kZero});
  return attributes;
}

void set_scales(dnnl::primitive_attr& attributes, const Scales& scales) {
  std::vector<float> output(scales.weight);
  for (float& scale : output) scale *= scales.activation;
  attributes.set_output_scales(1 << 1, output);
  attributes.set_zero_points(DNNL_ARG_SRC, 0, {kZero});
}

// W^T [K, N] in the order that the product asks for.
dnnl::memory pack_weight(dnnl::stream& stream, const GemmData& data, const Scales& scales,
                         Precision precision, const dnnl::memory::desc& wanted) {
  const dnnl::memory::dims dims{data.shape.k, data.shape.n};
  dnnl::memory source({dims, Type::f32, Tag::ba}, engine(), const_cast<float*>(data.w.data()));
  dnnl::memory packed(wanted, engine());
  std::vector<int8_t> quantized;
  if (precision == Precision::int8) {
    quantized.resize(data.w.size());
    for (size_t i = 0; i < quantized.size(); ++i)
      quantized[i] = static_cast<int8_t>(
          std::lround(data.w[i] / scales.weight[i / static_cast<size_t>(data.shape.k)]));
    source = dnnl::memory({dims, Type::s8, Tag::ba}, engine(), quantized.data());
  }
  dnnl::reorder(source, packed).execute(stream, source, packed);
  stream.wait();
  return packed;
}

}  // namespace

void onednn_use_threads(int threads) {
  omp_set_num_threads(threads);
}

std::string onednn_version() {
  const dnnl_version_t* version = dnnl_version();
  return fmt::format("{}.{}.{}", version->major, version->minor, version->patch);
}

Product onednn_product(Precision precision, const GemmData& data, bool from_f32) {
  const GemmShape& shape = data.shape;
  auto state = std::make_shared<State>();
  state->output.resize(static_cast<size_t>(shape.m * shape.n));
  const Type source = precision == Precision::bf16   ? Type::bf16
                      : precision == Precision::int8 ? Type::u8
                                                     : Type::f32;
  const Type weight = precision == Precision::int8 ? Type::s8 : source;
  const Scales scales = scales_of(data);
  dnnl::primitive_attr attributes;
  if (precision == Precision::int8) set_scales(attributes, scales);
  // int8's bias is added before the output scale in this version of oneDNN.
  auto bias = std::make_shared<std::vector<float>>(data.bias);
  if (precision == Precision::int8)
    for (size_t n = 0; n < bias->size(); ++n) (*bias)[n] /= scales.weight[n] * scales.activation;

  const dnnl::memory::desc a_desc({shape.m, shape.k}, source, Tag::ab);
  const dnnl::memory::desc w_any({shape.k, shape.n}, weight, Tag::any);
  const dnnl::memory::desc bias_desc({1, shape.n}, Type::f32, Tag::ab);
  const dnnl::memory::desc c_desc({shape.m, shape.n}, Type::f32, Tag::ab);
  const dnnl::matmul::primitive_desc primitive({a_desc, w_any, bias_desc, c_desc}, attributes,
                                               engine());
  state->matmul = dnnl::matmul(primitive);
  state->w = pack_weight(state->stream, data, scales, precision, primitive.weights_desc());
  state->a_f32 = plain({shape.m, shape.k}, data.a.data());
  state->bias = plain({1, shape.n}, bias->data());
  state->c = plain({shape.m, shape.n}, state->output.data());
  state->a = state->a_f32;
  const bool converts = source != Type::f32;
  if (converts) {
    state->a = dnnl::memory(a_desc, engine());
    state->convert = dnnl::reorder(
        dnnl::reorder::primitive_desc(engine(), state->a_f32.get_desc(), engine(), a_desc,
                                      activation_attributes(precision, scales)));
    state->convert.execute(state->stream, state->a_f32, state->a);
    state->stream.wait();
  }
  const auto run = [state, bias, each = converts && from_f32] {
    if (each) state->convert.execute(state->stream, state->a_f32, state->a);
    state->matmul.execute(state->stream, {{DNNL_ARG_SRC, state->a},
                                          {DNNL_ARG_WEIGHTS, state->w},
                                          {DNNL_ARG_BIAS, state->bias},
                                          {DNNL_ARG_DST, state->c}});
    state->stream.wait();
  };
  return {.run = run, .c = state->output.data()};
}

}  // namespace vitrail::bench
