// What the configurations of transformers' PVT, PVT v2 and SegFormer say alike: lists with an entry
// for each stage, under the same keys, into fields of the same names.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/error.h"
#include "formats/json.h"
#include "models/families/hf/hf_network.h"

namespace vitrail {

struct HfPyramid {
  const char* family;
  const char* reductions;          // the key of the factors by which k and v are fewer
  std::vector<double> mlp_ratios;  // the library's default
};

// What the key holds, into the field; without it the field stays.
template <typename Field>
void read_hf_field(const nlohmann::json& in, const char* key, const std::string& place,
                   Field* field) {
  *field = get_optional<Field>(in, key, place).value_or(*field);
}

// `c` comes with the library's defaults. Error: num_encoder_blocks contradicts the lists.
template <typename Config>
void read_hf_pyramid(const nlohmann::json& in, const std::string& place, const HfPyramid& form,
                     Config* c) {
  read_hf_field(in, "num_channels", place, &c->in_channels);
  read_hf_field(in, "depths", place, &c->depths);
  read_hf_field(in, form.reductions, place, &c->reductions);
  read_hf_field(in, "hidden_sizes", place, &c->embed_dims);
  read_hf_field(in, "patch_sizes", place, &c->patch_sizes);
  read_hf_field(in, "num_attention_heads", place, &c->num_heads);
  std::vector<double> ratios = form.mlp_ratios;
  read_hf_field(in, "mlp_ratios", place, &ratios);
  c->mlp_hidden_dims.clear();
  for (size_t i = 0; i < std::min(ratios.size(), c->embed_dims.size()); ++i)
    c->mlp_hidden_dims.push_back(
        static_cast<int64_t>(static_cast<double>(c->embed_dims[i]) * ratios[i]));
  std::string activation = "gelu";
  read_hf_field(in, "hidden_act", place, &activation);
  c->activation = hf_activation(activation, place);
  const auto named = static_cast<int64_t>(c->depths.size());
  int64_t stages = named;
  read_hf_field(in, "num_encoder_blocks", place, &stages);
  check(stages == named, "transformers", "{}: num_encoder_blocks is {}, and depths names {} stages",
        place, stages, named);
}

template <typename Config>
nlohmann::json hf_pyramid_json(const Config& c, const HfPyramid& form) {
  std::vector<int64_t> ratios;
  for (size_t i = 0; i < c.embed_dims.size(); ++i)
    ratios.push_back(c.mlp_hidden_dims[i] / c.embed_dims[i]);
  return {{"num_channels", c.in_channels},
          {"num_encoder_blocks", c.depths.size()},
          {"depths", c.depths},
          {form.reductions, c.reductions},
          {"hidden_sizes", c.embed_dims},
          {"patch_sizes", c.patch_sizes},
          {"num_attention_heads", c.num_heads},
          {"mlp_ratios", ratios},
          {"hidden_act", hf_activation_name(c.activation, form.family)}};
}

// Error naming the width that is no multiple of its stage's.
template <typename Config>
void check_hf_ratios(const Config& c, const HfPyramid& form) {
  for (size_t i = 0; i < c.embed_dims.size(); ++i)
    check(c.mlp_hidden_dims[i] % c.embed_dims[i] == 0, "convert",
          "{} models cannot express an MLP {} wide on {}: the ratio is a whole number", form.family,
          c.mlp_hidden_dims[i], c.embed_dims[i]);
}

}  // namespace vitrail
