// How a run divided its pictures: which it learns from and which it is judged on, by name and
// content. The run's folder, which is its model too, keeps it as split.tsv, so that whoever speaks
// of the run or judges its model later asks the record and divides nothing again.
//
// split.tsv is text: lines "#NAME<TAB>VALUE", then a line "PART<TAB>HASH<TAB>CLASS<TAB>NAME" a
// picture (CLASS is 3, or of several classes a picture 0,3 or nothing), then
// "#end<TAB>PICTURES<TAB>HASH". Tabs, line ends and backslashes of a name are written
// \t, \n, \r,
// \\; its other bytes stand as they are.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"

namespace vitrail {

inline constexpr const char* kSplitFile = "split.tsv";
// What the weights say of themselves when a record goes with them, so that its loss is noticed.
inline constexpr const char* kSplitMetadata = "vitrail_split";
inline constexpr size_t kMaxSplitBytes = size_t{256} << 20;

enum class Part : uint8_t {
  training,
  validation,
  earlier,  // what the run's base model or teacher had learned from, as far as it is known
};

struct SplitRecord {
  struct Picture {
    Part part = Part::training;
    uint64_t content = 0;         // Dataset::content; 0: it could not be read
    std::vector<int64_t> labels;  // indices into the classes, ascending
    std::string id;               // of an earlier one, empty
  };
  std::string data;  // the spec that the run was begun with
  std::string val;   // that of validation pictures from elsewhere; empty: the data's own
  // Whether the validation pictures were held out of the data by data/held_out.h, and by what.
  bool held_out = false;
  double fraction = 0;
  uint64_t seed = 0;
  std::string group;
  std::vector<std::string> classes;
  std::vector<Picture> pictures;  // each part in its set's order

  int64_t count(Part part) const;
  // "20% of each class, seed 3, group 'folder'"
  std::string rule() const;
};

// The hash of each picture, or of the first `limit`; 0 for one that cannot be read. threads 0: all
// cores. Error (ErrorCode::cancelled): `stop`, which is asked before each picture, said yes.
std::vector<uint64_t> contents_of(const Dataset& set, int threads, int64_t limit = 0,
                                  const std::function<bool()>& stop = {});

// Adds a set's pictures as one part.
void add_part(SplitRecord& record, Part part, const Dataset& set,
              const std::vector<uint64_t>& contents);
// Adds what another model learned from as earlier pictures.
void add_earlier(SplitRecord& record, const SplitRecord& model);

// Error: it cannot be written.
void write_split_record(const std::filesystem::path& folder, const SplitRecord& record);
// Nothing where the folder has none. Error: it is damaged.
std::optional<SplitRecord> read_split_record(const std::filesystem::path& folder);
// The record beside a model, which is a folder or a file of weights. Nothing: no run of Vitrail
// made the model, or its record is lost; then the weights speak of it, and a warning says so.
std::optional<SplitRecord> read_record_of_model(const std::filesystem::path& model);
// `place` names the text in messages. Error: it is no whole record.
SplitRecord parse_split_record(std::string_view text, const std::string& place);
// Into the folder of a model that is made of another one; nothing happens where there is none, or
// the folder is the same.
void copy_split_record(const std::filesystem::path& from, const std::filesystem::path& to);
// For the weights of a folder that has a record: kSplitMetadata; else nothing.
std::map<std::string, std::string> split_metadata(const std::filesystem::path& folder);

// How sets differ from those that a record speaks of, for people: "2 pictures were added since
// ('a/3.png', ...), 1 is gone ('b/4.png')"; empty when they are the same by name, by class
// and, where contents are given, by content. `of`: the parts that the sets should be.
struct NamedContents {
  const Dataset* set = nullptr;
  const std::vector<uint64_t>* contents = nullptr;  // null: names alone are compared
  std::vector<Part> of;
};
std::string differences(const SplitRecord& record, const NamedContents& now);

// Which pictures of `whole` are the record's validation pictures, by name; the rest are its
// training pictures.
std::vector<bool> held_out_in(const SplitRecord& record, const Dataset& whole);

// How many of the contents a model of this record has learned from.
int64_t count_learned(const SplitRecord& record, const std::vector<uint64_t>& contents);

}  // namespace vitrail
