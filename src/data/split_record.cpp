#include "data/split_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "core/error.h"
#include "core/parallel.h"
#include "core/printable.h"

namespace vitrail {
namespace {

constexpr size_t kNamed = 3;  // pictures in a message

std::string list_of(const std::vector<std::string>& ids) {
  std::string text;
  for (size_t i = 0; i < std::min(kNamed, ids.size()); ++i)
    text += fmt::format("{}'{}'", i > 0 ? ", " : "", printable(ids[i]));
  return ids.size() > kNamed ? text + ", ..." : text;
}

void say(std::string& text, const std::vector<std::string>& ids, const char* one,
         const char* many) {
  if (ids.empty()) return;
  text += fmt::format("{}{} {} ({})", text.empty() ? "" : ", ", ids.size(),
                      ids.size() == 1 ? one : many, list_of(ids));
}

std::set<std::string_view> classes_of(const std::vector<std::string>& classes,
                                      const std::vector<int64_t>& labels) {
  std::set<std::string_view> names;
  for (const int64_t label : labels) {
    const auto index = static_cast<size_t>(label);
    names.insert(index < classes.size() ? std::string_view(classes[index]) : std::string_view());
  }
  return names;
}

}  // namespace

int64_t SplitRecord::count(Part part) const {
  return std::ranges::count(pictures, part, &Picture::part);
}

std::string SplitRecord::rule() const {
  return fmt::format("{:.6g}% of each class, seed {}{}", 100 * fraction, seed,
                     group.empty() ? "" : fmt::format(", group '{}'", printable(group)));
}

std::vector<uint64_t> contents_of(const Dataset& set, int threads, int64_t limit,
                                  const std::function<bool()>& stop) {
  const int64_t count = limit > 0 ? std::min(limit, set.size()) : set.size();
  std::vector<uint64_t> contents(static_cast<size_t>(count));
  ThreadPool pool(threads);
  std::atomic<bool> stopped = false;
  pool.parallel_for(count, [&](int64_t i, int) {
    if (stop && (stopped || stop())) {
      stopped = true;
      return;
    }
    try {
      contents[static_cast<size_t>(i)] = set.content(i);
    } catch (const Error&) {  // whoever looks at the picture says so
    }
  });
  if (stopped)
    fail(ErrorCode::cancelled, "stop",
         "the work was asked to stop, and has, while the pictures of {} were read; nothing was "
         "changed",
         printable(set.name()));
  return contents;
}

void add_part(SplitRecord& record, Part part, const Dataset& set,
              const std::vector<uint64_t>& contents) {
  record.classes = set.classes();
  for (int64_t i = 0; i < set.size(); ++i)
    record.pictures.push_back({part, contents[static_cast<size_t>(i)], set.labels(i), set.id(i)});
}

void add_earlier(SplitRecord& record, const SplitRecord& model) {
  std::set<uint64_t> known;
  for (const SplitRecord::Picture& picture : model.pictures)
    if (picture.part != Part::validation && picture.content != 0) known.insert(picture.content);
  for (const uint64_t content : known) record.pictures.push_back({Part::earlier, content, {0}, ""});
}

std::string differences(const SplitRecord& record, const NamedContents& now) {
  std::unordered_map<std::string_view, const SplitRecord::Picture*> then;
  std::unordered_set<uint64_t> then_contents;
  for (const SplitRecord::Picture& picture : record.pictures) {
    if (std::ranges::find(now.of, picture.part) == now.of.end()) continue;
    then.emplace(picture.id, &picture);
    if (picture.content != 0) then_contents.insert(picture.content);
  }
  std::vector<std::string> added, gone, renamed, changed, moved;
  std::unordered_set<std::string> here;
  for (int64_t i = 0; i < now.set->size(); ++i) {
    std::string id = now.set->id(i);
    const uint64_t content = now.contents ? (*now.contents)[static_cast<size_t>(i)] : 0;
    const auto found = then.find(id);
    if (found == then.end())
      (content != 0 && then_contents.contains(content) ? renamed : added).push_back(id);
    else if (now.contents != nullptr && found->second->content != content)
      changed.push_back(id);
    else if (classes_of(record.classes, found->second->labels) !=
             classes_of(now.set->classes(), now.set->labels(i)))
      moved.push_back(id);
    here.insert(std::move(id));
  }
  for (const SplitRecord::Picture& picture : record.pictures)
    if (std::ranges::find(now.of, picture.part) != now.of.end() && !here.contains(picture.id))
      gone.push_back(picture.id);
  // One that goes by another name is not gone.
  if (!renamed.empty() && gone.size() == renamed.size()) gone.clear();
  std::string text;
  say(text, added, "picture was added since", "pictures were added since");
  say(text, gone, "is gone", "are gone");
  say(text, renamed, "has another name", "have other names");
  say(text, changed, "has another content", "have another content");
  say(text, moved, "has another class", "have another class");
  return text;
}

std::vector<bool> held_out_in(const SplitRecord& record, const Dataset& whole) {
  std::unordered_set<std::string_view> held;
  for (const SplitRecord::Picture& picture : record.pictures)
    if (picture.part == Part::validation) held.insert(picture.id);
  std::vector<bool> out(static_cast<size_t>(whole.size()));
  for (int64_t i = 0; i < whole.size(); ++i)
    out[static_cast<size_t>(i)] = held.contains(whole.id(i));
  return out;
}

int64_t count_learned(const SplitRecord& record, const std::vector<uint64_t>& contents) {
  std::unordered_set<uint64_t> learned;
  for (const SplitRecord::Picture& picture : record.pictures)
    if (picture.part != Part::validation && picture.content != 0) learned.insert(picture.content);
  return std::ranges::count_if(contents,
                               [&](uint64_t content) { return learned.contains(content); });
}

}  // namespace vitrail
