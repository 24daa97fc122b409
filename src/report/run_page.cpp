#include "report/run_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/statistics.h"
#include "explain/overlay.h"
#include "formats/json_text.h"
#include "report/page_parts.h"
#include "report/run_charts.h"
#include "report/text_encoding.h"
#include "report/web_files.h"

namespace vitrail {
namespace {

using nlohmann::json;

constexpr size_t kMatrixClasses = 24;  // more would be too small to read
constexpr size_t kListedMistakes = 12;

std::string clock_text(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

// 1,234,567
std::string grouped(int64_t number) {
  const std::string digits = std::to_string(number);
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

// "1 step", "1,234 steps"
std::string counted(int64_t number, const char* thing) {
  return fmt::format("{} {}{}", grouped(number), thing, number == 1 ? "" : "s");
}

json tile(const std::string& name, const std::string& value, const std::string& note = "") {
  return {{"name", name}, {"value", value}, {"note", note}};
}

struct BestEvaluation {
  std::string set;
  double accuracy = -1;
  int64_t epoch = 0;
};

BestEvaluation best_evaluation(const RunRecord& record) {
  BestEvaluation best;
  for (const RunLine& line : record.epochs)
    for (const auto& [set, numbers] : line.evaluations)
      if (const auto found = numbers.find("accuracy");
          found != numbers.end() && found->second > best.accuracy)
        best = {set, found->second, line.epoch};
  return best;
}

json state_of(const RunRecord& record, bool running) {
  const int64_t planned = record.epochs_planned();
  const auto ended = static_cast<int64_t>(record.epochs.size());
  if (record.diverged)
    return {{"state", "diverged"},
            {"text", fmt::format("The loss or its gradients were not finite at step {}",
                                 record.events.empty()
                                     ? record.last_step()
                                     : std::max(record.last_step(), record.events.back().step))}};
  if (record.state == RunState::finished)
    return {{"state", "finished"},
            {"text", planned == 0      ? std::string("Finished: a new head on the frozen model")
                     : ended < planned ? fmt::format("Ended early: {} of {} epochs", ended, planned)
                                       : "Finished: " + counted(planned, "epoch")}};
  if (running)
    return {{"state", "running"},
            {"text", fmt::format("Running: {} of {} epochs done", ended, planned)}};
  if (record.state == RunState::waiting)
    return {{"state", "stopped"}, {"text", "No step recorded yet"}};
  return {{"state", "stopped"},
          {"text", fmt::format("Stopped or still running: step {}, {} of {} epochs done",
                               record.last_step(), ended, planned)}};
}

json tiles_of(const RunPage& page) {
  json tiles = json::array();
  if (page.evaluation && page.evaluation->count > 0) {
    const EvaluationResult& result = *page.evaluation;
    const Interval sure = wilson_interval(result.top1, result.count);
    tiles.push_back(tile("Accuracy", fmt::format("{:.2f}%", 100 * result.top1_fraction()),
                         fmt::format("95% interval {:.1f} to {:.1f}%, {} pictures", 100 * sure.low,
                                     100 * sure.high, grouped(result.count))));
    const MacroAverages macro = macro_averages(result.confusion.by_class());
    tiles.push_back(tile("Mean F1", fmt::format("{:.3f}", macro.f1), "mean over the classes"));
    tiles.push_back(tile("Loss", fmt::format("{:.4f}", result.loss), "mean cross-entropy"));
    if (result.confusion.classes() > 5)
      tiles.push_back(tile("Top-5", fmt::format("{:.2f}%", 100 * result.top5_fraction()),
                           "the true class is among the five most probable"));
  }
  if (page.record) {
    const RunRecord& record = *page.record;
    const BestEvaluation best = best_evaluation(record);
    if (best.accuracy >= 0)
      tiles.push_back(tile("Best " + set_title(best.set),
                           fmt::format("{:.2f}%", 100 * best.accuracy),
                           fmt::format("accuracy, after epoch {}", best.epoch + 1)));
    if (!page.evaluation && !record.steps.empty())
      if (const auto loss = record.steps.back().values.find("loss");
          loss != record.steps.back().values.end())
        tiles.push_back(tile("Loss", fmt::format("{:.4f}", loss->second), "training, last"));
    if (record.epochs_planned() > 0)
      tiles.push_back(tile("Epochs",
                           fmt::format("{} of {}", record.epochs.size(), record.epochs_planned()),
                           counted(record.last_step(), "step")));
    if (record.seconds() > 0)
      tiles.push_back(tile("Time", clock_text(record.seconds()), "training and evaluation"));
    if (record.median_speed() > 0)
      tiles.push_back(tile("Speed", grouped(std::llround(record.median_speed())),
                           "training pictures a second (median)"));
  }
  if (page.parameters > 0)
    tiles.push_back(tile("Parameters", grouped(page.parameters), "of the model"));
  return tiles;
}

json epochs_of(const RunRecord& record) {
  json rows = json::array();
  for (const RunLine& line : record.epochs) {
    json row{{"epoch", line.epoch + 1}, {"step", line.step}, {"training", line.values}};
    for (const auto& [set, numbers] : line.evaluations)
      row["evaluations"][set_title(set)] = numbers;
    rows.push_back(std::move(row));
  }
  return rows;
}

// Those with the most mistakes when there are too many, in the set's order.
std::vector<int64_t> classes_for_matrix(const Confusion& confusion) {
  std::vector<int64_t> classes;
  const std::vector<ClassMetrics> metrics = confusion.by_class();
  for (int64_t i = 0; i < confusion.classes(); ++i)
    if (metrics[static_cast<size_t>(i)].support + metrics[static_cast<size_t>(i)].answered > 0)
      classes.push_back(i);
  if (classes.size() <= kMatrixClasses) return classes;
  const auto mistakes = [&](int64_t i) {
    const ClassMetrics& m = metrics[static_cast<size_t>(i)];
    return m.support + m.answered - 2 * m.correct;
  };
  std::stable_sort(classes.begin(), classes.end(),
                   [&](int64_t a, int64_t b) { return mistakes(a) > mistakes(b); });
  classes.resize(kMatrixClasses);
  std::sort(classes.begin(), classes.end());
  return classes;
}

json evaluation_of(const EvaluationResult& result, const std::string& on) {
  const auto name = [&](int64_t i) {
    return i == Confusion::kOther ? std::string("another class")
                                  : result.classes[static_cast<size_t>(i)].name;
  };
  json by_class = json::array();
  const std::vector<ClassMetrics> metrics = result.confusion.by_class();
  for (size_t i = 0; i < metrics.size(); ++i)
    if (metrics[i].support > 0 || metrics[i].answered > 0)
      by_class.push_back({{"name", name(static_cast<int64_t>(i))},
                          {"precision", metrics[i].precision},
                          {"recall", metrics[i].recall},
                          {"f1", metrics[i].f1},
                          {"support", metrics[i].support}});
  const std::vector<int64_t> shown = classes_for_matrix(result.confusion);
  json matrix{{"classes", json::array()}, {"rows", json::array()}};
  std::vector<int64_t> columns = shown;
  const std::vector<Confusion::Cell> mistakes = result.confusion.mistakes();
  if (std::ranges::any_of(mistakes, [](const auto& c) { return c.answer == Confusion::kOther; }))
    columns.push_back(Confusion::kOther);
  for (const int64_t truth : shown) {
    json row = json::array();
    for (const int64_t answer : columns) row.push_back(result.confusion.count(truth, answer));
    matrix["rows"].push_back(std::move(row));
    matrix["classes"].push_back(name(truth));
  }
  matrix["other"] = columns.size() > shown.size();
  matrix["left_out"] = by_class.size() - shown.size();
  json confused = json::array();
  for (size_t i = 0; i < std::min(mistakes.size(), kListedMistakes); ++i)
    confused.push_back({{"label", name(mistakes[i].truth)},
                        {"answer", name(mistakes[i].answer)},
                        {"count", mistakes[i].count}});
  return {{"on", on},
          {"accuracy", result.top1_fraction()},
          {"pictures", result.count},
          {"classes", std::move(by_class)},
          {"matrix", std::move(matrix)},
          {"confused", std::move(confused)},
          {"mistakes", result.count - result.top1}};
}

std::string text_of(const json& value) {
  return value.is_string() ? value.get<std::string>() : json_text(value);
}

json pairs(const NamedTexts& texts) {
  json list = json::array();
  for (const auto& [name, text] : texts) list.push_back({name, text});
  return list;
}

// train.json: its own fields first, then each object in it.
json configuration_of(const json& config) {
  json own = json::array(), groups = json::array();
  for (const auto& [name, value] : config.items()) {
    if (!value.is_object()) {
      own.push_back({name, text_of(value)});
      continue;
    }
    json fields = json::array();
    for (const auto& [key, field] : value.items()) fields.push_back({key, text_of(field)});
    groups.push_back({{"title", name}, {"fields", std::move(fields)}});
  }
  groups.insert(groups.begin(), json{{"title", "training"}, {"fields", std::move(own)}});
  return groups;
}

json machine_of(const RunPage& page) {
  json list = json::array();
  if (!page.machine.empty()) list.push_back(pairs(page.machine));
  if (!page.record) return list;
  for (const json& process : page.record->processes) {
    json fields = json::array();
    for (const auto& [name, value] : process.items()) fields.push_back({name, text_of(value)});
    list.push_back(std::move(fields));
  }
  return list;
}

// "cat", or "cat 70%, dog 30%" of a mixture.
std::string label_text(const SamplePicture& sample, const std::vector<std::string>& classes) {
  std::string text;
  for (const auto& [label, share] : sample.labels) {
    const auto index = static_cast<size_t>(label);
    if (index >= classes.size()) continue;
    text += text.empty() ? "" : ", ";
    text += share < 0.995 ? fmt::format("{} {:.0f}%", classes[index], 100 * share) : classes[index];
  }
  return text;
}

json samples_of(const RunPage& page) {
  json list = json::array();
  for (const SamplePicture& sample : page.samples)
    list.push_back({{"source", picture_address(sample.picture)},
                    {"label", label_text(sample, page.sample_classes)}});
  return list;
}

}  // namespace

std::string run_page(const RunPage& page) {
  std::vector<std::string> notes = page.notes;
  for (const GalleryPicture& picture : page.gallery)
    if (!picture.remark.empty() && std::ranges::find(notes, picture.remark) == notes.end())
      notes.push_back(picture.remark);
  json data{{"kind", page.record ? "run" : "evaluation"},
            {"name", page.name},
            {"about", page.about},
            {"tiles", tiles_of(page)},
            {"gallery", gallery_data(page.gallery)},
            {"gallery_of_mistakes", page.gallery_of_mistakes},
            {"samples", samples_of(page)},
            {"machine", machine_of(page)},
            {"commands", pairs(page.commands)},
            {"notes", notes},
            {"heat", heat_steps()},
            {"transparency", kHeatTransparency},
            {"alphabet", kBase85Alphabet}};
  if (page.evaluation) data["evaluation"] = evaluation_of(*page.evaluation, page.evaluated_on);
  if (page.record) {
    data["state"] = state_of(*page.record, page.running);
    data["curves"] = run_charts(*page.record);
    data["epochs"] = epochs_of(*page.record);
    data["configuration"] = configuration_of(page.record->config);
    data["log"] = page.record->log;
  }
  const std::string head = page_head(
      html_text(page.name + (page.record ? " · training run" : " · evaluation") + " · Vitrail"),
      web::kRunCss);
  const std::string text = script_text(data);
  return fill_in(web::kRunHtml, {{"head", head},
                                 {"logo", web::kLogoSvg},
                                 {"page_js", web::kPageJs},
                                 {"maps", web::kMapsJs},
                                 {"tables", web::kRunTablesJs},
                                 {"gallery", web::kRunGalleryJs},
                                 {"charts", web::kRunChartsJs},
                                 {"js", web::kRunJs},
                                 {"data", text}});
}

}  // namespace vitrail
