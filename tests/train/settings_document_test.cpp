// docs/SETTINGS.md and the schema of configurations against the program: every field of a run and
// of each type of network is a row there, with its default, and every row of those tables is a
// field.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <string>

#include "formats/json.h"
#include "models/network_types.h"
#include "models/picture_network_config.h"
#include "train/run/config.h"

namespace vitrail {
namespace {

using Rows = std::map<std::string, std::string>;  // default by name

// Rows of three columns "| `name` | `default` | meaning |", by the type of network that the heading
// above them names ("### `swin`: ..."); "" is a run's own, with those of the Vision Transformer.
std::map<std::string, Rows> documented_defaults() {
  std::ifstream document(VITRAIL_DOCUMENTS "/SETTINGS.md");
  std::map<std::string, Rows> rows;
  std::string type;
  for (std::string line; std::getline(document, line);) {
    if (line.starts_with("## ")) type.clear();
    if (line.starts_with("### `")) type = line.substr(5, line.find('`', 5) - 5);
    const size_t name_end = line.find("` | `", 3);
    if (!line.starts_with("| `") || name_end == std::string::npos) continue;
    const size_t value = name_end + 5, value_end = line.find("` |", value);
    if (value_end == std::string::npos) continue;
    EXPECT_TRUE(rows[type]
                    .emplace(line.substr(3, name_end - 3), line.substr(value, value_end - value))
                    .second)
        << line;
  }
  return rows;
}

std::string as_written(const Json& value) {
  if (!value.is_array()) return value.dump();
  if (value.empty()) return R"("")";
  std::string list;
  for (const Json& element : value) list += (list.empty() ? "" : ",") + element.dump();
  return list;
}

// Takes the rows of these fields away.
void expect_documented(const Json& fields, Rows& rows) {
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

void expect_none_left(const Rows& rows) {
  for (const auto& [name, value] : rows) ADD_FAILURE() << name << " is no field";
}

// The fields that every type has, which are documented once.
std::vector<std::string> common_fields() {
  return field_names<PictureNetworkConfig>(kPictureNetworkFields);
}

TEST(SettingsDocument, HasEveryFieldOfARunWithItsDefaultAndNoOther) {
  Rows rows = documented_defaults()[""];
  ASSERT_FALSE(rows.empty());
  expect_documented(to_json(TrainConfig{}), rows);
  expect_none_left(rows);
}

TEST(SettingsDocument, HasEveryFieldOfEachTypeOfNetworkWithItsDefaultAndNoOther) {
  std::map<std::string, Rows> documented = documented_defaults();
  documented.erase("");
  for (const NetworkConfig& config : default_networks()) {
    if (config.type() == default_networks().front().type()) continue;  // the run's own
    const std::string type(config.type());
    SCOPED_TRACE(type);
    Json fields = to_json(config);
    fields.erase("network");
    for (const std::string& name : common_fields()) EXPECT_EQ(fields.erase(name), 1u) << name;
    expect_documented(fields, documented[type]);
    expect_none_left(documented[type]);
    documented.erase(type);
  }
  for (const auto& [type, rows] : documented) ADD_FAILURE() << type << " is no type of network";
}

TEST(SettingsDocument, TheSchemaHasTheFieldsOfEachTypeOfNetwork) {
  const Json schema = Json::parse(std::ifstream(VITRAIL_DOCUMENTS "/json/common.schema.json"));
  std::map<std::string, std::set<std::string>> described;
  for (const Json& form : schema["$defs"]["config"]["anyOf"])
    for (const auto& field : form["properties"].items())
      described[form["title"].get<std::string>()].insert(field.key());
  std::map<std::string, std::set<std::string>> right;
  for (const NetworkConfig& config : default_networks()) {
    const Json fields = to_json(config);
    for (const auto& field : fields.items()) right[std::string(config.type())].insert(field.key());
  }
  EXPECT_EQ(described, right);
}

}  // namespace
}  // namespace vitrail
