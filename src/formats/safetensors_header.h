// The JSON header of a safetensors file, checked field by field; internal to the format.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "formats/tensor_source.h"

namespace vitrail {

struct SafetensorsEntry {
  std::string name;
  TensorInfo info;
  uint64_t begin = 0;  // data_offsets: bytes after the header
  uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // in the order of their bytes
  std::map<std::string, std::string> metadata;
};

// Parses the header's text for a file whose tensors take data_bytes. `place` names the file.
// Error: whatever upstream refuses (its validate()), a name twice, a dtype that Vitrail lacks.
SafetensorsHeader parse_safetensors_header(std::string_view text, uint64_t data_bytes,
                                           const std::string& place);

// The header for tensors in this order, padded with spaces to a multiple of eight bytes.
std::string format_safetensors_header(const std::vector<SafetensorsEntry>& entries,
                                      const std::map<std::string, std::string>& metadata,
                                      const std::string& place);

// Upstream writes wider dtypes first; this is its order.
int safetensors_rank(DType dtype);

}  // namespace vitrail
