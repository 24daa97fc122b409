#include "fetch/published_data.h"

#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <memory>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/file.h"
#include "core/file_lock.h"
#include "fetch/digest.h"
#include "fetch/download.h"
#include "formats/tar.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBlock = size_t{1} << 20;

class GzipFile {
 public:
  explicit GzipFile(const fs::path& path)
      : place_(path.filename().string()), file_(nullptr, &gzclose) {
    const int descriptor = InputFile(path).duplicate();
    file_.reset(gzdopen(descriptor, "rb"));
    if (file_ == nullptr) ::close(descriptor);
    check(file_ != nullptr, "data", "{}: cannot be opened", path.string());
  }
  size_t read(std::span<std::byte> out) {
    const auto wanted = static_cast<unsigned>(std::min(out.size(), kBlock));
    const int got = gzread(file_.get(), out.data(), wanted);
    int code = Z_OK;
    const char* reason = gzerror(file_.get(), &code);
    check(got >= 0 && (got > 0 || code == Z_OK), "data", "{}: truncated or damaged ({})", place_,
          code == Z_OK ? "it cannot be read" : reason);
    return static_cast<size_t>(got);
  }
  const std::string& place() const { return place_; }

 private:
  std::string place_;
  std::unique_ptr<gzFile_s, int (*)(gzFile)> file_;
};

// A file that must become what is expected before it may appear.
class CheckedFile {
 public:
  CheckedFile(const UnpackedFile& expected, const fs::path& folder, const std::string& archive)
      : expected_(expected), archive_(archive), file_(folder / expected.name) {}

  template <typename Read>
  void copy(Read read) {
    std::vector<std::byte> block(kBlock);
    uint64_t bytes = 0;
    while (const size_t got = read(std::span(block))) {
      bytes += got;
      if (bytes > expected_.bytes) break;
      const auto part = std::span<const std::byte>(block).first(got);
      digest_.update(part);
      file_.write(part);
    }
    check(bytes == expected_.bytes, "data", "{} of {} has {} bytes than the {} that were published",
          expected_.name, archive_, bytes > expected_.bytes ? "more" : "fewer", expected_.bytes);
    const std::string found = digest_.hex();
    check(found == expected_.sha256, "data",
          "{} of {} is not what was published: its SHA-256 is {}, not {}", expected_.name, archive_,
          found, expected_.sha256);
  }
  void commit() { file_.commit(); }

 private:
  const UnpackedFile& expected_;
  const std::string& archive_;
  AtomicFile file_;
  Digest digest_{DigestKind::sha256};
};

void unpack_tar(const PublishedArchive& archive, GzipFile& gzip, const fs::path& folder) {
  std::vector<std::unique_ptr<CheckedFile>> files(archive.files.size());
  TarReader tar([&](std::span<std::byte> out) { return gzip.read(out); }, gzip.place());
  while (const std::optional<TarEntry> entry = tar.next()) {
    // Only names that were expected are ever written to.
    const auto wanted =
        std::find_if(archive.files.begin(), archive.files.end(),
                     [&](const UnpackedFile& file) { return file.name == entry->name; });
    if (!entry->is_file || wanted == archive.files.end()) continue;
    auto& file = files[static_cast<size_t>(wanted - archive.files.begin())];
    file = std::make_unique<CheckedFile>(*wanted, folder, archive.name);
    file->copy([&](std::span<std::byte> out) { return tar.read(out); });
  }
  for (size_t i = 0; i < files.size(); ++i)
    check(files[i] != nullptr, "data", "{} lacks {}", archive.name, archive.files[i].name);
  for (const auto& file : files) file->commit();
}

bool is_whole(const PublishedArchive& archive, const fs::path& folder) {
  return std::all_of(archive.files.begin(), archive.files.end(), [&](const UnpackedFile& file) {
    std::error_code missing;
    const fs::path path = folder / file.name;
    return fs::file_size(path, missing) == file.bytes && !missing &&
           file_digest(path, DigestKind::sha256) == file.sha256;
  });
}

// Takes away what must not stay, whether the work succeeds or not.
struct Removed {
  std::vector<fs::path> paths;
  ~Removed() {
    std::error_code ignored;
    for (const fs::path& path : paths) fs::remove(path, ignored);  // a folder only when it is empty
  }
};

void fetch_archive(const PublishedArchive& archive, const fs::path& folder,
                   const DataOptions& options) {
  const bool published = options.mirror.empty();
  Download file;
  file.request.url = published ? archive.url : options.mirror + "/" + archive.name;
  file.request.timeouts = options.timeouts;
  file.target = folder / archive.name;
  file.name = archive.name;
  if (published) {
    file.expected.bytes = archive.bytes;
    file.expected.sha256 = archive.sha256;
    file.expected.md5 = archive.md5;
  }
  if (options.progress)
    file.progress = [&](uint64_t done, uint64_t total) {
      options.progress(archive.name, done, total);
    };
  Removed removed;
  for (const UnpackedFile& unpacked : archive.files)
    removed.paths.push_back((folder / unpacked.name).parent_path());
  download(file);
  removed.paths.push_back(file.target);
  unpack(archive, file.target, folder);
}

}  // namespace

void unpack(const PublishedArchive& archive, const fs::path& file, const fs::path& folder) {
  for (const UnpackedFile& unpacked : archive.files)
    make_folders((folder / unpacked.name).parent_path());
  GzipFile gzip(file);
  if (archive.kind == ArchiveKind::tar_gzip) return unpack_tar(archive, gzip, folder);
  CheckedFile content(archive.files.front(), folder, archive.name);
  content.copy([&](std::span<std::byte> out) { return gzip.read(out); });
  content.commit();
}

std::vector<std::string> fetch_dataset(const PublishedDataset& set, const fs::path& folder,
                                       const DataOptions& options) {
  make_folders(folder);
  Removed removed{{folder / ".lock"}};
  std::vector<std::string> downloaded;
  const FileLock lock(removed.paths.front(), say_that_another_fetches);
  for (const PublishedArchive& archive : set.archives) {
    if (is_whole(archive, folder)) continue;
    fetch_archive(archive, folder, options);
    downloaded.push_back(archive.name);
  }
  return downloaded;
}

}  // namespace vitrail
