// vitrail inspect: what a model consists of and what it costs.
#include <fmt/format.h>

#include "apps/cli/common.h"
#include "apps/cli/standard_streams.h"
#include "apps/cli/verbs.h"
#include "core/memory.h"
#include "models/answer.h"

namespace vitrail::cli {
namespace {

struct InspectArguments {
  ModelArguments model;
  RunArguments run;
};

struct Memory {
  size_t weights = 0, working = 0;  // bytes
};

// Measured on one pass: what the pool takes from the system beyond the weights.
Memory measure_memory(Session& session, int64_t batch, PictureSize size) {
  const Model& model = session.model();
  const Tensor images =
      Tensor::zeros({batch, model.network->pictures().channels, size.height, size.width});
  release_cached_memory();
  const size_t before = memory_stats().bytes_reserved - images.bytes();
  session.run(images);
  return {
      .weights = static_cast<size_t>(model.network->parameters().num_elements()) * sizeof(float),
      .working = memory_stats().bytes_reserved - before};
}

nlohmann::ordered_json shape_json(const Shape& shape) {
  return std::vector<int64_t>(shape.begin(), shape.end());
}

void print_inspected(const Model& model, const ModelCost& cost, const Memory& memory,
                     PictureSize size, int batch) {
  print_stdout("{} ({})\n", model.name, name_of(model.info.family));
  print_stdout("  {:<28} {:>14} {:>12} {:>14}\n", "layer", "output", "parameters", "multiply-adds");
  for (const LayerCost& layer : cost.layers)
    print_stdout("  {:<28} {:>14} {:>12} {:>14}\n", layer.path, layer.output.str(),
                 human_count(static_cast<double>(layer.parameters)),
                 human_count(static_cast<double>(layer.multiply_adds)));
  print_stdout("{}x{}: {} tokens, {} parameters, {} multiply-adds a picture\n", size.height,
               size.width, cost.tokens, human_count(static_cast<double>(cost.parameters)),
               human_count(static_cast<double>(cost.multiply_adds)));
  if (model.network->class_answer().classes > 0)
    print_stdout("answers: {}\n", described(model.network->class_answer()));
  print_stdout("memory: {:.1f} MB weights, {:.1f} MB working memory for a batch of {}\n",
               static_cast<double>(memory.weights) * 1e-6,
               static_cast<double>(memory.working) * 1e-6, batch);
}

void print_inspected_json(const Model& model, const ModelCost& cost, const Memory& memory,
                          PictureSize size, int batch) {
  nlohmann::ordered_json json;
  json["model"] = model.name;
  json["family"] = name_of(model.info.family);
  json["config"] = to_json(model.network->config());
  json["height"] = size.height;
  json["width"] = size.width;
  json["batch"] = batch;
  json["tokens"] = cost.tokens;
  json["parameters"] = cost.parameters;
  json["multiply_adds"] = cost.multiply_adds;
  json["weight_bytes"] = memory.weights;
  json["working_bytes"] = memory.working;
  json["layers"] = nlohmann::ordered_json::array();
  for (const LayerCost& layer : cost.layers) {
    nlohmann::ordered_json entry;
    entry["path"] = layer.path;
    entry["output"] = shape_json(layer.output);
    entry["parameters"] = layer.parameters;
    entry["multiply_adds"] = layer.multiply_adds;
    json["layers"].push_back(std::move(entry));
  }
  print_json(json);
}

void inspect(const InspectArguments& arguments) {
  Session session(
      open_model_or_architecture(arguments.model, load_options(arguments.model, arguments.run)),
      session_options(arguments.run));
  const Model& model = session.model();
  const PictureInput input = model.network->pictures();
  const PictureSize size = {static_cast<int>(input.height), static_cast<int>(input.width)};
  const ModelCost cost = model.network->cost(size.height, size.width);
  const Memory memory = measure_memory(session, arguments.run.batch, size);
  (arguments.run.json ? print_inspected_json : print_inspected)(model, cost, memory, size,
                                                                arguments.run.batch);
}

}  // namespace

void add_inspect(CLI::App& app) {
  auto arguments = std::make_shared<InspectArguments>();
  arguments->run.batch = 1;
  CLI::App* verb =
      app.add_subcommand("inspect", "Layers, parameters, multiply-adds and memory of a model");
  verb->add_option("name", arguments->model.model,
                   "a model or an architecture's name (default: vit_tiny_patch16_224)");
  add_model_options(*verb, arguments->model);
  add_size_option(*verb, arguments->model);
  add_run_options(*verb, arguments->run);
  set_example(*verb, "vitrail inspect vit_base_patch16_224 --size 384");
  verb->callback([arguments] { inspect(*arguments); });
}

}  // namespace vitrail::cli
