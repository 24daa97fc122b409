// vitrail calibrate: teaches a classifier to say when a picture shows none of its classes.
#include "tasks/calibrate.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "apps/cli/command_text.h"
#include "apps/cli/common.h"
#include "apps/cli/judged_set.h"
#include "apps/cli/standard_streams.h"
#include "apps/cli/verbs.h"
#include "core/file_lock.h"
#include "core/statistics.h"
#include "formats/json.h"
#include "models/model_folder.h"

namespace vitrail::cli {
namespace {

namespace fs = std::filesystem;

struct CalibrateArguments {
  ModelArguments model;
  RunArguments run;
  HoldOutArguments hold_out;
  std::string data, split = "val";
  std::vector<std::string> others;
  std::string certainty = "typicality";
  int64_t pictures = 10'000;
  double accept = 0.95;
  bool dry_run = false;
};

struct Measured {
  std::string place;
  Acceptance acceptance;
};

double share(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

nlohmann::ordered_json interval_json(int64_t part, int64_t whole) {
  const Interval interval = wilson_interval(part, whole);
  return {interval.low, interval.high};
}

// Nothing when the probability is what counts.
SharedGaussians gaussians_of(Session& session, const CalibrateArguments& arguments,
                             JudgedSets& sets) {
  if (arguments.certainty == "probability") return nullptr;
  const auto set = sets.open(data_spec(arguments.data), Split::train);
  Progress progress("features", std::min(set->size(), arguments.pictures));
  return learn_gaussians(session, *set, arguments.pictures,
                         [&](int64_t done) { progress.update(done); });
}

// The pictures that the threshold is made of.
struct CalibrationAnswers {
  std::vector<Certainty> certainties;
  int64_t correct = 0;
  std::string divided_by;
  std::optional<int64_t> learned;  // by the model
};

CalibrationAnswers judge(Session& session, const CalibrateArguments& arguments, JudgedSets& sets,
                         const SharedGaussians& gaussians) {
  const auto set = sets.open(data_spec(arguments.data), split_of(arguments.split));
  CalibrationAnswers judged{
      .certainties = {}, .divided_by = sets.divided_by(), .learned = sets.learned(*set)};
  Progress progress("calibrate", set->size());
  judged.certainties =
      certainties(session, *set, gaussians, [&](int64_t done) { progress.update(done); });
  judged.correct = std::ranges::count(judged.certainties, true, &Certainty::correct);
  return judged;
}

struct OtherPictures {
  std::string place;
  std::vector<std::string> files;
};

Acceptance accepted_others(Session& session, const OtherPictures& others,
                           const Rejection& rejection) {
  Progress progress("others", static_cast<int64_t>(others.files.size()));
  return acceptance(certainties(session, others.files, rejection.gaussians,
                                [&](int64_t done) { progress.update(done); }),
                    rejection);
}

// The file that says it; only folders of our own form have a place for it.
fs::path config_of(const Model& model, ModelArguments arguments) {
  if (!arguments.size.empty())
    throw BadUsage(
        "a threshold holds for pictures of the size that it was measured at, and the model goes on "
        "to answer at its own: leave --size out, or see with --dry-run what it would be");
  const fs::path config = model.path / "config.json";
  const fs::path folder = fs::path(arguments.model + "/").lexically_normal().parent_path();
  check(model.info.family == own_family() && fs::is_regular_file(config), "calibrate",
        "{}: only model folders in Vitrail's own form can hold a threshold; write one: {} "
        "convert{} --to vitrail --out {}",
        model.path.string(), program_name(), model_words(arguments),
        shell_word(folder.filename().string() + "-vitrail"));
  return config;
}

void print_result(const CalibrateArguments& arguments, const Rejection& rejection,
                  const CalibrationAnswers& judged, const std::vector<Measured>& others) {
  const Acceptance own = acceptance(judged.certainties, rejection);
  if (arguments.run.json) {
    nlohmann::ordered_json json{{"certainty", rejection.certainty_name()},
                                {"threshold", rejection.threshold},
                                {"data", arguments.data},
                                {"split", arguments.split},
                                {"divided_by", judged.divided_by},
                                {"trained_on", trained_on_json(judged.learned, own.pictures)},
                                {"count", own.pictures},
                                {"top1", share(judged.correct, own.pictures)},
                                {"accepted", share(own.accepted, own.pictures)},
                                {"accepted_top1", share(own.correct, own.accepted)},
                                {"others", nlohmann::ordered_json::array()}};
    for (const auto& [place, a] : others)
      json["others"].push_back({{"place", place},
                                {"count", a.pictures},
                                {"false_accepts", share(a.accepted, a.pictures)},
                                {"interval", interval_json(a.accepted, a.pictures)}});
    add_left_out(json);
    return print_json(json);
  }
  print_stdout(
      "{} {:.4f}: accepts {:.2f}% of {} pictures ({}), {:.2f}% of them rightly; top-1 of all is "
      "{:.2f}%\n",
      rejection.certainty_name(), rejection.threshold, 100 * share(own.accepted, own.pictures),
      own.pictures, arguments.split, 100 * share(own.correct, own.accepted),
      100 * share(judged.correct, own.pictures));
  for (const auto& [place, a] : others) {
    const Interval interval = wilson_interval(a.accepted, a.pictures);
    print_stdout("false accepts {:.1f}% (95% interval {:.1f} to {:.1f}%) of {} pictures ({})\n",
                 100 * share(a.accepted, a.pictures), 100 * interval.low, 100 * interval.high,
                 a.pictures, place);
  }
}

void calibrate_model(const CalibrateArguments& arguments) {
  std::vector<OtherPictures> others;
  for (const std::string& place : arguments.others)
    others.push_back({place, expand_pictures({place})});
  Session session(open_model(arguments.model, load_options(arguments.model, arguments.run)),
                  session_options(arguments.run));
  const Model& model = session.model();
  fs::path config;
  std::optional<FolderLock> lock;
  if (!arguments.dry_run) {
    config = config_of(model, arguments.model);
    lock.emplace(config.has_parent_path() ? config.parent_path() : ".", "calibrate");
  }
  JudgedSets sets(model, arguments.model, arguments.hold_out, arguments.run.threads);
  const SharedGaussians gaussians = gaussians_of(session, arguments, sets);
  const CalibrationAnswers judged = judge(session, arguments, sets, gaussians);
  const Rejection rejection = calibrate(judged.certainties, arguments.accept, gaussians);
  std::vector<Measured> measured;
  for (const OtherPictures& pictures : others)
    measured.push_back({pictures.place, accepted_others(session, pictures, rejection)});
  if (!arguments.dry_run) {
    Json json = read_json(config);
    store_rejection(rejection, model.path, json);
    write_json(config, json);
  }
  print_result(arguments, rejection, judged, measured);
}

}  // namespace

void add_calibrate(CLI::App& app) {
  auto arguments = std::make_shared<CalibrateArguments>();
  CLI::App* verb =
      app.add_subcommand("calibrate", "Teach a classifier to say \"none of my classes\"");
  add_data_option(*verb, arguments->data, "data,--data",
                  "pictures of the model's classes, some of which it did not learn from")
      ->required();
  add_model_options(*verb, arguments->model);
  add_size_option(*verb, arguments->model);
  verb->add_option("--split", arguments->split, "train, val, test or all")
      ->check(CLI::IsMember({"train", "val", "test", "all"}))
      ->capture_default_str();
  verb->add_option("--certainty", arguments->certainty,
                   "typicality: how near the features are to those of the training pictures; "
                   "probability: of the best class")
      ->check(CLI::IsMember({"typicality", "probability"}))
      ->capture_default_str();
  verb->add_option("--pictures", arguments->pictures,
                   "training pictures, at most, that typicality is learned from")
      ->check(CLI::Range(int64_t{1}, int64_t{100'000'000}))
      ->capture_default_str();
  verb->add_option("--accept", arguments->accept,
                   "share of the held-out pictures whose best class must still count")
      ->check(CLI::Range(0.01, 1.0))
      ->capture_default_str();
  verb->add_option(
      "--others", arguments->others,
      "pictures of other things, and folders of them: how many are accepted by mistake");
  verb->add_flag("--dry-run", arguments->dry_run, "measure only; the model stays as it is");
  add_strict_option(*verb);
  add_hold_out_options(*verb, arguments->hold_out);
  add_run_options(*verb, arguments->run);
  set_example(*verb,
              "vitrail calibrate folder:photos --model runs/mine --others holiday/ flowers/");
  verb->callback([arguments] { calibrate_model(*arguments); });
}

}  // namespace vitrail::cli
