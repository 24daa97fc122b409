// The files within a zip archive that stores them uncompressed, as torch.save does.
//
// A zip library would copy every weight out of the archive; this finds where each lies, so that
// tensors share the mapping of the file. Source: PKWARE's APPNOTE.TXT, 4.3 and 4.5.3 (zip64).
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

namespace vitrail {

inline constexpr uint64_t kMaxZipEntries = 1'000'000;

// Name to bytes, within `archive`. `place` names it in messages.
// Error: not a zip archive, cut off, an entry that is compressed, encrypted, outside the archive or
// there twice.
std::map<std::string, std::span<const std::byte>, std::less<>> stored_zip_entries(
    std::span<const std::byte> archive, const std::string& place);

}  // namespace vitrail
