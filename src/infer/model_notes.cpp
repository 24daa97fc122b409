#include "infer/model_notes.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/log.h"

namespace vitrail {
namespace {

constexpr size_t kListedClasses = 12;

std::string classes_of(const Model& model) {
  std::string classes;
  const size_t count = model.labels.names.size();
  for (size_t i = 0; i < std::min(count, kListedClasses); ++i)
    classes += (i == 0 ? "" : ", ") + model.labels.names[i].value_or("(unnamed)");
  if (count > kListedClasses) classes += fmt::format(", ... ({} in all)", count);
  return classes;
}

}  // namespace

std::vector<ModelNote> notes_of(const Model& model) {
  std::vector<ModelNote> notes;
  if (std::string origin = origin_of(model.info); !origin.empty() && !model.bundled)
    notes.push_back({.origin = true, .text = std::move(origin)});
  for (const std::string& note : model.info.notes) notes.push_back({.text = note});
  for (const std::string& warning : model.info.warnings)
    notes.push_back({.warning = true, .text = warning});
  return notes;
}

void log_notes(const Model& model, const ModelNoteOptions& options) {
  for (const ModelNote& note : notes_of(model)) {
    if (note.origin && !options.origin) continue;
    (note.warning ? log_warning : log_info)(fmt::format("{}: {}", model.name, note.text));
  }
  if (model.bundled && options.bundled_classes)
    log_info(fmt::format("the bundled model '{}' knows {}", model.name, classes_of(model)));
}

}  // namespace vitrail
