#include "data/intake_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <set>

#include "core/log.h"
#include "core/printable.h"

namespace vitrail {
namespace {

constexpr size_t kExamples = 3;
constexpr size_t kExampleBytes = 80;

struct Announcements {
  std::mutex mutex;
  IntakeListener listener;
  bool silent = false;
  std::set<std::string> lines;
  std::vector<std::pair<std::string, Intake>> intakes;
};

Announcements& announcements() {
  static Announcements all;
  return all;
}

}  // namespace

std::string counted(int64_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::string named(const std::vector<std::string>& names, size_t shown) {
  std::string text;
  for (size_t i = 0; i < std::min(shown, names.size()); ++i)
    text += (i == 0 ? "" : ", ") + printable(names[i], kExampleBytes);
  if (names.size() > shown) text += fmt::format(", ... ({} in all)", names.size());
  return text;
}

void Intake::leave_out(const Reason& reason, std::string_view example, int64_t count) {
  auto found = std::ranges::find(left_out_, reason, &LeftOut::reason);
  if (found == left_out_.end()) found = left_out_.insert(found, {reason, 0, {}});
  found->count += count;
  if (found->examples.size() >= kExamples) return;
  std::string shown = printable(example, kExampleBytes);
  if (std::ranges::find(found->examples, shown) == found->examples.end())
    found->examples.push_back(std::move(shown));
}

void Intake::add(const Intake& other) {
  for (const LeftOut& theirs : other.left_out_) {
    auto own = std::ranges::find(left_out_, theirs.reason, &LeftOut::reason);
    if (own == left_out_.end()) own = left_out_.insert(own, {theirs.reason, 0, {}});
    own->count += theirs.count;
    for (const std::string& example : theirs.examples)
      if (own->examples.size() < kExamples) own->examples.push_back(example);
  }
  notes_.insert(notes_.end(), other.notes_.begin(), other.notes_.end());
}

std::string Intake::left_out_text() const {
  std::string text;
  for (const LeftOut& part : left_out_) {
    std::string examples;
    for (const std::string& example : part.examples)
      examples += (examples.empty() ? "" : ", ") + example;
    if (part.count > static_cast<int64_t>(part.examples.size()) &&
        part.examples.size() == kExamples)
      examples += ", ...";
    text += fmt::format("{}{} ({})", text.empty() ? "" : ", ",
                        counted(part.count, part.reason.one, part.reason.many), examples);
  }
  return text;
}

std::string Intake::line(const std::string& set) const {
  int64_t pictures = 0;
  std::string parts;
  for (const Taken& part : taken_) {
    pictures += part.pictures;
    parts += fmt::format("{}{} {}", parts.empty() ? "" : ", ", part.part, part.pictures);
  }
  std::string text =
      fmt::format("{}: takes {}", printable(set), counted(pictures, "picture", "pictures"));
  if (classes_ > 0) text += " of " + counted(classes_, "class", "classes");
  if (taken_.size() > 1 || (taken_.size() == 1 && taken_[0].part != "all"))
    text += " (" + parts + ")";
  if (!left_out_.empty()) text += "; leaves out " + left_out_text();
  for (const std::string& note : notes_) text += "; " + note;
  return text;
}

void set_intake_listener(IntakeListener listener) {
  Announcements& all = announcements();
  const std::scoped_lock lock(all.mutex);
  all.listener = std::move(listener);
}

void silence_intake() {
  Announcements& all = announcements();
  const std::scoped_lock lock(all.mutex);
  all.silent = true;
}

std::vector<std::pair<std::string, Intake>> announced_intakes() {
  Announcements& all = announcements();
  const std::scoped_lock lock(all.mutex);
  return all.intakes;
}

void announce(const Intake& intake, const std::string& set) {
  if (intake.complete()) return;
  Announcements& all = announcements();
  const std::string line = intake.line(set);
  IntakeListener hears;
  bool speaks = false;
  {
    const std::scoped_lock lock(all.mutex);
    hears = all.listener;
    const bool is_new = all.lines.insert(line).second;
    if (is_new) all.intakes.emplace_back(set, intake);
    speaks = is_new && !all.silent;
  }
  if (hears) return hears(line);
  if (speaks) log_warning(line);
}

}  // namespace vitrail
