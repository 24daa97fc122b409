#include "train/run/run_split.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/printable.h"
#include "core/rng.h"
#include "data/held_out.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "train/run/checkpoint.h"
#include "train/run/run_identity.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

// What the newest checkpoint that can be read says of the run's pictures; null: there is none.
Json pictures_of_checkpoint(const fs::path& out) {
  std::error_code ignored;
  const fs::path folder = out / "checkpoints";
  if (!fs::is_directory(folder, ignored)) return nullptr;
  const CheckpointFolder checkpoints(folder);
  std::vector<int64_t> steps = checkpoints.steps();
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    try {
      const auto file = SafetensorsFile::open(checkpoints.path_of(*step));
      const auto description = file->metadata().find("vitrail");
      if (description == file->metadata().end()) continue;
      const Json known = parse_json(description->second, file->place());
      if (known.is_object() && known.contains("identity") && known.at("identity").is_object())
        return known.at("identity");
    } catch (const Error&) {  // resuming names the damaged ones
    }
  }
  return nullptr;
}

// Before runs kept a record, `train` held out each picture by itself.
std::vector<bool> held_out_of_old(const Dataset& whole, const OpenOptions& options) {
  std::vector<bool> out(static_cast<size_t>(whole.size()));
  for (int64_t i = 0; i < whole.size(); ++i)
    out[static_cast<size_t>(i)] =
        philox(hash_path(whole.id(i)), options.split_seed, hash_path("held out"))[0] * 0x1p-32 <
        options.val_fraction;
  return out;
}

bool gives(const HeldOut& parts, const Json& pictures) {
  return parts.train->size() > 0 && parts.validation->size() > 0 &&
         identity_of(*parts.train) == pictures.value("training pictures", Json()) &&
         identity_of(*parts.validation) == pictures.value("validation pictures", Json());
}

}  // namespace

void keep_split(const fs::path& out, const RunData& data, const LearnedBefore& before,
                const ReadContents& how) {
  SplitRecord record = data.split;
  const auto add = [&](Part part, const Dataset& set) {
    add_part(record, part, set, contents_of(set, how.threads, 0, how.stop));
  };
  add(Part::training, *data.train);
  if (data.judge) add(Part::validation, *data.judge);
  for (const SplitRecord* earlier : {before.base, before.teacher})
    if (earlier != nullptr) add_earlier(record, *earlier);
  write_split_record(out, record);
}

std::optional<SplitRecord> record_of_teacher(const TrainConfig& config) {
  const std::string& teacher = config.learning.teacher;
  std::error_code ignored;
  if (teacher.empty() || !fs::exists(teacher, ignored)) return std::nullopt;  // a bundled model
  return read_record_of_model(teacher);
}

LearnedValidation learned_validation(const fs::path& out, const SplitRecord* teacher) {
  const auto record = read_split_record(out);
  if (!record) return {};
  std::vector<uint64_t> judged;
  for (const SplitRecord::Picture& picture : record->pictures)
    if (picture.part == Part::validation) judged.push_back(picture.content);
  const auto count = static_cast<int64_t>(judged.size());
  LearnedValidation result{.pictures = count, .learned = count_learned(*record, judged)};
  SplitRecord here = *record;
  std::erase_if(here.pictures, [](const auto& p) { return p.part == Part::earlier; });
  const int64_t copies = result.copies = count_learned(here, judged);
  const int64_t from_teacher = teacher != nullptr ? count_learned(*teacher, judged) : 0;
  if (copies > 0)
    result.warnings.push_back(
        fmt::format("{} of the {} validation pictures are copies of training pictures: accuracy on "
                    "them says little",
                    copies, count));
  if (from_teacher > 0)
    result.warnings.push_back(
        fmt::format("{} of the {} validation pictures were learned by the teacher: accuracy on "
                    "them says little, since the model learns the teacher's answers",
                    from_teacher, count));
  // Some pictures may be of several kinds.
  if (const int64_t others = result.learned - copies - from_teacher; others > 0)
    result.warnings.push_back(
        fmt::format("{} of the {} validation pictures were learned by the model that this begins "
                    "with: accuracy on them says little",
                    others, count));
  return result;
}

void check_contents(const SplitRecord& record, const RunData& data, const ReadContents& how) {
  const auto compare = [&](const Dataset& set, Part part) {
    const std::vector<uint64_t> contents = contents_of(set, how.threads, 0, how.stop);
    const std::string text = differences(record, {&set, &contents, {part}});
    check(
        text.empty(), "split",
        "{} changed since the run began: {}; put the pictures back as they were, or begin another "
        "run",
        printable(set.name()), text);
  };
  compare(*data.train, Part::training);
  if (data.judge) compare(*data.judge, Part::validation);
}

RunData reopen_run_data(const fs::path& out, const TrainConfig& config) {
  if (const auto record = read_split_record(out)) return open_run_data(config, &*record);
  const Json pictures = pictures_of_checkpoint(out);
  const OpenOptions open = config.open_options();
  // Nothing was divided, or nothing learned.
  if (!pictures.is_object() || !pictures.contains("validation pictures") || !config.val.empty())
    return open_run_data(config);
  for (const Split split : own_splits(config.data))
    if (split == Split::val) return open_run_data(config);
  OpenOptions all = open;
  all.val_fraction = 0;
  const std::shared_ptr<const Dataset> whole = open_dataset(config.data, Split::train, all);
  for (const bool old : {false, true}) {
    HeldOut parts =
        old ? divided(whole, held_out_of_old(*whole, open)) : split_held_out(whole, open);
    if (!gives(parts, pictures)) continue;
    RunData data =
        open_pictures({.data = config.data, .val = "", .open = open, .validate_beside_test = true});
    data.train = std::move(parts.train);
    data.judge = std::move(parts.validation);
    return data;
  }
  fail("split",
       "the run in {} keeps no list of the pictures that it held out (an older version of Vitrail "
       "wrote it), and those of {} now are not divided as then: put them back as they were, or "
       "begin another run",
       printable(out.string()), printable(config.data));
}

}  // namespace vitrail
