#include "report/explain_page.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "explain/overlay.h"
#include "models/answer.h"
#include "report/attention_storage.h"
#include "report/page_parts.h"
#include "report/text_encoding.h"
#include "report/web_files.h"

namespace vitrail {
namespace {

using nlohmann::json;

constexpr int kPhotoSide = 1024;
constexpr int kPhotoQuality = 88;

std::vector<std::string> prefix_names(const TokenLayout& layout) {
  std::vector<std::string> names(static_cast<size_t>(layout.class_tokens), "class");
  names.insert(names.end(), static_cast<size_t>(layout.distillation_tokens), "distillation");
  for (int64_t i = 1; i <= layout.register_tokens; ++i)
    names.push_back("register " + std::to_string(i));
  return names;
}

json rollout_data(const Explanation& explanation) {
  const RolloutOptions& options = explanation.rollout_options;
  if (!explanation.no_rollout.empty()) return {{"none", explanation.no_rollout}};
  return {
      {"values", encode_base85(std::as_bytes(std::span(explanation.rollout)))},
      {"layers", explanation.layers.size()},
      {"source", explanation.from_class_token ? "the class token" : "the tokens that are pooled"},
      {"note",
       fmt::format("Here the heads are combined by their {}, and {} (discard ratio {:g}, as in "
                   "vit-explain).",
                   options.fusion == HeadFusion::mean  ? "mean"
                   : options.fusion == HeadFusion::max ? "maximum"
                                                       : "minimum",
                   options.discard_ratio > 0 ? "the smallest weights of each layer are discarded"
                                             : "no weights are discarded",
                   options.discard_ratio)}};
}

// JSON has no NaN.
json number(double value) {
  return std::isfinite(value) ? json(value) : json();
}

// A grid of tokens, and the box in the photo that it covers; of later stages that may reach beyond
// what the model saw.
json grid_data(const TokenLayout& layout, const SourceBox& box) {
  return {{"prefix", prefix_names(layout)},
          {"rows", layout.grid_height},
          {"columns", layout.grid_width},
          {"box", {box.x0, box.y0, box.x1, box.y1}}};
}

// Everything but the attention itself.
json page_data(const Explanation& explanation, const ExplainPage& page) {
  const auto [photo, seen] = shrunk_photo(explanation, kPhotoSide);
  const TokenLayout& layout = explanation.layout;
  json data = {{"picture", page.picture_name},
               {"model", page.model_name},
               {"verdict", page.verdict},
               {"meaning", page.meaning},
               {"photo", {{"source", jpeg_address(photo, kPhotoQuality)}}},
               {"box", {seen.x0, seen.y0, seen.x1, seen.y1}},
               {"layout", grid_data(layout, seen)},
               {"stages", json::array()},
               {"rollout", rollout_data(explanation)},
               {"heat", heat_steps()},
               {"transparency", kHeatTransparency},
               {"alphabet", kBase85Alphabet},
               {"predictions", json::array()}};
  for (const PagePrediction& prediction : page.predictions)
    data["predictions"].push_back({{"index", prediction.index},
                                   {"label", prediction.label ? json(*prediction.label) : json()},
                                   {"probability", number(prediction.probability)},
                                   {"value", prediction.value ? number(*prediction.value) : json()},
                                   {"below", prediction.below}});
  std::vector<SourceBox> boxes;  // of the stages' grids
  for (const TokenLayout& stage : explanation.stages) {
    const PatchMap nothing =
        patch_map(explanation, stage, std::vector<float>(static_cast<size_t>(stage.tokens())));
    data["stages"].push_back(grid_data(stage, box_of(seen, nothing)));
    boxes.push_back(box_of(explanation.geometry.box, nothing));
  }
  if (page.mask.pixels.empty()) return data;
  check_mask(explanation, page.mask);
  data["mask"] = {{"source", png_address(shrunk(to_grey(page.mask), kPhotoSide))},
                  {"coverage", mask_coverage(page.mask, explanation.geometry.box, layout).values},
                  {"stages", json::array()}};
  for (size_t i = 0; i < boxes.size(); ++i)
    data["mask"]["stages"].push_back(
        mask_coverage(page.mask, boxes[i], explanation.stages[i]).values);
  return data;
}

}  // namespace

void add_answer(ExplainPage& page, const Classification& answer, const Model& model,
                double threshold) {
  const ClassAnswer answers = model.network->class_answer();
  const bool nothing = answers.multi_label && answer.above == 0 && !answer.top.empty();
  if (answer.none || nothing) page.verdict = none_of(model.labels.size());
  if (answers.meaning == Answer::raw)
    page.meaning = "Values of a regression, as the head gives them.";
  if (answers.meaning == Answer::sigmoid)
    page.meaning = "Each class has a probability of its own (sigmoid)";
  if (answers.multi_label)
    page.meaning += fmt::format("; the picture shows those that reach {:g}%", 100 * threshold);
  if (answers.meaning == Answer::sigmoid) page.meaning += ".";
  for (const Prediction& p : answer.top) {
    PagePrediction shown{.index = p.index, .label = p.label, .probability = p.probability};
    if (answers.meaning == Answer::raw) shown.value = p.logit;
    shown.below =
        answers.multi_label && static_cast<int64_t>(page.predictions.size()) >= answer.above;
    page.predictions.push_back(std::move(shown));
  }
}

std::string explain_page(Queue& queue, const Explanation& explanation, const ExplainPage& page) {
  constexpr size_t kSlack = 4096;  // for what stands beside the layers in "attention"
  const std::string head =
      page_head(html_text(page.picture_name + " seen by " + page.model_name + " · Vitrail"),
                web::kExplainCss);
  const auto with = [&](const json& data) {
    return fill_in(web::kExplainHtml, {{"head", head},
                                       {"logo", web::kLogoSvg},
                                       {"page_js", web::kPageJs},
                                       {"maps", web::kMapsJs},
                                       {"attention", web::kAttentionJs},
                                       {"stage", web::kStageJs},
                                       {"js", web::kExplainJs},
                                       {"data", script_text(data)}});
  };
  json data = page_data(explanation, page);
  const size_t fixed = with(data).size() + kSlack;
  const size_t room = kMaxPageBytes > fixed ? kMaxPageBytes - fixed : 0;
  data["attention"] = stored_attention(queue, explanation, plan_storage(explanation, room));
  return with(data);
}

}  // namespace vitrail
