// Files for the tests of formats.
#pragma once

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "support/errors.h"
#include "support/temporary_folder.h"

namespace vitrail::testing {

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

}  // namespace vitrail::testing
