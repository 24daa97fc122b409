#include "apps/cli/judged_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <unordered_set>

#include "core/error.h"
#include "core/log.h"
#include "core/printable.h"
#include "data/held_out.h"

namespace vitrail::cli {
namespace {

namespace fs = std::filesystem;

fs::path folder_of(const fs::path& model) {
  std::error_code ignored;
  if (fs::is_directory(model, ignored)) return model;
  const fs::path parent = model.parent_path();
  return parent.empty() ? fs::path(".") : parent;
}

// How many pictures of the set are among those that the run divided.
int64_t count_known(const SplitRecord& record, const std::vector<uint64_t>& contents) {
  std::unordered_set<uint64_t> known;
  for (const SplitRecord::Picture& picture : record.pictures)
    if (picture.part != Part::earlier && picture.content != 0) known.insert(picture.content);
  return std::ranges::count_if(contents, [&](uint64_t c) { return known.contains(c); });
}

}  // namespace

void add_hold_out_options(CLI::App& verb, HoldOutArguments& arguments) {
  verb.add_option("--val-fraction", arguments.fraction,
                  "of each class, held out as val where neither the set nor the model's run is "
                  "divided (default: 0.1)")
      ->check(CLI::Range(0.01, 0.9));
  verb.add_option("--seed", arguments.seed, "of that division (default: 0)")
      ->check(CLI::NonNegativeNumber);
  verb.add_option("--group", arguments.group,
                  "keeps near-duplicates on one side of it, as in vitrail finetune");
}

std::optional<SplitRecord> record_of(const Model& model, const ModelArguments& arguments) {
  if (model.path.empty()) return std::nullopt;
  std::optional<SplitRecord> record = read_record_of_model(model.path);
  for (const auto& [name, value] : parse_settings(arguments.settings)) {
    if (name != "adapter") continue;
    std::optional<SplitRecord> adapter = read_split_record(folder_of(value));
    if (!adapter) continue;
    if (record) add_earlier(*adapter, *record);
    record = std::move(adapter);
  }
  return record;
}

void pass_on_record(const Model& model, const ModelArguments& arguments, const fs::path& to) {
  std::error_code ignored;
  if (fs::equivalent(folder_of(model.path), to, ignored)) return;
  if (const auto record = record_of(model, arguments))
    write_split_record(to, *record);
  else
    fs::remove(to / kSplitFile, ignored);  // of the model that was there before
}

JudgedSets::JudgedSets(const Model& model, const ModelArguments& arguments,
                       const HoldOutArguments& hold_out, int threads)
    : model_(printable(model.path.string())),
      options_{.decode = model.preprocess.decode_options()},
      hold_out_(hold_out),
      threads_(threads),
      record_(record_of(model, arguments)) {
  options_.val_fraction = hold_out.fraction.value_or(options_.val_fraction);
  options_.split_seed = static_cast<uint64_t>(hold_out.seed.value_or(0));
  options_.group = hold_out.group.value_or("");
}

// A verb may ask for several splits of one set.
const PictureSource& JudgedSets::source_of(const std::string& spec) {
  if (!source_ || source_spec_ != spec) {
    source_ = std::make_unique<PictureSource>(spec, options_.decode);
    source_spec_ = spec;
  }
  return *source_;
}

std::unique_ptr<Dataset> JudgedSets::open(const std::string& spec, Split split) {
  const PictureSource& source = source_of(spec);
  const std::vector<Split> own = source.splits();
  const auto has = [&](Split which) { return std::ranges::find(own, which) != own.end(); };
  const bool divide = (split == Split::val || split == Split::train) && !has(Split::val) &&
                      (has(Split::all) || has(Split::train));
  if (divide) return open_divided(spec, split);
  if (hold_out_.any())
    throw BadUsage(fmt::format(
        "--val-fraction, --seed and --group say what is held out of a set that is not divided; the "
        "{} pictures of {} are there as they are",
        name_of(split), printable(spec)));
  divided_by_ = "the set itself";
  return source.open(split, options_);
}

std::unique_ptr<Dataset> JudgedSets::open_divided(const std::string& spec, Split split) {
  OpenOptions all = options_;
  all.val_fraction = 0;
  std::shared_ptr<const Dataset> whole = source_of(spec).open(Split::train, all);
  if (record_) {
    const std::vector<uint64_t> contents = contents_of(*whole, threads_);
    const int64_t known = count_known(*record_, contents);
    const int64_t divided = record_->count(Part::training) + record_->count(Part::validation);
    if (spec == record_->data || 2 * known > std::min(whole->size(), divided))
      return as_the_run(spec, split, std::move(whole), contents);
  }
  const SplitRecord rule{.data = spec,
                         .val = "",
                         .held_out = true,
                         .fraction = options_.val_fraction,
                         .seed = options_.split_seed,
                         .group = options_.group};
  divided_by_ = fmt::format("this command: {}", rule.rule());
  log_info(fmt::format("{} is not divided: val is {} of it{}", printable(spec), rule.rule(),
                       record_ ? "" : "; what this model learned from is not known"));
  HeldOut parts = split_held_out(std::move(whole), options_);
  return std::move(split == Split::val ? parts.validation : parts.train);
}

std::unique_ptr<Dataset> JudgedSets::as_the_run(const std::string& spec, Split split,
                                                std::shared_ptr<const Dataset> whole,
                                                const std::vector<uint64_t>& contents) {
  const std::string set = printable(spec);
  const std::vector<Split> own = source_of(spec).splits();
  const bool has_test = std::ranges::find(own, Split::test) != own.end();
  if (hold_out_.any())
    throw BadUsage(
        fmt::format("the run that made {} has divided these pictures already ({}); leave "
                    "--val-fraction, --seed "
                    "and --group out",
                    model_, record_->held_out ? record_->rule() : "all of them to learn from"));
  check(record_->held_out || split == Split::train, "split",
        "the model learned from the training pictures of {} and held none of them out; judge it on "
        "others{} (--split all judges on these, too)",
        set,
        has_test               ? std::string(": --split test")
        : record_->val.empty() ? std::string()
                               : fmt::format(", such as {}", printable(record_->val)));
  std::vector<Part> parts{Part::training};
  if (record_->held_out) parts.push_back(Part::validation);
  const std::string text = differences(*record_, {whole.get(), &contents, parts});
  check(text.empty(), "split",
        "{} does not hold the pictures that the run of {} divided: {}; put them back as {} lists "
        "them, or judge all of them with --split all",
        set, model_, text, kSplitFile);
  divided_by_ = fmt::format("the run in {}: {}", model_,
                            record_->held_out ? record_->rule() : "all of them to learn from");
  log_info(fmt::format("{} is divided by {}", set, divided_by_));
  std::vector<bool> out(contents.size(), false);
  if (record_->held_out) out = held_out_in(*record_, *whole);
  HeldOut divided_set = divided(std::move(whole), out);
  return std::move(split == Split::val ? divided_set.validation : divided_set.train);
}

std::optional<int64_t> JudgedSets::learned(const Dataset& set, int64_t limit) {
  if (!record_) return std::nullopt;
  const int64_t count = limit > 0 ? std::min(limit, set.size()) : set.size();
  const int64_t learned = count_learned(*record_, contents_of(set, threads_, limit));
  if (learned > 0)
    log_warning(fmt::format(
        "the model learned from {} of these {} pictures: accuracy on them says little about others",
        learned, count));
  return learned;
}

nlohmann::ordered_json trained_on_json(const std::optional<int64_t>& learned, int64_t count) {
  if (!learned) return nullptr;
  return {{"pictures", *learned}, {"of", count}};
}

}  // namespace vitrail::cli
