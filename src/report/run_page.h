// The page of a training run, or of an evaluation alone: self-contained HTML, without network.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "report/gallery.h"
#include "report/run_record.h"
#include "tasks/evaluate.h"
#include "train/run/samples.h"

namespace vitrail {

using NamedTexts = std::vector<std::pair<std::string, std::string>>;

struct RunPage {
  std::string name;                 // of the run or the model
  std::string about;                // on what, in a line
  std::optional<RunRecord> record;  // nothing: an evaluation alone
  bool running = false;             // the page is written while the run goes on

  std::optional<EvaluationResult> evaluation;
  std::string evaluated_on;         // "the 1000 test pictures of scenes"
  bool gallery_of_mistakes = true;  // else pictures as they come
  std::vector<GalleryPicture> gallery;
  std::vector<SamplePicture> samples;       // training pictures
  std::vector<std::string> sample_classes;  // names of their labels
  int64_t parameters = 0;                   // 0: unknown

  NamedTexts machine;              // of an evaluation; a run's record says it itself
  NamedTexts commands;             // what it does, and the command
  std::vector<std::string> notes;  // what the reader should know that the page lacks
};

std::string run_page(const RunPage& page);

}  // namespace vitrail
