// What the numbers of a classifier's head mean.
#pragma once

#include <cstdint>

namespace vitrail {

enum class Answer : uint8_t {
  softmax,  // one class of several: probabilities that sum to 1
  sigmoid,  // each class is asked about by itself
  raw,      // values of a regression, as they are
};
const char* name_of(Answer answer);

// models/answer.h applies it to logits.
struct ClassAnswer {
  int64_t classes = 0;  // 0: no head, the pooled vector is the answer
  Answer meaning = Answer::softmax;
  // A picture may show several of the classes, or none; only of answer sigmoid. Without it the best
  // class is the answer, as of a classifier that binary cross-entropy has trained.
  bool multi_label = false;
  bool operator==(const ClassAnswer&) const = default;
};

}  // namespace vitrail
