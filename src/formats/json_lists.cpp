#include "formats/json_lists.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "core/printable.h"
#include "formats/json_tree.h"
#include "formats/text_file.h"

namespace vitrail {
namespace {

class ListEvents : public JsonEvents {
 public:
  ListEvents(const std::string& place, const JsonListReaders& readers)
      : JsonEvents(place), readers_(readers), element_(place, kListElement) {}

  std::set<std::string> found;

  void scalar(Json value) override {
    begin_value();
    if (depth_ < kInList || !reader_) return;
    element_.scalar(std::move(value));
    finish_element();
  }
  bool start_object(size_t size) override { return start(true, size); }
  bool start_array(size_t size) override { return start(false, size); }
  bool end_object() override { return end(true); }
  bool end_array() override { return end(false); }
  bool key(string_t& name) override {
    if (depth_ > kInList && reader_) return element_.key(name);
    if (depth_ != kInObject) return true;
    const auto reader = readers_.find(name);
    reader_ = reader == readers_.end() ? nullptr : &reader->second;
    if (reader_ && !found.insert(name).second)
      fail("json", "{}: has '{}' twice", place_, printable(name));
    name_ = reader_ ? name : "";
    return true;
  }

 private:
  static constexpr int kInObject = 1, kInList = 2;

  // A value begins where the file must be an object, or where a list must stand.
  void begin_value(bool object = false, bool list = false) const {
    if (depth_ == 0 && !object) fail("json", "{}: must be a JSON object", place_);
    if (depth_ == kInObject && reader_ && !list)
      fail("json", "{}: '{}' is no list", place_, printable(name_));
  }
  bool start(bool object, size_t size) {
    begin_value(object, !object);
    if (depth_ >= kInList && reader_)
      object ? element_.start_object(size) : element_.start_array(size);
    ++depth_;
    return true;
  }
  bool end(bool object) {
    --depth_;
    if (depth_ < kInList || !reader_) return true;
    object ? element_.end_object() : element_.end_array();
    finish_element();
    return true;
  }
  void finish_element() {
    if (element_.complete()) (*reader_)(element_.take());
  }

  const JsonListReaders& readers_;
  const std::function<void(const Json&)>* reader_ = nullptr;  // of the member at hand
  std::string name_;
  JsonTree element_;
  int64_t depth_ = 0;
};

}  // namespace

std::set<std::string> parse_json_lists(std::string_view text, const std::string& place,
                                       const JsonListReaders& readers) {
  text = checked_text(text, place);
  ListEvents events(place, readers);
  parse_json_events(text, events);
  return std::move(events.found);
}

std::set<std::string> read_json_lists(const std::filesystem::path& path,
                                      const JsonListReaders& readers) {
  // Not mapped: a file that shrinks meanwhile must not end the process.
  const std::vector<std::byte> bytes = read_file(path, kMaxJsonListBytes);
  return parse_json_lists({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                          path.string(), readers);
}

}  // namespace vitrail
