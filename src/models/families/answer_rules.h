// Where configurations say what a head's numbers mean (models/answer.h), and how they are made to.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/families/draft.h"

namespace vitrail {

// Our own word in the configuration of a library that has none: softmax, sigmoid, multi_label, raw.
inline constexpr const char* kAnswerKey = "vitrail_answer";

// Makes the answer a field that somebody has to settle: of a head, before --set is applied.
void open_answer(ConfigDraft& draft);

// As transformers' ImageClassificationPipeline chooses: problem_type regression is raw,
// multi_label_classification or a single label sigmoid, anything else softmax. kAnswerKey counts
// where there is no problem_type. Error: a problem_type that transformers does not have.
void settle_answer_from_hf(ConfigDraft& draft, const nlohmann::json& config,
                           const std::string& place);
// timm says nothing; kAnswerKey does, and transformers' problem_type where somebody wrote it.
void settle_answer_from_timm(ConfigDraft& draft, const nlohmann::json& config,
                             const std::string& place);
// What nobody has said: softmax of two classes or more. Of a single number it stays open, for its
// softmax is always 1. Error: --set gives an answer to a model without a head.
void finish_answer(ConfigDraft& draft);

// Beside an adapter that brings a head: {"answer": softmax, sigmoid, multi_label or raw}.
inline constexpr const char* kAdapterAnswer = "answer.json";
nlohmann::json answer_json(const ClassAnswer& answer);
// What the adapter's head means: by its own word, or --set answer and multi_label; else as the
// base's, but that transformers answers a single label by sigmoid. json: of kAdapterAnswer, or
// null. Error: nobody says what a single number is.
void settle_adapter_answer(CheckpointInfo& info, const nlohmann::json& json,
                           const Settings& settings, const std::string& place);

// Puts it into a configuration of transformers or timm; `folds` gets what that library does not
// read of it. Error: a softmax of a single class, which transformers answers by sigmoid.
void store_answer(const VisionTransformerConfig& config, Family target, nlohmann::json& json,
                  std::vector<std::string>& folds);

}  // namespace vitrail
