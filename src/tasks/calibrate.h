// Calibration: below which probability of its best class a classifier answers "none of my classes".
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "infer/session.h"

namespace vitrail {

// What a classifier thinks of one picture.
struct Certainty {
  double probability = 0;  // softmax of the best class
  bool correct = false;    // the best class is the picture's
};

using CertaintyProgress = std::function<void(int64_t done)>;

// One for each picture of the set, in order. Error: a picture that cannot be read, a model without
// a head, classes that match no label.
std::vector<Certainty> certainties(Session& session, const Dataset& set,
                                   const CertaintyProgress& progress = nullptr);

// The same of files that show other things than the model's classes: nothing is correct.
std::vector<Certainty> certainties(Session& session, const std::vector<std::string>& files,
                                   const CertaintyProgress& progress = nullptr);

// The largest threshold that at least `accept` of the pictures reach, accept in (0, 1].
// Error: no pictures, `accept` outside its range.
Rejection calibrate(std::span<const Certainty> held_out, double accept);

struct Acceptance {
  int64_t pictures = 0, accepted = 0, correct = 0;  // correct: of the accepted ones
};
Acceptance acceptance(std::span<const Certainty> pictures, const Rejection& rejection);

}  // namespace vitrail
