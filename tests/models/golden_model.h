// A golden's checkpoint as a model, and its gradients under the names of the family's file.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "models/families/canonical.h"
#include "models/families/checkpoint.h"
#include "models/golden_case.h"
#include "models/network.h"

namespace vitrail::testing {

struct GoldenModel {
  Checkpoint checkpoint;
  std::shared_ptr<Network> network;

  // A parameter joined of several tensors gives each of them its rows of the gradient; a tensor
  // that holds several parameters, or that several parameters are, gets the gradients of all.
  std::map<std::string, Tensor> gradients_in_family_names() const {
    std::map<std::string, Tensor> named;
    for (const WeightRule& rule : checkpoint.info.weights) {
      const Tensor gradient = network->parameters().at(rule.canonical).gradient();
      if (!gradient.defined()) continue;
      const Tensor flat = gradient.reshape({-1});
      int64_t begin = 0;
      for (const std::string& part : rule.parts) {
        const int64_t whole = checkpoint.file->info(part).shape.numel();
        const int64_t count = rule.part ? flat.numel() : whole;
        const int64_t at = rule.part ? rule.part->begin * whole / rule.part->of : 0;
        Tensor& sum = named.try_emplace(part, Tensor::zeros({whole})).first->second;
        for (int64_t i = 0; i < count; ++i) sum.f32()[at + i] += flat.f32()[begin + i];
        begin += count;
      }
    }
    return named;
  }
};

// As a user opens it, with the --set that the golden says is needed.
inline GoldenModel load_golden_model(const GoldenCase& golden) {
  CheckpointOptions options{.require_preprocess = false};
  for (const auto& [key, value] : golden.info.at("settings").items())
    options.settings.emplace_back(key, value.template get<std::string>());
  GoldenModel model{.checkpoint = open_checkpoint(golden.folder, options)};
  model.network = model.checkpoint.info.config.make();
  load_weights(*model.network, *model.checkpoint.tensors);
  return model;
}

}  // namespace vitrail::testing
