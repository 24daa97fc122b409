// split.tsv: a SplitRecord as text.
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/file.h"
#include "core/log.h"
#include "core/printable.h"
#include "core/rng.h"
#include "data/split_record.h"
#include "formats/safetensors.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

constexpr const char* kVersion = "1";
constexpr std::array<std::pair<Part, std::string_view>, 3> kParts = {
    {{Part::training, "training"}, {Part::validation, "validation"}, {Part::earlier, "earlier"}}};

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\t')
      out += "\\t";
    else if (c == '\n')
      out += "\\n";
    else if (c == '\r')
      out += "\\r";
    else if (c == '\\')
      out += "\\\\";
    else
      out += c;
  }
  return out;
}

class Reader {
 public:
  Reader(std::string_view text, const std::string& place) : text_(text), place_(place) {}

  SplitRecord record() {
    require(field("#vitrail-split") == kVersion, "is of another version of Vitrail");
    SplitRecord record;
    record.data = unescaped(field("#data"));
    record.val = unescaped(field("#val"));
    record.held_out = number<int>(field("#held-out")) != 0;
    record.fraction = number<double>(field("#fraction"));
    record.seed = number<uint64_t>(field("#seed"));
    record.group = unescaped(field("#group"));
    for (std::string_view left = field("#classes"); !left.empty();) {
      const auto [name, rest] = cut(left);
      record.classes.push_back(unescaped(name));
      left = rest;
    }
    while (at_ < text_.size() && text_[at_] != '#') record.pictures.push_back(picture());
    const uint64_t sum = hash_path(text_.substr(0, at_));
    const auto [count, hash] = cut(field("#end"));
    require(number<size_t>(count) == record.pictures.size() && hash == fmt::format("{:016x}", sum),
            "its pictures are not those that were written");
    require(at_ == text_.size(), "goes on after its end");
    return record;
  }

 private:
  void require(bool condition, const char* what) const {
    check(condition, "split", "{}: {}; take the run's folder as it was written, or remove the file",
          place_, what);
  }

  std::string_view line() {
    const size_t end = text_.find('\n', at_);
    require(end != std::string_view::npos, "ends within a line");
    const std::string_view line = text_.substr(at_, end - at_);
    at_ = end + 1;
    return line;
  }

  // Around the first tab.
  std::pair<std::string_view, std::string_view> cut(std::string_view line) const {
    const size_t tab = line.find('\t');
    require(tab != std::string_view::npos, "a line of it lacks a tab");
    return {line.substr(0, tab), line.substr(tab + 1)};
  }

  std::string_view field(std::string_view name) {
    const auto [found, value] = cut(line());
    require(found == name, "is no record of a run's pictures");
    return value;
  }

  template <typename Number>
  Number number(std::string_view text, int base = 10) const {
    Number value{};
    std::from_chars_result end{};
    if constexpr (std::is_floating_point_v<Number>)
      end = std::from_chars(text.data(), text.data() + text.size(), value);
    else
      end = std::from_chars(text.data(), text.data() + text.size(), value, base);
    require(end.ec == std::errc() && end.ptr == text.data() + text.size() && !text.empty(),
            "a number of it is none");
    return value;
  }

  std::string unescaped(std::string_view text) const {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\') {
        out += text[i];
        continue;
      }
      constexpr std::string_view kLetters = "tnr\\", kMeant = "\t\n\r\\";
      const size_t which = i + 1 < text.size() ? kLetters.find(text[++i]) : std::string_view::npos;
      require(which != std::string_view::npos, "a name of it has a broken escape");
      out += kMeant[which];
    }
    return out;
  }

  std::vector<int64_t> labels(std::string_view text) const {
    std::vector<int64_t> numbers;
    while (!text.empty()) {
      const size_t comma = std::min(text.find(','), text.size());
      numbers.push_back(number<int64_t>(text.substr(0, comma)));
      text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return numbers;
  }

  SplitRecord::Picture picture() {
    const auto [part, rest] = cut(line());
    const auto [hash, described] = cut(rest);
    const auto [label, id] = cut(described);
    const auto known = std::ranges::find(kParts, part, &std::pair<Part, std::string_view>::second);
    require(known != kParts.end(), "a picture is of no known part");
    return {known->first, number<uint64_t>(hash, 16), labels(label), unescaped(id)};
  }

  std::string_view text_;
  const std::string& place_;
  size_t at_ = 0;
};

}  // namespace

SplitRecord parse_split_record(std::string_view text, const std::string& place) {
  return Reader(text, place).record();
}

void write_split_record(const fs::path& folder, const SplitRecord& record) {
  std::string text =
      fmt::format("#vitrail-split\t{}\n#data\t{}\n#val\t{}\n#held-out\t{}\n", kVersion,
                  escaped(record.data), escaped(record.val), record.held_out ? 1 : 0);
  text += fmt::format("#fraction\t{}\n#seed\t{}\n#group\t{}\n", record.fraction, record.seed,
                      escaped(record.group));
  text += "#classes\t";
  for (const std::string& name : record.classes) text += escaped(name) + "\t";
  text += "\n";
  for (const SplitRecord::Picture& picture : record.pictures) {
    const auto part =
        std::ranges::find(kParts, picture.part, &std::pair<Part, std::string_view>::first);
    text += fmt::format("{}\t{:016x}\t{}\t{}\n", part->second, picture.content,
                        fmt::join(picture.labels, ","), escaped(picture.id));
  }
  text += fmt::format("#end\t{}\t{:016x}\n", record.pictures.size(), hash_path(text));
  check(text.size() <= kMaxSplitBytes, "split",
        "the names of {} pictures are more than {} holds ({} bytes)", record.pictures.size(),
        kSplitFile, kMaxSplitBytes);
  write_file_atomically(folder / kSplitFile, text);
}

std::optional<SplitRecord> read_split_record(const fs::path& folder) {
  const fs::path path = folder / kSplitFile;
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return std::nullopt;
  const std::string place = printable(path.string());
  check(fs::is_regular_file(path, ignored), "split", "{}: is no file", place);
  const std::vector<std::byte> bytes = read_file(path, kMaxSplitBytes);
  return parse_split_record({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, place);
}

std::map<std::string, std::string> split_metadata(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::exists(folder / kSplitFile, ignored)) return {};
  return {{kSplitMetadata, kSplitFile}};
}

std::optional<SplitRecord> read_record_of_model(const fs::path& model) {
  std::error_code ignored;
  const bool is_folder = fs::is_directory(model, ignored);
  const fs::path beside = model.has_parent_path() ? model.parent_path() : fs::path(".");
  std::optional<SplitRecord> record = read_split_record(is_folder ? model : beside);
  const fs::path weights = is_folder ? model / "model.safetensors" : model;
  if (!record && weights.extension() == ".safetensors" && fs::is_regular_file(weights, ignored) &&
      SafetensorsFile::open(weights)->metadata().contains(kSplitMetadata))
    log_warning(fmt::format(
        "{}: the run that made this model kept a list of its pictures, {}, which is not beside it: "
        "which pictures the model learned from is not known",
        printable(model.string()), kSplitFile));
  return record;
}

void copy_split_record(const fs::path& from, const fs::path& to) {
  std::error_code ignored;
  if (fs::equivalent(from, to, ignored)) return;
  if (const auto record = read_split_record(from)) write_split_record(to, *record);
}

}  // namespace vitrail
