// Sets of picture files: a folder a class, or one flat folder whose file names begin with the
// class.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "data/sources.h"
#include "image/picture_names.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

bool hidden(const fs::path& path) {
  return path.filename().string().starts_with('.');
}

// Names within a folder that satisfy the predicate, sorted bytewise: the same on every machine.
template <typename Predicate>
std::vector<std::string> entries(const fs::path& folder, Predicate wanted) {
  std::vector<std::string> names;
  std::error_code error;
  for (auto it = fs::directory_iterator(folder, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    if (!hidden(it->path()) && wanted(*it)) names.push_back(it->path().filename().string());
  }
  check(!error, "data", "cannot read the folder '{}': {}", folder.string(), error.message());
  std::sort(names.begin(), names.end());
  return names;
}

bool is_folder(const fs::directory_entry& entry) {
  std::error_code error;
  return entry.is_directory(error);
}
bool is_picture(const fs::directory_entry& entry) {
  std::error_code error;
  return is_picture_name(entry.path().native()) && entry.is_regular_file(error);
}

class FileDataset : public Dataset {
 public:
  FileDataset(const SourceSpec& spec, fs::path root, std::vector<std::string> classes,
              std::vector<PictureFile> files)
      : root_(std::move(root)), decode_(spec.decode), files_(std::move(files)) {
    name_ = spec.name;
    classes_ = std::move(classes);
    channels_ = decode_.color == ColorMode::grey ? 1 : 3;
  }
  int64_t size() const override { return static_cast<int64_t>(files_.size()); }
  int64_t label(int64_t index) const override { return at(index).label; }
  std::string id(int64_t index) const override { return at(index).path; }
  Sample get(int64_t index) const override {
    const PictureFile& file = at(index);
    return {load_picture(root_ / file.path, decode_), file.label, file.path};
  }
  uint64_t content(int64_t index) const override {
    return hash_of(read_file(root_ / at(index).path, decode_.max_file_bytes));
  }

 private:
  const PictureFile& at(int64_t index) const { return files_[static_cast<size_t>(index)]; }
  fs::path root_;
  DecodeOptions decode_;
  std::vector<PictureFile> files_;
};

// Every picture below root/prefix, with its path from root.
void collect(const fs::path& root, const fs::path& prefix, int64_t label, int depth,
             std::vector<PictureFile>& files) {
  constexpr int kMaxDepth = 16;  // a link to a parent would never end
  check(depth < kMaxDepth, "data", "folders below '{}' are nested deeper than {}",
        (root / prefix).string(), kMaxDepth);
  for (const std::string& name : entries(root / prefix, is_picture))
    files.push_back({(prefix / name).string(), label});
  for (const std::string& name : entries(root / prefix, is_folder))
    collect(root, prefix / name, label, depth + 1, files);
}

class FolderSource : public Source {
 public:
  explicit FolderSource(const SourceSpec& spec) : spec_(spec), root_(folder_of(spec)) {
    for (const Split split : {Split::train, Split::val, Split::test}) {
      std::error_code error;
      if (fs::is_directory(root_ / name_of(split), error)) splits_.push_back(split);
    }
    const bool divided = splits_.size() > 1 && splits_[0] == Split::train;
    if (!divided) splits_ = {Split::all};
    std::set<std::string> names;
    for (const fs::path& part : parts(Split::all)) {
      for (std::string& name : entries(root_ / part, is_folder)) names.insert(std::move(name));
    }
    classes_.assign(names.begin(), names.end());
  }

  std::vector<Split> splits() const override { return splits_; }

  std::unique_ptr<Dataset> open(Split split) const override {
    check(!classes_.empty(), "data",
          "'{}' has no folders, and folder: wants one for each class (for pictures named "
          "CLASS_name in one folder: flat:{})",
          root_.string(), spec_.arguments);
    check(classes_.size() > 1, "data", "'{}' has the one class '{}'; at least two are wanted",
          root_.string(), classes_[0]);
    std::vector<PictureFile> files;
    for (const fs::path& part : parts(split)) {
      for (size_t label = 0; label < classes_.size(); ++label) {
        const size_t before = files.size();
        std::error_code error;
        const fs::path folder = part / classes_[label];
        if (fs::is_directory(root_ / folder, error))
          collect(root_, folder, static_cast<int64_t>(label), 0, files);
        // A part of a divided set may lack a class; an undivided set with an empty one is a
        // mistake that would cost an output for nothing.
        check(part != "" || files.size() > before, "data",
              "the class folder '{}' holds no pictures ({})", (root_ / folder).string(),
              picture_suffixes());
      }
    }
    check(!files.empty(), "data", "{}: no pictures ({}) in the split {}", spec_.name,
          picture_suffixes(), name_of(split));
    return file_dataset(spec_, root_, classes_, std::move(files));
  }

 private:
  // The folders, from root, whose folders are the classes.
  std::vector<fs::path> parts(Split split) const {
    if (splits_[0] == Split::all) return {""};
    std::vector<fs::path> chosen;
    for (const Split own : splits_) {
      if (split == Split::all || split == own) chosen.emplace_back(name_of(own));
    }
    return chosen;
  }

  SourceSpec spec_;
  fs::path root_;
  std::vector<Split> splits_;
  std::vector<std::string> classes_;
};

class FlatSource : public Source {
 public:
  explicit FlatSource(const SourceSpec& spec) : spec_(spec), root_(folder_of(spec)) {}
  std::vector<Split> splits() const override { return {Split::all}; }

  std::unique_ptr<Dataset> open(Split) const override {
    const std::vector<std::string> names = entries(root_, is_picture);
    check(!names.empty(), "data", "'{}' holds no pictures ({})", root_.string(),
          picture_suffixes());
    std::set<std::string> found;
    for (const std::string& name : names) found.insert(class_of(name));
    std::vector<std::string> classes(found.begin(), found.end());
    std::vector<PictureFile> files;
    for (const std::string& name : names) {
      const auto at = std::lower_bound(classes.begin(), classes.end(), class_of(name));
      files.push_back({name, at - classes.begin()});
    }
    return file_dataset(spec_, root_, std::move(classes), std::move(files));
  }

 private:
  std::string class_of(const std::string& name) const {
    const size_t end = name.find('_');
    check(end != std::string::npos && end > 0, "data",
          "'{}' has no class in its name; flat: wants CLASS_name.jpg", (root_ / name).string());
    return name.substr(0, end);
  }

  SourceSpec spec_;
  fs::path root_;
};

}  // namespace

std::unique_ptr<Dataset> file_dataset(const SourceSpec& spec, fs::path root,
                                      std::vector<std::string> classes,
                                      std::vector<PictureFile> files) {
  return std::make_unique<FileDataset>(spec, std::move(root), std::move(classes), std::move(files));
}
std::unique_ptr<Source> folder_source(const SourceSpec& spec) {
  return std::make_unique<FolderSource>(spec);
}
std::unique_ptr<Source> flat_source(const SourceSpec& spec) {
  return std::make_unique<FlatSource>(spec);
}

}  // namespace vitrail
