// ClassLabels: what the classes of a model are called.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace vitrail {

struct ClassLabels {
  std::vector<std::optional<std::string>> names;  // one for each class; nothing: unknown
  std::vector<std::string>
      wnids;  // WordNet identifiers: empty, or one for each class ("": unknown)

  int64_t size() const { return static_cast<int64_t>(names.size()); }
  // Nothing when the index is out of range or the name is unknown.
  std::optional<std::string> name(int64_t index) const;
  bool any_known() const;
};

// `count` classes of which nothing is known.
ClassLabels unknown_labels(int64_t count);

// A text file with one name a line; or JSON: an array of names (or of objects with "name" and
// optionally "index" and "wnid"), or an object from index to a name or to [wnid, name].
// Error: unreadable, of another form, or another number of classes than `count`.
ClassLabels read_labels(const std::filesystem::path& path, int64_t count);

}  // namespace vitrail
