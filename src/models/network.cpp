#include "models/network.h"

#include <unordered_map>
#include <unordered_set>

#include "core/error.h"
#include "nn/batch_norm.h"

namespace vitrail {
namespace {

// The normalisations that become part of the products before them. An adapter adds to a product
// what its normalisation then scales: with one they stay apart.
std::vector<BatchNormFold*> folds_of(const ParameterRegistry& registry) {
  std::vector<BatchNormFold*> folds;
  for (const auto& parameter : registry.all())
    if (parameter->role().kind == ParameterRole::Kind::adapter) return {};
  for (const auto& one : registry.folds())
    if (!one->folded) folds.push_back(one.get());
  return folds;
}

}  // namespace

AttentionGrids Backbone::attention_grids(const AttentionLayer& layer, int64_t picture_height,
                                         int64_t picture_width) const {
  check(layer.of_its_tokens, ErrorCode::unsupported, "explain",
        "the keys of {} are not the tokens of its stage, and this network does not tell where they "
        "lie",
        layer.path);
  const TokenLayout tokens =
      layouts(picture_height, picture_width)[static_cast<size_t>(layer.stage)];
  return {tokens, tokens};
}

std::shared_ptr<Network> NetworkConfig::make() const {
  return held_->make();
}

void Network::visit_linears(const std::function<void(const LinearSlot& slot)>& visit) const {
  // What is visited is handed out to be looked at alone, so the network stays as it is.
  const_cast<Network*>(this)->visit_linears(VisitLinear([&](LinearSlot& slot) { visit(slot); }));
}

ModelCost Network::cost(int64_t picture_height, int64_t picture_width) const {
  const TokenLayout tokens = layout(picture_height, picture_width);
  CostCounter counter(parameters());
  backbone().count(counter, picture_height, picture_width);
  count_head(counter, tokens);
  return counter.finish(tokens.tokens());
}

void Network::pack_for_inference(Queue& queue, const Packing& packing,
                                 const std::function<void(Parameter&)>& fill) {
  const auto& all = registry_->all();
  std::unordered_map<const Parameter*, BatchNormFold*> fold_of_weight;
  std::unordered_set<const Parameter*> filled;
  for (BatchNormFold* one : folds_of(*registry_)) {
    fold_of_weight[&one->weight] = one;
    for (Parameter* vector : one->vectors())
      if (filled.insert(vector).second && fill) fill(*vector);  // before the weight that takes it
  }
  queue.pool().parallel_for(static_cast<int64_t>(all.size()), [&](int64_t i, int) {
    Parameter& parameter = *all[static_cast<size_t>(i)];
    if (fill && !filled.contains(&parameter)) fill(parameter);
    if (const auto found = fold_of_weight.find(&parameter); found != fold_of_weight.end())
      fold(*found->second);
    if (!parameter.read_packed()) return;
    const Precision precision = packing.precision.of(parameter.path());
    if (packing.single_pass && precision == Precision::f32) return parameter.set_read_in_place();
    prepare_linear(queue, parameter, precision);
    parameter.release_source();
  });
  release_cached_memory();  // what the sources leave in the pool
}

}  // namespace vitrail
