#include "models/families/answer_rules.h"

#include <algorithm>
#include <array>
#include <optional>

#include "core/advice.h"
#include "core/error.h"
#include "core/printable.h"
#include "formats/json.h"
#include "models/answer.h"

namespace vitrail {
namespace {

using C = VisionTransformerConfig;

constexpr const char* kMultiLabel = "multi_label";

struct Meaning {
  Answer answer = Answer::softmax;
  bool multi_label = false;
};

struct AnswerWord {
  const char* word;
  Meaning meaning;
};
constexpr std::array<AnswerWord, 4> kOwnWords{{{"softmax", {Answer::softmax, false}},
                                               {"sigmoid", {Answer::sigmoid, false}},
                                               {kMultiLabel, {Answer::sigmoid, true}},
                                               {"raw", {Answer::raw, false}}}};
constexpr std::array<AnswerWord, 3> kProblemTypes{
    {{"single_label_classification", {Answer::softmax, false}},
     {"multi_label_classification", {Answer::sigmoid, true}},
     {"regression", {Answer::raw, false}}}};

template <size_t N>
std::optional<Meaning> meaning_in(const std::array<AnswerWord, N>& words,
                                  const nlohmann::json& config, const char* key,
                                  const std::string& place) {
  const auto value = get_optional<std::string>(config, key, place);
  if (!value) return std::nullopt;
  std::string known;
  for (const AnswerWord& word : words) {
    if (*value == word.word) return word.meaning;
    known += (known.empty() ? "" : ", ") + std::string(word.word);
  }
  fail("model", "{}: {} is '{}'; known are {}", place, key, printable(*value), known);
}

bool set_by_hand(const ConfigDraft& draft, const char* field) {
  return std::ranges::any_of(draft.sources, [&](const Provenance& source) {
    return source.field == field && source.source == said(Option::settings);
  });
}

void settle(ConfigDraft& draft, const Meaning& meaning, const std::string& source) {
  draft.settle("answer", &C::answer, meaning.answer, source);
  if (!meaning.multi_label || draft.config.answer != Answer::sigmoid ||
      set_by_hand(draft, kMultiLabel))
    return;
  draft.config.multi_label = true;
  draft.record(kMultiLabel, source);
}

std::optional<Meaning> meaning_of_problem(const nlohmann::json& config, const std::string& place) {
  return meaning_in(kProblemTypes, config, "problem_type", place);
}

}  // namespace

void open_answer(ConfigDraft& draft) {
  if (draft.config.num_classes > 0) draft.open.insert("answer");
}

void settle_answer_from_hf(ConfigDraft& draft, const nlohmann::json& config,
                           const std::string& place) {
  const int64_t classes = draft.config.num_classes;
  auto meaning = meaning_of_problem(config, place);
  if (classes == 0) return;
  if (meaning) {
    // A single label is asked about by itself, whatever its problem is called.
    if (classes == 1 && meaning->answer == Answer::softmax) meaning->answer = Answer::sigmoid;
    return settle(draft, *meaning, place + " (problem_type)");
  }
  if (const auto own = meaning_in(kOwnWords, config, kAnswerKey, place))
    return settle(draft, *own, place + " (" + kAnswerKey + ")");
  settle(
      draft, {classes == 1 ? Answer::sigmoid : Answer::softmax},
      "transformers' rule for " + std::to_string(classes) + (classes == 1 ? " label" : " labels"));
}

void settle_answer_from_timm(ConfigDraft& draft, const nlohmann::json& config,
                             const std::string& place) {
  if (draft.config.num_classes == 0) return;
  if (const auto own = meaning_in(kOwnWords, config, kAnswerKey, place))
    return settle(draft, *own, place + " (" + kAnswerKey + ")");
  if (const auto meaning = meaning_of_problem(config, place))
    settle(draft, *meaning, place + " (problem_type)");
}

void finish_answer(ConfigDraft& draft) {
  C& c = draft.config;
  const bool answer_set = set_by_hand(draft, "answer");
  const bool several_set = set_by_hand(draft, kMultiLabel);
  if (c.num_classes == 0) {
    check(!answer_set && !several_set, said(Option::settings).c_str(),
          "the model has no head, so there is no answer that could mean anything else");
    draft.open.erase("answer");
    return;
  }
  // One word of the two says the other.
  if (several_set && c.multi_label && !answer_set) {
    c.answer = Answer::sigmoid;
    draft.open.erase("answer");
  }
  if (answer_set && c.answer != Answer::sigmoid && !several_set) c.multi_label = false;
  if (c.num_classes > 1)
    draft.settle("answer", &C::answer, Answer::softmax, "nothing says otherwise");
}

nlohmann::json answer_json(const ClassAnswer& answer) {
  return {{"answer", answer.multi_label ? kMultiLabel : name_of(answer.meaning)}};
}

void settle_adapter_answer(CheckpointInfo& info, const nlohmann::json& json,
                           const Settings& settings, const std::string& place) {
  ConfigDraft draft;
  draft.config = as_vit(info.config);
  draft.open.insert("answer");
  apply_settings(draft, settings);
  if (!json.is_null()) {
    if (const auto own = meaning_in(kOwnWords, json, "answer", place)) {
      draft.config.multi_label = set_by_hand(draft, kMultiLabel) && draft.config.multi_label;
      settle(draft, *own, place);
    }
  }
  const Answer base = info.config.class_answer().meaning;
  const bool single = draft.config.num_classes == 1 && base == Answer::softmax;
  const bool hf = info.family == Family::hf_vit || info.family == Family::hf_deit ||
                  info.family == Family::hf_dinov2;
  if (!single)
    draft.settle("answer", &C::answer, base, "the adapter's base");
  else if (hf)
    draft.settle("answer", &C::answer, Answer::sigmoid, "transformers' rule for 1 label");
  finish_answer(draft);
  check(!draft.is_open("answer"), "adapter",
        "{}: its head is of one number, and nothing says what it means: {} or raw", place,
        said_setting("answer", "sigmoid"));
  info.config.set_class_answer(draft.config.class_answer());
  std::erase_if(info.sources, [](const Provenance& source) {
    return source.field == "answer" || source.field == kMultiLabel;
  });
  for (Provenance& source : draft.sources) info.sources.push_back(std::move(source));
}

void store_answer(const VisionTransformerConfig& config, Family target, nlohmann::json& json,
                  std::vector<std::string>& folds) {
  if (config.num_classes == 0) return;
  const bool single = config.num_classes == 1;
  const char* word = config.multi_label ? kMultiLabel : name_of(config.answer);
  if (target == Family::timm) {
    if (config.answer == Answer::softmax) return;
    json[kAnswerKey] = word;
    folds.push_back(
        fmt::format("timm does not say what logits mean: here they are {}, which {} in config.json "
                    "keeps for Vitrail alone",
                    described(config.class_answer()), kAnswerKey));
    return;
  }
  if (config.answer == Answer::raw) {
    json["problem_type"] = "regression";
  } else if (config.multi_label) {
    json["problem_type"] = "multi_label_classification";
  } else if (config.answer == Answer::softmax) {
    check(!single, "convert",
          "transformers answers a single label by sigmoid, and this model's answer is softmax, "
          "which is always 1; say {} or raw",
          said_setting("answer", "sigmoid"));
  } else if (!single) {
    json[kAnswerKey] = word;
    folds.push_back(
        fmt::format("transformers' pipeline takes a softmax of logits that are asked about one by "
                    "one: give it function_to_apply=\"sigmoid\" ({} in config.json says it to "
                    "Vitrail)",
                    kAnswerKey));
  }
}

}  // namespace vitrail
