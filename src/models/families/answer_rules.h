// What a head's numbers mean (models/answer.h), where configurations say it, and what holds when
// nobody does. The libraries' own rules stand with their families.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "models/families/reading/draft.h"

namespace vitrail {

// Our own word in the configuration of a library that has none: softmax, sigmoid, multi_label, raw.
inline constexpr const char* kAnswerKey = "vitrail_answer";

struct AnswerMeaning {
  Answer answer = Answer::softmax;
  bool multi_label = false;
};

// Makes the answer a field that somebody has to settle: of a head, before --set is applied.
void open_answer(ReadingDraft& draft);

// What our own word or transformers' problem_type says; nothing: it is not there. Error: a word
// that neither has.
std::optional<AnswerMeaning> answer_of_own_word(const nlohmann::json& config, const char* key,
                                                const std::string& place);
std::optional<AnswerMeaning> answer_of_problem_type(const nlohmann::json& config,
                                                    const std::string& place);
// Unless --set says something else.
void settle_answer(ReadingDraft& draft, const AnswerMeaning& meaning, const std::string& source);

// What nobody has said: softmax of two classes or more. Of a single number it stays open, for its
// softmax is always 1. Error: --set gives an answer to a model without a head.
void finish_answer(ReadingDraft& draft);

// Beside an adapter that brings a head: {"answer": softmax, sigmoid, multi_label or raw}.
inline constexpr const char* kAdapterAnswer = "answer.json";
nlohmann::json answer_json(const ClassAnswer& answer);
// What the adapter's head means: by its own word, or --set answer and multi_label; else as the
// base's, but that the base's library may have a rule for a single label. json: of kAdapterAnswer,
// or null. Error: nobody says what a single number is.
void settle_adapter_answer(CheckpointInfo& info, const nlohmann::json& json,
                           const Settings& settings, const std::string& place);

// Our word for it, as kAnswerKey and kAdapterAnswer hold it.
const char* answer_word(const ClassAnswer& answer);

}  // namespace vitrail
