// A model on its way into a family's form: its configuration, its weights under canonical names,
// and what was said differently.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "formats/tensor_source.h"
#include "models/vit_config.h"

namespace vitrail {

class ModelEdit {
 public:
  // `target` is the family's name, for messages.
  ModelEdit(const VitConfig& config, const TensorSource& canonical, const char* target);

  // Unless `possible`, the target has no way to say it. Error.
  void require(bool possible, const std::string& what) const;
  // Notes what the target says differently with the same answers.
  void fold(const std::string& what) { folds.push_back(what); }

  Tensor& at(const std::string& name);  // Error: the model has none
  void rename(const std::string& from, const std::string& to);
  DType dtype() { return at("patch_embed.proj.weight").dtype(); }
  // In the tensor's dtype. Error: values that f16 does not hold.
  Tensor scaled(const Tensor& tensor, double factor) const;
  static std::string block(int64_t index, const char* name) {
    return "blocks." + std::to_string(index) + "." + name;
  }

  VitConfig config;
  std::map<std::string, Tensor> tensors;
  std::vector<std::string> folds;

 private:
  const char* target_;
};

// Columns (ph, pw, C), channel fastest, and [C, ph, pw] hold the same weights: turns a convolution
// of patches into a matrix (`linear`) or back.
void turn_patch_embedding(ModelEdit& model, bool linear);
// A prefix token's position is a part of the token: those behind the first `kept` go there.
void fold_positions(ModelEdit& model, int64_t kept);
// Of one attention ("blocks.3.attn."): qkv.bias with zeros for k in the place of q_bias and v_bias,
// and the other way round, which forgets the bias of k.
void join_biases(ModelEdit& model, const std::string& attention);
void split_biases(ModelEdit& model, const std::string& attention);
// Of one MLP ("blocks.3.mlp."): fc1_g and fc1_x in the place of fc1.
void split_gate(ModelEdit& model, const std::string& mlp);
// Prefix tokens without a position get one of zeros, until the table covers `wanted` of them.
void add_positions(ModelEdit& model, int64_t wanted);

}  // namespace vitrail
