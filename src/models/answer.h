// What a head's numbers mean, applied: logits to probabilities, or to the values of a regression.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "models/class_answer.h"

namespace vitrail {

// "probabilities that sum to 1 (softmax)": for people.
std::string described(const ClassAnswer& answer);

// Whether each class is a question of its own, whose answer is yes from a threshold on: models for
// several classes a picture, and those of a single number that is a probability.
bool asks_each_class(const ClassAnswer& answer);

// 1 / (1 + exp(-x)), without overflow.
double sigmoid(double x);
// -log sigmoid(x) of a class that is there, -log(1 - sigmoid(x)) of one that is not.
double binary_loss(double x, bool there);
// Whether a class counts at this threshold on probabilities.
bool reaches(float logit, double threshold);

// A number for each of the logits: their softmax or sigmoids, or raw the logits themselves.
std::vector<double> scores_of(Answer answer, std::span<const float> logits);

// Error, at `place`: the model answers with the values of a regression, where classes are meant.
// what: "eval measures classes".
void refuse_regression(const ClassAnswer& answer, const char* place, const std::string& what);

}  // namespace vitrail
