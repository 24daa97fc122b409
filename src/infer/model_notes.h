// What there is to say of a model that was loaded: where its files left something open and who
// settled it, what reading chose, what to beware of.
#pragma once

#include <string>
#include <vector>

#include "infer/model.h"

namespace vitrail {

struct ModelNote {
  bool warning = false;
  std::string text;  // a line, without the model's name
};

std::vector<ModelNote> notes_of(const Model& model);
// The same, each as a message of the log, behind the model's name.
void log_notes(const Model& model);

}  // namespace vitrail
