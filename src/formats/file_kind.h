// Files of weights of other tools, told by what they begin with or hold, so that a refusal can say
// what a file is and what to do.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "formats/stored_zip.h"

namespace vitrail {

// Whether the bytes begin as a safetensors file's do: the length of its header, before a brace. The
// length may be the bytes that a file of another kind begins with.
bool begins_like_safetensors(std::span<const std::byte> bytes);

inline constexpr size_t kForeignBytes = 512;  // that tell a file of another tool
// "an HDF5 file, as Keras writes it; ..."; empty: none that is known here.
std::string foreign_kind(std::span<const std::byte> bytes);

// The same of a zip archive, by the names within; empty for one of torch.save.
std::string foreign_zip_kind(const StoredZip& zip);

}  // namespace vitrail
