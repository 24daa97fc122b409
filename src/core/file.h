// Whole files read into memory, with a limit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

namespace vitrail {

// Error: missing, a directory, not readable, larger than max_bytes. An empty file gives no bytes.
// What is not a regular file (a pipe) is read to its end under the same limit.
std::vector<std::byte> read_file(const std::filesystem::path& path, uint64_t max_bytes);

}  // namespace vitrail
