#include "data/folder_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "core/error.h"
#include "core/printable.h"
#include "data/split_names.h"
#include "image/codec/picture_names.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxDepth = 16;
constexpr size_t kMaxUncounted = 100'000;  // entries that are looked at below a foreign folder

using Identity = std::pair<uint64_t, uint64_t>;

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

// How many pictures a folder that is left out holds: a number for the message, so it follows no
// links and does not look forever.
int64_t pictures_left(const fs::path& folder) {
  int64_t pictures = 0;
  size_t seen = 0;
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(folder, error);
       !error && it != fs::recursive_directory_iterator() && ++seen < kMaxUncounted;
       it.increment(error)) {
    if (it.depth() >= static_cast<int>(kMaxDepth)) it.disable_recursion_pending();
    pictures += is_picture_name(it->path().native());
  }
  return pictures;
}

class Walk {
 public:
  explicit Walk(const fs::path& root) : root_(root) {}

  FolderTree read(const std::string& path) {
    check(above_.size() < kMaxDepth, "data", "folders below '{}' are nested deeper than {}",
          printable((root_ / path).string()), kMaxDepth);
    const std::unique_ptr<DIR, CloseFolder> folder(::opendir((root_ / path).c_str()));
    if (folder == nullptr) fail_to_read(path);
    FolderTree tree;
    tree.path = path;
    struct stat own {};
    if (::fstat(::dirfd(folder.get()), &own) != 0) fail_to_read(path);
    tree.identity = {own.st_dev, own.st_ino};
    std::vector<std::string> folders;
    errno = 0;
    while (const dirent* entry = ::readdir(folder.get())) {
      sort_in(tree, ::dirfd(folder.get()), *entry, folders);
      errno = 0;
    }
    if (errno != 0) fail_to_read(path);
    std::ranges::sort(tree.pictures);
    std::ranges::sort(folders);
    tree.count = static_cast<int64_t>(tree.pictures.size());
    above_.push_back(tree.identity);
    for (const std::string& name : folders) {
      tree.folders.push_back(read(path.empty() ? name : path + "/" + name));
      tree.count += tree.folders.back().count;
    }
    above_.pop_back();
    return tree;
  }

 private:
  [[noreturn]] void fail_to_read(const std::string& path) const {
    fail("data", "cannot read the folder '{}': {}", printable((root_ / path).string()),
         std::strerror(errno));
  }

  void leave_folder(FolderTree& tree, const Reason& reason, const std::string& path) const {
    const int64_t pictures = pictures_left(root_ / path);
    tree.intake.leave_out(
        reason,
        pictures == 0 ? path + "/" : path + "/ with " + counted(pictures, "picture", "pictures"));
  }

  void sort_in(FolderTree& tree, int folder, const dirent& entry,
               std::vector<std::string>& folders) const {
    const std::string name = entry.d_name;
    if (name == "." || name == "..") return;
    const std::string path = tree.path.empty() ? name : tree.path + "/" + name;
    const std::string suffix = picture_suffix(name);
    // A regular file whose name is no picture's needs no look at its inode.
    struct stat status {};
    bool is_file = entry.d_type == DT_REG;
    if (!is_file || is_picture_suffix(suffix)) {
      if (::fstatat(folder, name.c_str(), &status, 0) != 0)
        return tree.intake.leave_out(errno == ELOOP ? reasons::kLoop : reasons::kBrokenLink, path);
      is_file = S_ISREG(status.st_mode);
    }
    if (!is_file && S_ISDIR(status.st_mode)) {
      if (name.starts_with('.')) return leave_folder(tree, reasons::kHidden, path);
      if (is_foreign_folder(name)) return leave_folder(tree, reasons::kForeign, path);
      const Identity identity{status.st_dev, status.st_ino};
      const bool loop =
          identity == tree.identity || std::ranges::find(above_, identity) != above_.end();
      if (loop) return tree.intake.leave_out(reasons::kLoop, path);
      folders.push_back(name);
      return;
    }
    if (name.starts_with('.')) return tree.intake.leave_out(reasons::kHidden, path);
    if (!is_file) return tree.intake.leave_out(reasons::kNoFile, path);
    if (is_picture_suffix(suffix)) {
      if (status.st_size == 0) return tree.intake.leave_out(reasons::kEmptyPicture, path);
      tree.pictures.push_back(name);
    } else if (is_unread_picture_suffix(suffix)) {
      tree.intake.leave_out(reasons::kUnreadFormat, path);
    } else {
      const std::string small = lower_case(name);
      tree.metadata |=
          small == "metadata.csv" || small == "metadata.jsonl" || small == "metadata.parquet";
      tree.intake.leave_out(reasons::kNoPicture, path);
    }
  }

  const fs::path& root_;
  std::vector<Identity> above_;  // the folders that lead to this one
};

void add_below(const FolderTree& tree, Intake& intake) {
  intake.add(tree.intake);
  for (const FolderTree& folder : tree.folders) add_below(folder, intake);
}

void add_pictures(const FolderTree& tree, std::vector<std::string>& paths) {
  for (const std::string& name : tree.pictures)
    paths.push_back(tree.path.empty() ? name : tree.path + "/" + name);
  for (const FolderTree& folder : tree.folders) add_pictures(folder, paths);
}

}  // namespace

bool is_foreign_folder(const std::string& name) {
  constexpr auto kNames = std::to_array<std::string_view>(
      {"@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "__macosx",
       "__pycache__", "lost+found", "$recycle.bin", "recycler", "system volume information",
       "found.000", "_vti_cnf", "cvs"});
  return std::ranges::find(kNames, lower_case(name)) != kNames.end();
}

FolderTree read_folder_tree(const fs::path& root) {
  return Walk(root).read("");
}

Intake intake_below(const FolderTree& tree) {
  Intake intake;
  add_below(tree, intake);
  return intake;
}

std::vector<std::string> pictures_below(const FolderTree& tree) {
  std::vector<std::string> paths;
  paths.reserve(static_cast<size_t>(tree.count));
  add_pictures(tree, paths);
  return paths;
}

}  // namespace vitrail
