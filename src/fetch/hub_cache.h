// The hub's cache on disk, as huggingface_hub lays it out, so that both find each other's files:
//
//   models--OWNER--NAME/blobs/ETAG                      contents
//                      /snapshots/COMMIT/FILE           links to blobs
//                      /refs/REVISION                   a branch's commit
//                      /.no_exist/COMMIT/FILE           files that the repository is known to lack
//   .locks/models--OWNER--NAME/ETAG.lock                one process at a time downloads a blob
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace vitrail {

// OWNER/NAME or OWNER/NAME@REVISION.
struct HubModel {
  std::string name;  // OWNER/NAME
  std::string revision = "main";
};

// Whether a --model that names no file may be one of a hub.
bool is_hub_name(const std::string& text);
// Error: not of that form, or a revision that is no git name.
HubModel parse_hub_name(const std::string& text);

// Names that a server gives become paths: each must stay where it belongs.
// Error: absolute, with "..", "." or empty parts, a backslash or control characters.
void check_repository_path(const std::string& path, const std::string& model);
// A commit or an etag: letters, digits, '-', '_' and '.', not first.
bool is_plain_word(const std::string& text);

class HubCache {
 public:
  HubCache(const std::filesystem::path& cache, const HubModel& model);

  std::filesystem::path blob(const std::string& etag) const { return folder_ / "blobs" / etag; }
  std::filesystem::path snapshot(const std::string& commit) const {
    return folder_ / "snapshots" / commit;
  }
  std::filesystem::path lock(const std::string& etag) const;
  const std::filesystem::path& folder() const { return folder_; }

  // What the revision is here: a commit of its own, or a branch; nothing when it never was fetched.
  std::optional<std::string> commit_of(const std::string& revision) const;
  // Names, relative to the snapshot, of files whose contents are there.
  std::vector<std::string> files_of(const std::string& commit) const;
  bool is_known_absent(const std::string& commit, const std::string& file) const;

  void make_folders();
  // The file of a snapshot: a link to its blob, or a copy where the file system has no links.
  void link(const std::string& commit, const std::string& file, const std::string& etag);
  void remember_absent(const std::string& commit, const std::string& file);
  void remember_commit(const std::string& revision, const std::string& commit);

 private:
  std::filesystem::path cache_, folder_;
  std::string folder_name_;
};

}  // namespace vitrail
