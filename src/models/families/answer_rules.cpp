#include "models/families/answer_rules.h"

#include <algorithm>
#include <array>
#include <optional>

#include "core/advice.h"
#include "core/error.h"
#include "core/printable.h"
#include "formats/json.h"
#include "models/answer.h"
#include "models/families/family.h"

namespace vitrail {
namespace {

constexpr const char* kMultiLabel = "multi_label";

struct AnswerWord {
  const char* word;
  AnswerMeaning meaning;
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
std::optional<AnswerMeaning> meaning_in(const std::array<AnswerWord, N>& words,
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

bool set_by_hand(const ReadingDraft& draft, const char* field) {
  return std::ranges::any_of(draft.sources, [&](const Provenance& source) {
    return source.field == field && source.source == said(Option::settings);
  });
}

void settle_meaning(ReadingDraft& draft, Answer meaning, const std::string& source) {
  if (draft.open.erase("answer") == 0) return;
  ClassAnswer answer = draft.class_answer();
  answer.meaning = meaning;
  draft.set_class_answer(answer);
  draft.record("answer", source);
}

}  // namespace

void open_answer(ReadingDraft& draft) {
  if (draft.class_answer().classes > 0) draft.open.insert("answer");
}

std::optional<AnswerMeaning> answer_of_own_word(const nlohmann::json& config, const char* key,
                                                const std::string& place) {
  return meaning_in(kOwnWords, config, key, place);
}

std::optional<AnswerMeaning> answer_of_problem_type(const nlohmann::json& config,
                                                    const std::string& place) {
  return meaning_in(kProblemTypes, config, "problem_type", place);
}

void settle_answer(ReadingDraft& draft, const AnswerMeaning& meaning, const std::string& source) {
  settle_meaning(draft, meaning.answer, source);
  ClassAnswer answer = draft.class_answer();
  if (!meaning.multi_label || answer.meaning != Answer::sigmoid || set_by_hand(draft, kMultiLabel))
    return;
  answer.multi_label = true;
  draft.set_class_answer(answer);
  draft.record(kMultiLabel, source);
}

void finish_answer(ReadingDraft& draft) {
  ClassAnswer answer = draft.class_answer();
  const bool answer_set = set_by_hand(draft, "answer");
  const bool several_set = set_by_hand(draft, kMultiLabel);
  if (answer.classes == 0) {
    check(!answer_set && !several_set, said(Option::settings).c_str(),
          "the model has no head, so there is no answer that could mean anything else");
    draft.open.erase("answer");
    return;
  }
  // One word of the two says the other.
  if (several_set && answer.multi_label && !answer_set) {
    answer.meaning = Answer::sigmoid;
    draft.open.erase("answer");
  }
  if (answer_set && answer.meaning != Answer::sigmoid && !several_set) answer.multi_label = false;
  draft.set_class_answer(answer);
  if (answer.classes > 1) settle_meaning(draft, Answer::softmax, "nothing says otherwise");
}

nlohmann::json answer_json(const ClassAnswer& answer) {
  return {{"answer", answer_word(answer)}};
}

void settle_adapter_answer(CheckpointInfo& info, const nlohmann::json& json,
                           const Settings& settings, const std::string& place) {
  NetworkDraft draft(info.config);
  draft.open.insert("answer");
  Settings about_answer = settings;
  std::erase_if(about_answer, [](const auto& setting) {
    return setting.first != "answer" && setting.first != kMultiLabel;
  });
  apply_settings(draft, about_answer);
  if (!json.is_null()) {
    if (const auto own = answer_of_own_word(json, "answer", place)) {
      ClassAnswer answer = draft.class_answer();
      answer.multi_label = answer.multi_label && set_by_hand(draft, kMultiLabel);
      draft.set_class_answer(answer);
      settle_answer(draft, *own, place);
    }
  }
  const Answer base = info.config.class_answer().meaning;
  const bool single = draft.class_answer().classes == 1 && base == Answer::softmax;
  const char* rule = info.family->single_label_rule();
  if (!single)
    settle_meaning(draft, base, "the adapter's base");
  else if (rule != nullptr)
    settle_meaning(draft, Answer::sigmoid, rule);
  finish_answer(draft);
  check(!draft.is_open("answer"), "adapter",
        "{}: its head is of one number, and nothing says what it means: {} or raw", place,
        said_setting("answer", "sigmoid"));
  info.config.set_class_answer(draft.class_answer());
  std::erase_if(info.sources, [](const Provenance& source) {
    return source.field == "answer" || source.field == kMultiLabel;
  });
  for (Provenance& source : draft.sources) info.sources.push_back(std::move(source));
}

const char* answer_word(const ClassAnswer& answer) {
  return answer.multi_label ? kMultiLabel : name_of(answer.meaning);
}

}  // namespace vitrail
