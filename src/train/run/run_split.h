// How a run's division of its pictures (data/split_record.h) is kept in its folder, found again and
// held against what the pictures are now.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "train/run/run_data.h"

namespace vitrail {

// How the pictures' contents are read, as contents_of() has it.
struct ReadContents {
  int threads = 0;
  std::function<bool()> stop = {};
};
// What was learned by others before the run; null: nothing is known.
struct LearnedBefore {
  const SplitRecord* base = nullptr;     // by the model that the run begins with
  const SplitRecord* teacher = nullptr;  // by the one whose answers it learns
};
// Writes the record of a run that begins. Error: it cannot be written; as contents_of().
void keep_split(const std::filesystem::path& out, const RunData& data, const LearnedBefore& before,
                const ReadContents& how);

// What the teacher of a run that distils learned from. Nothing: there is no teacher, or nothing is
// known of it.
std::optional<SplitRecord> record_of_teacher(const TrainConfig& config);

// Validation pictures that say little, since something that shaped the model had learned them.
struct LearnedValidation {
  int64_t pictures = 0;               // of the validation, all
  int64_t copies = 0;                 // of training pictures
  int64_t learned = 0;                // these, and what base or teacher learned
  std::vector<std::string> warnings;  // a line for each kind that there is, copies first
};
// By the record of the run in `out`. `teacher`: as LearnedBefore has it.
LearnedValidation learned_validation(const std::filesystem::path& out, const SplitRecord* teacher);

// Error naming the pictures whose content is no longer that of the record; as contents_of().
void check_contents(const SplitRecord& record, const RunData& data, const ReadContents& how);

// The pictures of the run in `out`, divided as it divided them, by its record. Of a run that an
// older version wrote, which kept none, by the rule that gives the pictures of its checkpoint.
// Error: as open_pictures; neither rule gives them.
RunData reopen_run_data(const std::filesystem::path& out, const TrainConfig& config);

}  // namespace vitrail
