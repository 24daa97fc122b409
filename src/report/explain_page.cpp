#include "report/explain_page.h"

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "explain/overlay.h"
#include "image/codec.h"
#include "report/attention_storage.h"
#include "report/text_encoding.h"
#include "report/web_files.h"

namespace vitrail {
namespace {

using nlohmann::json;

constexpr int kPhotoSide = 1024;
constexpr int kPhotoQuality = 88;

// As text of a <script>: no '<', so that no label can end it; ASCII; broken UTF-8 is replaced.
std::string script_text(const json& value) {
  const std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) {
    if (c == '<')
      safe += "\\u003c";
    else
      safe += c;
  }
  return safe;
}

std::string escape_html(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

// Broken UTF-8 becomes U+FFFD.
std::string valid_utf8(const std::string& text) {
  const std::string quoted = json(text).dump(-1, ' ', false, json::error_handler_t::replace);
  return json::parse(quoted).get<std::string>();
}

// Replaces each {{name}} in one pass: what is put in is not searched again.
std::string fill_in(std::string_view page,
                    const std::vector<std::pair<std::string_view, std::string_view>>& parts) {
  std::string filled;
  while (true) {
    const size_t open = page.find("{{");
    if (open == std::string_view::npos) break;
    const size_t close = page.find("}}", open);
    const std::string_view name = page.substr(open + 2, close - open - 2);
    filled += page.substr(0, open);
    for (const auto& [key, text] : parts)
      if (key == name) filled += text;
    page.remove_prefix(close + 2);
  }
  return filled.append(page);
}

std::vector<std::string> prefix_names(const TokenLayout& layout) {
  std::vector<std::string> names(static_cast<size_t>(layout.class_tokens), "class");
  names.insert(names.end(), static_cast<size_t>(layout.distillation_tokens), "distillation");
  for (int64_t i = 1; i <= layout.register_tokens; ++i)
    names.push_back("register " + std::to_string(i));
  return names;
}

json heat_steps() {
  constexpr int kSteps = 64;
  json steps = json::array();
  for (int i = 0; i <= kSteps; ++i) steps.push_back(heat_colour(static_cast<double>(i) / kSteps));
  return steps;
}

json rollout_data(const Explanation& explanation) {
  const RolloutOptions& options = explanation.rollout_options;
  return {
      {"values", encode_base85(std::as_bytes(std::span(explanation.rollout)))},
      {"layers", explanation.layers.size()},
      {"source", explanation.from_class_token ? "the class token" : "the tokens that are pooled"},
      {"note",
       fmt::format(
           "Here heads are fused by their {}, and {} (discard ratio {:g}, as in vit-explain).",
           options.fusion == HeadFusion::mean  ? "mean"
           : options.fusion == HeadFusion::max ? "maximum"
                                               : "minimum",
           options.discard_ratio > 0 ? "the smallest weights of each layer are discarded"
                                     : "no weights are discarded",
           options.discard_ratio)}};
}

std::string data_address(const char* type, const std::vector<std::byte>& bytes) {
  return fmt::format("data:{};base64,{}", type, encode_base64(bytes));
}

// Everything but the attention itself.
json page_data(const Explanation& explanation, const ExplainPage& page) {
  const auto [photo, seen] = shrunk_photo(explanation, kPhotoSide);
  const TokenLayout& layout = explanation.layout;
  json data = {
      {"picture", page.picture_name},
      {"model", page.model_name},
      {"photo", {{"source", data_address("image/jpeg", encode_jpeg(photo, kPhotoQuality))}}},
      {"box", {seen.x0, seen.y0, seen.x1, seen.y1}},
      {"layout",
       {{"prefix", prefix_names(layout)},
        {"rows", layout.grid_height},
        {"columns", layout.grid_width}}},
      {"rollout", rollout_data(explanation)},
      {"heat", heat_steps()},
      {"transparency", kHeatTransparency},
      {"alphabet", kBase85Alphabet},
      {"predictions", json::array()}};
  for (const PagePrediction& prediction : page.predictions)
    data["predictions"].push_back({{"index", prediction.index},
                                   {"label", prediction.label ? json(*prediction.label) : json()},
                                   {"probability", prediction.probability}});
  if (page.mask.pixels.empty()) return data;
  check_mask(explanation, page.mask);
  data["mask"] = {
      {"source", data_address("image/png", encode_png(shrunk(to_grey(page.mask), kPhotoSide)))},
      {"coverage", mask_coverage(page.mask, explanation.geometry.box, layout).values}};
  return data;
}

}  // namespace

std::string explain_page(Queue& queue, const Explanation& explanation, const ExplainPage& page) {
  constexpr size_t kSlack = 4096;  // for what stands beside the layers in "attention"
  const std::string title =
      escape_html(valid_utf8(page.picture_name + " seen by " + page.model_name + " · Vitrail"));
  json data = page_data(explanation, page);
  const size_t fixed = script_text(data).size() + title.size() + web::kExplainHtml.size() +
                       web::kExplainCss.size() + web::kExplainJs.size() + kSlack;
  const size_t room = kMaxPageBytes > fixed ? kMaxPageBytes - fixed : 0;
  data["attention"] = stored_attention(queue, explanation, plan_storage(explanation, room));
  const std::string text = script_text(data);
  return fill_in(
      web::kExplainHtml,
      {{"title", title}, {"css", web::kExplainCss}, {"js", web::kExplainJs}, {"data", text}});
}

}  // namespace vitrail
