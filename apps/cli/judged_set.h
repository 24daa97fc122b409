// The pictures that a verb judges a model on, and which of them the model has learned from: by the
// record (data/split_record.h) that a run leaves in its model's folder.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "apps/cli/command_line.h"
#include "apps/cli/common.h"
#include "data/dataset.h"
#include "data/picture_source.h"
#include "data/split_record.h"
#include "infer/model.h"

namespace vitrail::cli {

// --val-fraction, --seed, --group: how a set that is not divided, and that no run has divided, is.
struct HoldOutArguments {
  std::optional<double> fraction;
  std::optional<int64_t> seed;
  std::optional<std::string> group;
  bool any() const { return fraction || seed || group; }
};
void add_hold_out_options(CLI::App& verb, HoldOutArguments& arguments);

// The record in a model's folder; an adapter's counts too. Nothing: no run of Vitrail made the
// model, or its record is lost, which is said on stderr. Error: a damaged record.
std::optional<SplitRecord> record_of(const Model& model, const ModelArguments& arguments);

// Into the folder of a model that is made of this one, which has learned from the same pictures.
void pass_on_record(const Model& model, const ModelArguments& arguments,
                    const std::filesystem::path& to);

class JudgedSets {
 public:
  JudgedSets(const Model& model, const ModelArguments& arguments, const HoldOutArguments& hold_out,
             int threads);

  // A split of a set. Of one without val pictures of its own, as the model's run divided it; where
  // no run did, by the rule, which is said on stderr. Error: pictures that are not those that the
  // run divided; arguments that say how to divide what is divided already.
  std::unique_ptr<Dataset> open(const std::string& spec, Split split);
  // "the run in runs/mine: 20% of each class, seed 0", "the set itself", ...
  const std::string& divided_by() const { return divided_by_; }

  // How many of the first `limit` pictures (0: all) the model learned from; said on stderr when
  // there are some. Nothing: it is not known what the model learned from.
  std::optional<int64_t> learned(const Dataset& set, int64_t limit = 0);

 private:
  const PictureSource& source_of(const std::string& spec);
  std::unique_ptr<Dataset> open_divided(const std::string& spec, Split split);
  std::unique_ptr<Dataset> as_the_run(const std::string& spec, Split split,
                                      std::shared_ptr<const Dataset> whole,
                                      const std::vector<uint64_t>& contents);

  std::string model_;  // its place
  OpenOptions options_;
  HoldOutArguments hold_out_;
  int threads_;
  std::optional<SplitRecord> record_;
  std::string divided_by_;
  std::unique_ptr<PictureSource> source_;  // of the set that was opened last
  std::string source_spec_;
};

// {"pictures": 3, "of": 240}, or null where it is not known.
nlohmann::ordered_json trained_on_json(const std::optional<int64_t>& learned, int64_t count);

}  // namespace vitrail::cli
