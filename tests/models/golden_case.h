// One folder of tests/golden/models: a tiny checkpoint and what its own library computed from it.
#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "formats/json.h"
#include "formats/safetensors.h"

namespace vitrail::testing {

struct GoldenCase {
  std::string name;  // "timm/options_03"
  std::filesystem::path folder;
  std::shared_ptr<SafetensorsFile> tensors;
  nlohmann::json info;

  std::string family() const { return name.substr(0, name.find('/')); }
  bool has(const std::string& tensor) const { return tensors->contains(tensor); }
  // The golden's values as f32.
  Tensor at(const std::string& tensor) const { return tensors->tensor(tensor); }
  // The larger of the stated bound and three times the library's own float32 error.
  double bound(const std::string& tensor, double stated) const {
    return std::max(stated, 3 * info.at("float32_error").value(tensor, 0.0));
  }
  // Golden tensors whose names start so, the prefix cut off.
  std::vector<std::string> named(const std::string& prefix) const {
    std::vector<std::string> found;
    for (const std::string& tensor : tensors->names())
      if (tensor.starts_with(prefix)) found.push_back(tensor.substr(prefix.size()));
    return found;
  }
};

inline std::filesystem::path golden_root() {
  return std::filesystem::path(VITRAIL_SOURCE_DIR) / "tests/golden/models";
}

// Names of all cases, "family/case", ascending.
inline std::vector<std::string> golden_case_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(golden_root()))
    if (entry.path().filename() == "golden.json")
      names.push_back(relative(entry.path().parent_path(), golden_root()).generic_string());
  std::sort(names.begin(), names.end());
  return names;
}

inline GoldenCase open_golden(const std::string& name) {
  GoldenCase golden;
  golden.name = name;
  golden.folder = golden_root() / name;
  golden.tensors = SafetensorsFile::open(golden.folder / "golden.safetensors");
  golden.info = read_json(golden.folder / "golden.json");
  return golden;
}

inline double largest(std::span<const float> values) {
  double most = 0;
  for (const float value : values) most = std::max(most, std::abs(static_cast<double>(value)));
  return most;
}

// max|a - b| / max(max|b|, floor); infinite when shapes differ or something is not finite.
inline double relative_error(const Tensor& a, const Tensor& b, double floor = 0) {
  if (a.numel() != b.numel()) return INFINITY;
  double most = 0;
  for (int64_t i = 0; i < a.numel(); ++i) {
    const double difference = std::abs(static_cast<double>(a.f32()[i]) - b.f32()[i]);
    if (!std::isfinite(difference)) return INFINITY;
    most = std::max(most, difference);
  }
  return most / std::max({largest(b.values()), floor, 1e-30});
}

}  // namespace vitrail::testing
