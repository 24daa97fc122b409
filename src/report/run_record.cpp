#include "report/run_record.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

#include "core/error.h"
#include "core/file.h"
#include "core/log.h"
#include "core/printable.h"
#include "formats/json.h"
#include "formats/json_text.h"
#include "formats/text_file.h"
#include "train/judge/metrics.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr size_t kLogLines = 60;

// Of a run of a million steps.
constexpr uint64_t kMaxLogBytes = uint64_t{256} << 20;

// The last lines of train.log, which may quote names of any bytes; none of a file that is not
// there.
std::vector<std::string> last_lines(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return {};
  const std::vector<std::byte> bytes = read_file(path, kMaxLogBytes);
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::vector<std::string> lines;
  while (!rest.empty()) lines.emplace_back(take_line(rest));
  if (lines.size() > kLogLines) lines.erase(lines.begin(), lines.end() - kLogLines);
  return lines;
}

// What is no record is left out and counted: the last line of a run that was ended in mid-write, or
// a file that was changed by hand.
void read_records(const fs::path& path, const std::function<void(const json&)>& visit) {
  const int64_t unread =
      for_each_object(path, [&](const json& line, std::string_view) { visit(line); });
  if (unread > 0)
    log_warning(fmt::format("{}: {} lines are no JSON objects, or too large, and are left out",
                            printable(path.string()), unread));
}

std::optional<int64_t> integer(const json& line, const char* name) {
  const auto found = line.find(name);
  constexpr int64_t kMost = int64_t{1} << 53;  // what a chart's double counts exactly
  if (found == line.end() || !found->is_number_integer()) return std::nullopt;
  const bool unsigned_too_large =
      found->is_number_unsigned() && found->get<uint64_t>() > static_cast<uint64_t>(kMost);
  const auto value = found->get<int64_t>();
  if (unsigned_too_large || value < 0 || value > kMost) return std::nullopt;
  return value;
}

Numbers numbers_of(const json& object) {
  Numbers numbers;
  for (const auto& [name, value] : object.items()) {
    if (name == "step" || name == "epoch" || name == "kind") continue;
    if (value.is_number()) numbers[name] = value.get<double>();
    if (value.is_null()) numbers[name] = NAN;
  }
  return numbers;
}

std::string value_text(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_null()) return "not finite";
  if (!value.is_array()) return json_text(value);
  constexpr size_t kNamed = 4;
  std::string text;
  for (size_t i = 0; i < std::min(kNamed, value.size()); ++i)
    text += (i > 0 ? ", " : "") + value_text(value[i]);
  if (value.size() > kNamed) text += fmt::format(" and {} more", value.size() - kNamed);
  return text;
}

// Its message, or what else it says: "reason spike; pictures a.png, b.png and 62 more".
std::string event_text(const json& line) {
  if (const auto text = line.find("message"); text != line.end()) return value_text(*text);
  std::string text;
  for (const auto& [name, value] : line.items())
    if (name != "kind" && name != "step" && name != "epoch")
      text += (text.empty() ? "" : "; ") + name + " " + value_text(value);
  return text;
}

void take_metrics(RunRecord& record, const json& line) {
  const auto kind = line.find("kind");
  const std::optional<int64_t> step = integer(line, "step");
  if (kind == line.end() || !kind->is_string() || !step) return;
  RunLine taken{.step = *step, .epoch = integer(line, "epoch").value_or(0)};
  taken.values = numbers_of(line);
  for (const auto& [name, value] : line.items())
    if (value.is_object()) taken.evaluations[name] = numbers_of(value);
  if (*kind == "step")
    record.steps.push_back(std::move(taken));
  else if (*kind == "epoch")
    record.epochs.push_back(std::move(taken));
  else if (*kind == "end")
    record.state = RunState::finished;
  else
    record.events.push_back({.step = *step,
                             .kind = *kind,
                             .text = event_text(line),
                             .not_finite = line.value("reason", json()) == "not finite" ||
                                           (line.contains("loss") && line.at("loss").is_null())});
}

double value_or_nan(const Numbers& numbers, const char* name) {
  const auto found = numbers.find(name);
  return found == numbers.end() ? NAN : found->second;
}

// The last line at or before a step of which the clock is known: a step's or an epoch's end, whose
// evaluation is not the training's time.
void add_speeds(RunRecord& record) {
  const double batch = record.number("batch_size");
  struct Moment {
    int64_t step = 0;
    double seconds = 0;
  };
  std::vector<Moment> ends;
  for (const RunLine& line : record.epochs)
    ends.push_back({line.step, value_or_nan(line.values, "seconds")});
  Moment before;
  auto end = ends.begin();
  for (RunLine& line : record.steps) {
    for (; end != ends.end() && end->step < line.step; ++end)
      if (end->step >= before.step) before = *end;
    const Moment now{line.step, value_or_nan(line.values, "seconds")};
    const double taken = now.seconds - before.seconds;
    if (!line.values.contains("pictures_per_second") && batch > 0 && taken > 0)
      line.values["pictures_per_second"] =
          batch * static_cast<double>(now.step - before.step) / taken;
    before = now;
  }
}

bool last_step_is_not_finite(const RunRecord& record) {
  const int64_t last = record.last_step();
  if (!record.events.empty() && record.events.back().step >= last)
    return record.events.back().not_finite;
  const auto is_broken = [&](const std::vector<RunLine>& lines) {
    return !lines.empty() && lines.back().step == last && lines.back().values.contains("loss") &&
           !std::isfinite(lines.back().values.at("loss"));
  };
  return is_broken(record.steps) || is_broken(record.epochs);
}

}  // namespace

std::string RunRecord::text(const char* field) const {
  const auto found = config.find(field);
  return found != config.end() && found->is_string() ? found->get<std::string>() : "";
}

double RunRecord::number(const char* field) const {
  const auto found = config.find(field);
  return found != config.end() && found->is_number() ? found->get<double>() : 0;
}

int64_t RunRecord::epochs_planned() const {
  return static_cast<int64_t>(std::clamp(number("epochs"), 0.0, 1e15));
}

int64_t RunRecord::last_step() const {
  const int64_t a = steps.empty() ? 0 : steps.back().step;
  return std::max(a, epochs.empty() ? 0 : epochs.back().step);
}

double RunRecord::seconds() const {
  double longest = 0;
  for (const auto* lines : {&steps, &epochs})
    if (!lines->empty()) longest = std::max(longest, value_or_nan(lines->back().values, "seconds"));
  return longest;
}

double RunRecord::median_speed() const {
  std::vector<double> speeds;
  for (const RunLine& line : steps)
    if (const double speed = value_or_nan(line.values, "pictures_per_second"); speed > 0)
      speeds.push_back(speed);
  if (speeds.empty()) return 0;
  const auto middle = speeds.begin() + static_cast<std::ptrdiff_t>(speeds.size() / 2);
  std::nth_element(speeds.begin(), middle, speeds.end());
  return *middle;
}

RunRecord read_run(const fs::path& folder) {
  std::error_code ignored;
  // A linear probe is a run without steps, of which finetune.json tells.
  const bool trained = fs::exists(folder / "train.json", ignored);
  const fs::path config = folder / (trained ? "train.json" : "finetune.json");
  check(fs::exists(config, ignored), "report", "{} holds no run: there is no train.json in it",
        printable(folder.string()));
  RunRecord record{.folder = folder, .config = read_json(config)};
  check(record.config.is_object(), "report", "{}: holds no object", printable(config.string()));
  record.finetuned = !trained || fs::exists(folder / "finetune.json", ignored);
  if (fs::exists(folder / "finetune.json", ignored)) {
    const json choices = read_json(folder / "finetune.json");
    if (const auto found = choices.find("resume"); found != choices.end() && found->is_string())
      record.resume = found->get<std::string>();
  }
  read_records(folder / "metrics.jsonl", [&](const json& line) { take_metrics(record, line); });
  read_records(folder / "machine.jsonl",
               [&](const json& line) { record.processes.push_back(line); });
  record.log = last_lines(folder / "train.log");

  add_speeds(record);
  if (!trained && record.config.contains("validation")) record.state = RunState::finished;
  if (!record.epochs.empty()) {
    const RunLine& last = record.epochs.back();
    record.steps_per_epoch = static_cast<double>(last.step) / static_cast<double>(last.epoch + 1);
    if (last.epoch + 1 >= record.epochs_planned()) record.state = RunState::finished;
  }
  if (record.state == RunState::waiting && record.last_step() > 0) record.state = RunState::stopped;
  record.diverged = record.state != RunState::finished && last_step_is_not_finite(record);
  return record;
}

}  // namespace vitrail
