// How a run's division of its pictures (data/split_record.h) is kept in its folder, found again and
// held against what the pictures are now.
#pragma once

#include <filesystem>

#include "train/run/run_data.h"

namespace vitrail {

// Writes the record of a run that begins. `base`: what the model that it begins with learned from;
// null: nothing is known of it. Error: it cannot be written.
void keep_split(const std::filesystem::path& out, const RunData& data, int threads,
                const SplitRecord* base = nullptr);

// Error naming the pictures whose content is no longer that of the record.
void check_contents(const SplitRecord& record, const RunData& data, int threads);

// The pictures of the run in `out`, divided as it divided them, by its record. Of a run that an
// older version wrote, which kept none, by the rule that gives the pictures of its checkpoint.
// Error: as open_pictures; neither rule gives them.
RunData reopen_run_data(const std::filesystem::path& out, const TrainConfig& config);

}  // namespace vitrail
