// Reading the text goldens of tests/golden/kernels: a line is "fields : values".
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace vitrail::testing {

struct GoldenLine {
  std::istringstream fields;
  std::vector<float> values;
};

inline std::vector<GoldenLine> read_golden(const std::string& name) {
  std::ifstream file(std::string(VITRAIL_SOURCE_DIR) + "/tests/golden/kernels/" + name);
  EXPECT_TRUE(file.is_open()) << name;
  std::vector<GoldenLine> lines;
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    GoldenLine& parsed = lines.emplace_back();
    parsed.fields.str(line.substr(0, colon));
    std::istringstream values(line.substr(colon + 1));
    for (float value; values >> value;) parsed.values.push_back(value);
  }
  return lines;
}

// The generator's inputs.
inline std::vector<float> golden_input(int64_t count, int64_t start = 0) {
  std::vector<float> values;
  for (int64_t i = start; i < start + count; ++i)
    values.push_back(static_cast<float>(i * 37 % 101) / 64.0f - 0.75f);
  return values;
}

}  // namespace vitrail::testing
