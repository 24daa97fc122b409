// The files within a zip archive that stores them uncompressed, as torch.save does.
//
// A zip library would copy every weight out of the archive; this finds where each lies, so that
// tensors are read, or shared, where they lie. Source: PKWARE's APPNOTE.TXT, 4.3 and 4.5.3 (zip64).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>

namespace vitrail {

inline constexpr uint64_t kMaxZipEntries = 200'000;

struct StoredZip {
  // Name to bytes, within the archive; of a compressed entry none.
  std::map<std::string, std::span<const std::byte>, std::less<>> entries;
  std::string compressed;  // the first entry that is compressed, if any
};

// `place` names the archive in messages. Error: not a zip archive, cut off, an entry that is
// encrypted, outside the archive or there twice.
StoredZip read_stored_zip(std::span<const std::byte> archive, const std::string& place);

}  // namespace vitrail
