// Calibration: below which certainty (models/rejection.h) a classifier answers "none of my
// classes".
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "infer/session.h"

namespace vitrail {

// What a classifier thinks of one picture.
struct Certainty {
  double value = 0;      // of its best class: a probability or a typicality
  bool correct = false;  // the best class is the picture's
};

using CertaintyProgress = std::function<void(int64_t done)>;
using SharedGaussians = std::shared_ptr<const ClassGaussians>;

// Where features of the model's classes lie, learned from up to `limit` pictures of the set, evenly
// taken. Error: a picture that cannot be read, a model without a head, a class that the set lacks.
SharedGaussians learn_gaussians(Session& session, const Dataset& training, int64_t limit,
                                const CertaintyProgress& progress = nullptr);

// One for each picture of the set, in order: its typicality by the Gaussians, or without any its
// probability. Error: a picture that cannot be read, a model without a head, classes that match no
// label.
std::vector<Certainty> certainties(Session& session, const Dataset& set,
                                   const SharedGaussians& gaussians,
                                   const CertaintyProgress& progress = nullptr);

// The same of files that show other things than the model's classes: nothing is correct.
std::vector<Certainty> certainties(Session& session, const std::vector<std::string>& files,
                                   const SharedGaussians& gaussians,
                                   const CertaintyProgress& progress = nullptr);

// The largest threshold that at least `accept` of the pictures reach, accept in (0, 1]; gaussians:
// what their certainties are by. Error: no pictures, `accept` outside its range.
Rejection calibrate(std::span<const Certainty> held_out, double accept,
                    const SharedGaussians& gaussians = nullptr);

struct Acceptance {
  int64_t pictures = 0, accepted = 0, correct = 0;  // correct: of the accepted ones
};
Acceptance acceptance(std::span<const Certainty> pictures, const Rejection& rejection);

}  // namespace vitrail
