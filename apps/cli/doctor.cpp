// vitrail doctor: what a checkpoint is, where its preprocessing came from, and what looks wrong.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "apps/cli/common.h"
#include "apps/cli/compare.h"
#include "apps/cli/standard_streams.h"
#include "apps/cli/verbs.h"
#include "data/scenes.h"
#include "formats/json_text.h"
#include "models/answer.h"

namespace vitrail::cli {
namespace {

struct DoctorArguments {
  ModelArguments model;
  RunArguments run;
  std::string against;
  double tolerance = 1e-4;
};

struct Finding {
  bool good = true;
  std::string text;
};

void check_weights(const Model& model, std::vector<Finding>& findings) {
  std::vector<std::string> zero;
  for (const auto& parameter : model.network->parameters().all()) {
    const auto values = parameter->value().values();
    if (parameter->role().is_weight() &&
        std::all_of(values.begin(), values.end(), [](float x) { return x == 0; }))
      zero.push_back(parameter->path());
  }
  findings.push_back({true, "every weight is there, fits and is finite"});
  if (!zero.empty())
    findings.push_back({false, fmt::format("{} weights are all zero, the first is {}", zero.size(),
                                           zero.front())});
}

void check_preprocessing(const Model& model, std::vector<Finding>& findings) {
  const PictureInput input = model.network->pictures();
  const PictureSize size = fixed_output_size(model.preprocess);
  if (size.height == 0) {
    findings.push_back({true, "each picture keeps a size of its own"});
  } else if (size.height == input.height && size.width == input.width) {
    findings.push_back({true, "pictures get the size that the model was made for"});
  } else {
    findings.push_back({false, fmt::format("pictures become {}x{}, the model was made for {}x{}: "
                                           "its positions are interpolated",
                                           size.height, size.width, input.height, input.width)});
  }
  if (!model.preprocess.do_normalize)
    findings.push_back({false, "the preprocessing does not normalise"});
}

void check_labels(const Model& model, std::vector<Finding>& findings) {
  std::map<std::string, int64_t> seen;
  int64_t unknown = 0, repeated = 0;
  for (const auto& name : model.labels.names) {
    if (!name)
      ++unknown;
    else if (++seen[*name] == 2)
      ++repeated;
  }
  const int64_t classes = model.labels.size();
  if (classes == 0)
    findings.push_back({true, "the model has no head: it gives features"});
  else
    findings.push_back(
        {unknown == 0, fmt::format("{} of {} classes have names", classes - unknown, classes)});
  if (classes > 0)
    findings.push_back({true, "its answers are " + described(model.network->class_answer())});
  if (model.rejection)
    findings.push_back({true, fmt::format("below a {} of {:.3f} it answers \"{}\"",
                                          model.rejection->certainty_name(),
                                          model.rejection->threshold, none_of(classes))});
  if (repeated > 0)
    findings.push_back({false, fmt::format("{} names stand for more than one class", repeated)});
}

// Two different pictures must give finite and different answers.
void check_answers(Session& session, std::vector<Finding>& findings) {
  const SceneOptions scene;
  const std::vector<Image> pictures = {render_scene_image(scene, 0), render_scene_image(scene, 1)};
  std::vector<Tensor> answers;
  for (const Image& picture : pictures) {
    const NetworkOutput output = session.run(session.prepare({&picture, 1}).images);
    answers.push_back(output.logits.defined() ? output.logits.value() : output.pooled.value());
  }
  const auto first = answers[0].values(), second = answers[1].values();
  const bool finite =
      std::all_of(first.begin(), first.end(), [](float x) { return std::isfinite(x); });
  findings.push_back({finite, finite ? "answers are finite" : "answers are not finite"});
  if (std::equal(first.begin(), first.end(), second.begin()))
    findings.push_back({false, "two different pictures get the same answer"});
}

std::string describe(const Preprocess& p) {
  return json_text(to_json(p));
}

nlohmann::ordered_json report_json(const Model& model, const std::vector<Finding>& findings) {
  nlohmann::ordered_json json;
  json["model"] = model.name;
  json["path"] = model.path.string();
  json["family"] = name_of(model.info.family);
  json["sources"] = nlohmann::ordered_json::array();
  for (const Provenance& source : model.info.sources) {
    nlohmann::ordered_json entry;
    entry["field"] = source.field;
    entry["value"] = source.value;
    entry["source"] = source.source;
    json["sources"].push_back(std::move(entry));
  }
  json["preprocess"] = to_json(model.preprocess);
  json["warnings"] = model.info.warnings;
  json["findings"] = nlohmann::ordered_json::array();
  for (const Finding& finding : findings) {
    nlohmann::ordered_json entry;
    entry["good"] = finding.good;
    entry["text"] = finding.text;
    json["findings"].push_back(std::move(entry));
  }
  return json;
}

void print_report(const Model& model, const std::vector<Finding>& findings) {
  print_stdout("{}: {}\n", model.name, model.path.string());
  print_stdout("family {}\n", name_of(model.info.family));
  for (const Provenance& source : model.info.sources)
    print_stdout("  {:<24} {:<28} {}\n", source.field, source.value, source.source);
  print_stdout("preprocessing, from {}\n  {}\n",
               model.preprocess.source.empty() ? "the checkpoint" : model.preprocess.source,
               describe(model.preprocess));
  for (const std::string& warning : model.info.warnings) print_stdout("note: {}\n", warning);
  for (const Finding& finding : findings)
    print_stdout("{}  {}\n", finding.good ? "ok  " : "LOOK", finding.text);
}

void examine(const DoctorArguments& arguments) {
  const auto model = load_model(arguments.model, load_options(arguments.model));
  std::vector<Finding> findings;
  check_weights(*model, findings);  // before packing gives the weights back
  check_preprocessing(*model, findings);
  check_labels(*model, findings);
  Session session(model, session_options(arguments.run));
  check_answers(session, findings);
  std::optional<Comparison> comparison;
  if (!arguments.against.empty())
    comparison = compare_with_reference(session, arguments.against, arguments.tolerance);
  if (arguments.run.json) {
    nlohmann::ordered_json json = report_json(*model, findings);
    if (comparison) json["against"] = comparison_json(*comparison);
    print_json(json);
  } else {
    print_report(*model, findings);
    if (comparison) print_comparison(*comparison);
  }
  if (comparison && comparison->first_divergence) throw Failed{};
}

}  // namespace

void add_doctor(CLI::App& app) {
  auto arguments = std::make_shared<DoctorArguments>();
  CLI::App* verb =
      app.add_subcommand("doctor", "Say what a checkpoint is and what looks wrong with it");
  verb->add_option("name", arguments->model.model, "a model (default: vit_tiny)");
  add_model_options(*verb, arguments->model);
  add_size_option(*verb, arguments->model);
  verb->add_option("--against", arguments->against,
                   ".safetensors file with 'input' and reference activations ('blocks.3', "
                   "'logits', ...): names the first layer that diverges");
  verb->add_option("--tolerance", arguments->tolerance, "largest max|a-b| / max|b| that agrees")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  add_run_options(*verb, arguments->run);
  set_example(*verb, "vitrail doctor vit-tiny --against reference.safetensors");
  verb->callback([arguments] { examine(*arguments); });
}

}  // namespace vitrail::cli
