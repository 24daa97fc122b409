// vitrail classify: the best classes of each picture.
#include "tasks/classify.h"
#include "apps/cli/standard_streams.h"

#include <fmt/format.h>

#include <cstdio>
#include <optional>

#include "apps/cli/answer_text.h"
#include "apps/cli/common.h"
#include "apps/cli/verbs.h"

namespace vitrail::cli {
namespace {

struct ClassifyArguments {
  ModelArguments model;
  RunArguments run;
  std::vector<std::string> pictures;
  std::string exif;
  AnswerArguments answer;
};

void print_line(const std::string& file, const Classification& answer, const Model& model,
                const AnswerOptions& options) {
  nlohmann::ordered_json line;
  line["file"] = file;
  if (!answer.error.empty()) {
    line["error"] = answer.error;
    return print_json(line);
  }
  line["model"] = model.name;
  if (model.rejection) {
    line["none"] = answer.none;
    line["certainty"] = *answer.certainty;
  }
  add_answer(answer, model, options.threshold, line);
  print_json(line);
}

void print_text(const std::string& file, const Classification& answer, const Model& model,
                const AnswerOptions& options) {
  if (!answer.error.empty()) {
    std::fflush(stdout);
    print_stderr("vitrail: {}\n", answer.error);
    return;
  }
  print_stdout("{}\n", file);
  if (answer.none) print_stdout("  {}; the nearest:\n", none_of(model.labels.size()));
  print_answer(answer, model, options.threshold);
}

void classify_pictures(const ClassifyArguments& arguments) {
  const std::vector<std::string> files = expand_pictures(arguments.pictures);
  Session session(
      open_model(arguments.model, load_options(arguments.model, arguments.run, files.size())),
      session_options(arguments.run, arguments.exif));
  const AnswerOptions options = answer_options(arguments.answer, session.model());
  if (!arguments.run.json) print_default_model(arguments.model, session.model());
  std::optional<Progress> progress;
  if (!results_are_progress()) progress.emplace("classify", static_cast<int64_t>(files.size()));
  bool failed = false;
  session.for_each_batch(files, [&](size_t first, const PreparedBatch& batch) {
    const auto answers = classify(session, batch, options);
    for (size_t i = 0; i < answers.size(); ++i) {
      failed = failed || !answers[i].error.empty();
      (arguments.run.json ? print_line : print_text)(files[first + i], answers[i], session.model(),
                                                     options);
    }
    std::fflush(stdout);
    if (progress) progress->update(static_cast<int64_t>(first + answers.size()));
  });
  if (failed) throw Failed{};
}

}  // namespace

void add_classify(CLI::App& app) {
  auto arguments = std::make_shared<ClassifyArguments>();
  arguments->model.without.bundled_answers = true;
  CLI::App* verb = app.add_subcommand("classify", "Name what pictures show");
  verb->add_option("pictures", arguments->pictures,
                   "pictures and folders of them; - is standard input")
      ->required();
  add_model_options(*verb, arguments->model);
  add_size_option(*verb, arguments->model);
  verb->add_option("--top", arguments->answer.top,
                   "how many of the best classes are shown (default: 5; of several classes a "
                   "picture all that reach the threshold)")
      ->check(CLI::Range(1, 1'000'000));
  add_threshold_option(*verb, arguments->answer.threshold);
  add_exif_option(*verb, arguments->exif);
  add_strict_option(*verb);
  add_run_options(*verb, arguments->run);
  set_example(*verb, "vitrail classify photo.jpg holiday/ --model vit_small --top 3");
  verb->callback([arguments] { classify_pictures(*arguments); });
}

}  // namespace vitrail::cli
