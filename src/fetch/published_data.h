// Data sets from those who published them, with hashes pinned here: what arrives is that, or an
// error.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "fetch/download.h"

namespace vitrail {

// A file as the data set's reader wants it.
struct UnpackedFile {
  std::string name;  // below the folder of the set
  uint64_t bytes = 0;
  std::string sha256;
};

enum class ArchiveKind { gzip, tar_gzip };

struct PublishedArchive {
  std::string name, url;
  uint64_t bytes = 0;
  std::string sha256, md5;  // the publisher names the md5
  ArchiveKind kind = ArchiveKind::gzip;
  std::vector<UnpackedFile> files;  // of a gzip exactly one; of a tar, those that are wanted
};

struct PublishedDataset {
  std::string name;
  std::string source;  // where its publisher describes it
  std::vector<PublishedArchive> archives;
};

// fashion-mnist, cifar10.
const std::vector<PublishedDataset>& published_datasets();
// Error: none of that name; the message lists those that are.
const PublishedDataset& published_dataset(const std::string& name);

struct DataOptions {
  // An address below which the archives lie instead, under their names. There they may be packed
  // anew: what counts is the hash of the content. Empty: the publisher's.
  std::string mirror;
  HttpTimeouts timeouts;
  std::function<void(const std::string& file, uint64_t done, uint64_t total)> progress = {};
};

// Brings what the folder lacks or has otherwise; returns the names of the archives that it
// downloaded. Nothing but whole files appears, and a part to continue from. Error: as download();
// content that is not what was published.
std::vector<std::string> fetch_dataset(const PublishedDataset& set,
                                       const std::filesystem::path& folder,
                                       const DataOptions& options);

// Unpacks an archive into the folder; all its files appear, or none. Error: damaged, a file is
// missing, another content.
void unpack(const PublishedArchive& archive, const std::filesystem::path& file,
            const std::filesystem::path& folder);

}  // namespace vitrail
