// What there is to say of a model that was loaded: where its files left something open and who
// settled it, what reading chose, what to beware of.
#pragma once

#include <string>
#include <vector>

#include "infer/model.h"

namespace vitrail {

struct ModelNote {
  bool warning = false;
  bool origin = false;  // who settled what the files left open
  std::string text;     // a line, without the model's name
};

std::vector<ModelNote> notes_of(const Model& model);
struct ModelNoteOptions {
  bool origin = true;           // who settled what the files left open
  bool bundled_classes = true;  // of a bundled model, what it knows
};
// The same, each as a message of the log, behind the model's name.
void log_notes(const Model& model, const ModelNoteOptions& options = {});

}  // namespace vitrail
