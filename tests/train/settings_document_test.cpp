// docs/SETTINGS.md against the program: every field of a run is a row there, with its default, and
// every row of those tables is a field.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <string>

#include "formats/json.h"
#include "models/network_types.h"
#include "train/run/config.h"

namespace vitrail {
namespace {

// Rows of three columns "| `name` | `default` | meaning |" by name.
std::map<std::string, std::string> documented_defaults() {
  std::ifstream document(VITRAIL_SETTINGS_DOCUMENT);
  std::map<std::string, std::string> rows;
  for (std::string line; std::getline(document, line);) {
    const size_t name_end = line.find("` | `", 3);
    if (!line.starts_with("| `") || name_end == std::string::npos) continue;
    const size_t value = name_end + 5, value_end = line.find("` |", value);
    if (value_end == std::string::npos) continue;
    EXPECT_TRUE(
        rows.emplace(line.substr(3, name_end - 3), line.substr(value, value_end - value)).second)
        << line;
  }
  return rows;
}

std::string as_written(const Json& value) {
  if (!value.is_array()) return value.dump();
  std::string list;
  for (const Json& element : value) list += (list.empty() ? "" : ",") + element.dump();
  return list;
}

void expect_documented(const Json& fields, std::map<std::string, std::string>& rows) {
  for (const auto& [name, value] : fields.items()) {
    if (value.is_object()) {
      expect_documented(value, rows);
      continue;
    }
    const auto row = rows.find(name);
    if (row == rows.end()) {
      ADD_FAILURE() << name << " is not in docs/SETTINGS.md";
      continue;
    }
    EXPECT_EQ(row->second, as_written(value)) << name;
    rows.erase(row);
  }
}

TEST(SettingsDocument, HasEveryFieldWithItsDefaultAndNoOther) {
  auto rows = documented_defaults();
  ASSERT_FALSE(rows.empty());
  expect_documented(to_json(TrainConfig{}), rows);
  // What is left is of networks other than the plain Vision Transformer.
  const std::vector<std::string> known = network_field_names();
  for (const auto& [name, value] : rows)
    EXPECT_NE(std::ranges::find(known, name), known.end()) << name << " is no field of a run";
}

}  // namespace
}  // namespace vitrail
