#include "report/run_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/isa.h"
#include "core/log.h"
#include "core/machine.h"
#include "core/parallel.h"
#include "core/shell_word.h"
#include "report/run_page.h"
#include "tasks/classify.h"
#include "tasks/match_classes.h"
#include "train/run/run_split.h"
#include "train/run/trainer.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kPicturesWithoutAnswer = 12;

// "the 1,000 pictures of scenes:size=32"
std::string described(const Dataset& dataset, int64_t count) {
  return count == dataset.size() ? fmt::format("the {} pictures of {}", count, dataset.name())
                                 : fmt::format("the first {} of {} pictures of {}", count,
                                               dataset.size(), dataset.name());
}

std::string answer_name(const Model& model, int64_t index) {
  return label_title(model.labels, index).value_or(fmt::format("class {}", index));
}

// The result with its classes as people call them, and pictures of its mistakes.
void add_evaluation(RunPage& page, Session& session, const Dataset& dataset,
                    const EvaluationResult& result) {
  const std::vector<std::string> titles = class_titles(dataset.classes(), session.model().labels);
  page.evaluation = result;
  for (size_t i = 0; i < titles.size(); ++i) page.evaluation->classes[i].name = titles[i];
  for (const Mistake& mistake : result.mistakes) {
    GalleryPicture picture = gallery_picture(session, dataset.get(mistake.index).image);
    picture.id = dataset.id(mistake.index);
    picture.label = titles[static_cast<size_t>(mistake.label)];
    picture.answer = answer_name(session.model(), mistake.answer);
    picture.label_probability = mistake.label_probability;
    picture.answer_probability = mistake.answer_probability;
    page.gallery.push_back(std::move(picture));
  }
}

// Evenly spaced pictures, where no answer is there to be wrong.
std::vector<GalleryPicture> some_pictures(Session& session, const Dataset& dataset) {
  std::vector<GalleryPicture> gallery;
  const int64_t count = std::min(kPicturesWithoutAnswer, dataset.size());
  for (int64_t i = 0; i < count; ++i) {
    const int64_t index = i * dataset.size() / count;
    GalleryPicture picture = gallery_picture(session, dataset.get(index).image);
    picture.id = dataset.id(index);
    picture.label = dataset.label_names(index);
    gallery.push_back(std::move(picture));
  }
  return gallery;
}

// Methods that learn without labels leave no head, or one that answers nothing.
bool learned_classes(const RunRecord& record) {
  const std::string method = record.text("method");
  return method != "mae" && method != "dino";
}

bool has_answers(const RunRecord& record, const Model& model) {
  return model.network->class_answer().classes > 0 && learned_classes(record);
}

// Several classes a picture are not taken for one another: what they come to is said in words.
void add_labels(RunPage& page, Session& session, const Dataset& judged,
                const RunReportOptions& options) {
  const LabelEvaluation result =
      evaluate_labels(session, judged, kThreshold,
                      {.limit = options.limit,
                       .classes_by_number = !session.model().labels.any_known(),
                       .max_broken = 1,
                       .progress = options.progress});
  const MultiLabelScores& scores = result.scores;
  page.notes.push_back(fmt::format(
      "On {}: mean average precision {:.2f}%. With every class answered that reaches {:g}%: exact "
      "match {:.2f}%, F1 {:.2f}% (macro) and {:.2f}% (micro).",
      described(judged, scores.pictures), 100 * scores.mean_average_precision, 100 * kThreshold,
      100 * scores.exact_match(), 100 * scores.macro_f1, 100 * scores.micro_f1));
  page.gallery_of_mistakes = false;
  page.gallery = some_pictures(session, judged);
}

void add_model(RunPage& page, const RunReportOptions& options, const RunData& data) {
  const fs::path& folder = page.record->folder;
  std::error_code ignored;
  if (!fs::exists(folder / "model.safetensors", ignored)) {
    page.notes.push_back("The folder holds no model yet: the first one is written after an epoch.");
    return;
  }
  Session session(load_model(folder.string(), {.threads = options.threads}),
                  {.threads = options.threads, .batch = 32});
  const Model& model = session.model();
  page.parameters = model.network->parameters().num_elements();
  const Dataset& judged = data.most_honest();
  if (!has_answers(*page.record, model)) {
    page.gallery_of_mistakes = false;
    page.gallery = some_pictures(session, judged);
    return;
  }
  if (judged.multi_label()) return add_labels(page, session, judged, options);
  add_evaluation(page, session, judged,
                 evaluate(session, judged,
                          {.limit = options.limit,
                           .mistakes = kShownMistakes,
                           .classes_by_number = !model.labels.any_known(),
                           .max_broken = 1,  // the run has said which
                           .progress = options.progress}));
  page.evaluated_on =
      described(judged, page.evaluation->count) + (data.test ? " (test)" : " (validation)");
}

// As the run divided them. A linear probe has no configuration of a training.
RunData pictures_of(const fs::path& folder, const std::optional<TrainConfig>& config,
                    const std::string& moved_to) {
  if (config) {
    TrainConfig here = *config;
    if (!moved_to.empty()) here.data = moved_to;
    return reopen_run_data(folder, here);
  }
  const auto record = read_split_record(folder);
  check(record.has_value(), "report",
        "the run keeps no list of its pictures: which were held out is not known");
  const auto model = load_model(folder.string());
  return open_pictures({.data = moved_to.empty() ? record->data : moved_to,
                        .val = record->val,
                        .open = {.decode = model->preprocess.decode_options()},
                        .record = &*record});
}

void add_pictures(RunPage& page, const RunReportOptions& options) {
  const fs::path& folder = page.record->folder;
  try {
    const std::optional<TrainConfig> config = config_of_run(folder);
    RunData data;
    if (options.opened != nullptr) {
      data = *options.opened;
    } else {
      data = pictures_of(folder, config, options.data);
      if (const auto record = read_split_record(folder))
        check_contents(*record, data, {.threads = options.threads});
    }
    page.sample_classes = data.train->classes();
    if (config) page.samples = sample_pictures(*config, *data.train, kShownSamples);
    add_model(page, options, data);
  } catch (const Error& error) {
    page.notes.push_back(fmt::format("Pictures are missing here: {}", error.what()));
    log_warning(page.notes.back());
  }
}

// Whether the run's model has transformer blocks; unknown ones do.
bool has_attention(const RunRecord& record) {
  const auto model = record.config.find("model");
  return model == record.config.end() || !model->is_object() || !model->contains("depth") ||
         model->at("depth") != 0;
}

NamedTexts commands_for(const RunRecord& record, bool has_model) {
  const std::string run = shell_word(record.folder.string());
  NamedTexts commands;
  if (record.state != RunState::finished)
    commands.emplace_back("Continue the run where it stopped",
                          !record.finetuned ? fmt::format("vitrail train --resume --out {}", run)
                          : record.resume.empty()
                              ? std::string("vitrail finetune ... --resume, as it was begun")
                              : record.resume);
  if (has_model && !learned_classes(record)) {
    commands.emplace_back("Teach it classes",
                          fmt::format("vitrail finetune --model {} --data folder:PICTURES --out {}",
                                      run, shell_word(record.folder.string() + "-classes")));
    commands.emplace_back("Its features of pictures",
                          fmt::format("vitrail embed --model {} PICTURE", run));
    if (has_attention(record))
      commands.emplace_back("See where attention goes",
                            fmt::format("vitrail explain --model {} PICTURE", run));
  } else if (has_model) {
    commands.emplace_back("Classify a picture",
                          fmt::format("vitrail classify --model {} PICTURE", run));
    if (has_attention(record))
      commands.emplace_back("See where attention goes",
                            fmt::format("vitrail explain --model {} PICTURE", run));
    commands.emplace_back("Evaluate it on other pictures",
                          fmt::format("vitrail eval DATA --model {} --report page.html", run));
  }
  commands.emplace_back("Write this page again", fmt::format("vitrail report {}", run));
  commands.emplace_back(
      "Compare runs in TensorBoard",
      fmt::format("tensorboard --logdir {}", record.folder.has_parent_path()
                                                 ? shell_word(record.folder.parent_path().string())
                                                 : std::string(".")));
  return commands;
}

std::string without_end_slash(const fs::path& folder) {
  std::string text = folder.string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

}  // namespace

void write_run_report(const fs::path& run, const fs::path& page_path,
                      const RunReportOptions& options) {
  RunPage page{.record = read_run(without_end_slash(run))};
  const RunRecord& record = *page.record;
  page.name = fs::absolute(record.folder).lexically_normal().filename().string();
  const std::string method = record.text("method");
  const bool plain = method.empty() || method == "supervised";
  page.about =
      fmt::format("{} on {}", plain ? "trained" : "trained by " + method, record.text("data"));
  page.running = options.running;
  if (options.pictures) add_pictures(page, options);
  std::error_code ignored;
  page.commands = commands_for(record, fs::exists(record.folder / "model.safetensors", ignored));
  write_file_atomically(page_path, run_page(page));
}

void write_evaluation_report(Session& session, const Dataset& dataset,
                             const EvaluationResult& result, const EvaluationReport& report) {
  RunPage page{.name = session.model().name,
               .about = "on " + described(dataset, result.count),
               .evaluated_on = described(dataset, result.count)};
  if (report.learned > 0)
    page.notes.push_back(
        fmt::format("The model learned from {} of these {} pictures: how often it is right on them "
                    "says little about others.",
                    report.learned, result.count));
  add_evaluation(page, session, dataset, result);
  page.parameters = session.model().network->parameters().num_elements();
  page.machine = {{"cpu", cpu_name()},
                  {"cores", std::to_string(available_cores())},
                  {"isa", active_isa()},
                  {"threads", std::to_string(session.queue().pool().num_threads())},
                  {"precision", name_of(session.precision().base)},
                  {"written", utc_time()}};
  if (!report.explain.empty() && !session.model().network->backbone().attentions().empty())
    page.commands = {{"See where attention goes", report.explain}};
  write_file_atomically(report.page, run_page(page));
}

}  // namespace vitrail
