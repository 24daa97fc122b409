// Sets of picture files: a folder a class, or one flat folder whose file names begin with the
// class.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "core/printable.h"
#include "data/folder_layout.h"
#include "data/sources.h"
#include "image/codec/picture_names.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

class FileDataset : public Dataset {
 public:
  FileDataset(const SourceSpec& spec, PictureList list)
      : root_(std::move(list.root)),
        decode_(spec.decode),
        files_(std::move(list.files)),
        label_sets_(std::move(list.label_sets)) {
    multi_label_ = !label_sets_.empty();
    name_ = spec.name;
    classes_ = std::move(list.classes);
    intake_ = std::move(list.intake);
    channels_ = decode_.color == ColorMode::grey ? 1 : 3;
  }
  int64_t size() const override { return static_cast<int64_t>(files_.size()); }
  int64_t label(int64_t index) const override {
    check(!multi_label_, "data", "{} has several classes a picture, and this takes one class each",
          printable(name_));
    return at(index).label;
  }
  std::vector<int64_t> labels(int64_t index) const override {
    if (!multi_label_) return {at(index).label};
    return label_sets_[static_cast<size_t>(at(index).label)];
  }
  std::string id(int64_t index) const override { return at(index).path; }
  Sample get(int64_t index) const override {
    const PictureFile& file = at(index);
    return {load_picture(root_ / file.path, decode_), multi_label_ ? -1 : file.label, file.path};
  }
  uint64_t content(int64_t index) const override {
    return hash_of(read_file(root_ / at(index).path, decode_.max_file_bytes));
  }

 private:
  const PictureFile& at(int64_t index) const { return files_[static_cast<size_t>(index)]; }
  fs::path root_;
  DecodeOptions decode_;
  std::vector<PictureFile> files_;
  std::vector<std::vector<int64_t>> label_sets_;
};

class FolderSource : public Source {
 public:
  explicit FolderSource(const SourceSpec& spec)
      : spec_(spec),
        root_(folder_of(spec)),
        tree_(read_folder_tree(root_)),
        layout_(layout_of(tree_, spec.arguments)) {}

  std::vector<Split> splits() const override {
    std::vector<Split> splits;
    for (const FolderPart& part : layout_.parts) splits.push_back(part.split);
    return splits;
  }

  Intake intake() const override { return layout_.intake; }

  std::unique_ptr<Dataset> open(Split split) const override {
    std::vector<PictureFile> files;
    for (const FolderPart& part : layout_.parts) {
      if (split != Split::all && split != part.split) continue;
      for (const FolderTree* folder : part.classes) {
        const auto at = std::ranges::lower_bound(layout_.classes, folder->name());
        for (std::string& path : pictures_below(*folder))
          files.push_back({std::move(path), at - layout_.classes.begin()});
      }
    }
    if (files.empty()) {
      std::string own;
      for (const Split has : splits()) own += (own.empty() ? "" : ", ") + std::string(name_of(has));
      fail("data", "{} has no {} pictures; it has: {}", printable(spec_.name), name_of(split), own);
    }
    return file_dataset(spec_, {root_, layout_.classes, std::move(files), layout_.intake});
  }

 private:
  SourceSpec spec_;
  fs::path root_;
  FolderTree tree_;
  FolderLayout layout_;
};

// "american_bulldog" of "american_bulldog_17.jpg": what stands before the numbers at the end.
// Empty where the name does not end with one.
std::string before_numbers(const std::string& name) {
  std::string_view stem(name);
  stem = stem.substr(0, stem.rfind('.'));
  const size_t whole = stem.size();
  for (;;) {
    const size_t mark = stem.find_last_not_of("0123456789");
    if (mark == std::string_view::npos || mark + 1 == stem.size() || stem[mark] != '_') break;
    stem = stem.substr(0, mark);
  }
  return stem.size() == whole ? "" : std::string(stem);
}

class FlatSource : public Source {
 public:
  explicit FlatSource(const SourceSpec& spec)
      : spec_(spec), root_(folder_of(spec)), tree_(read_folder_tree(root_)) {}
  std::vector<Split> splits() const override { return {Split::all}; }

  std::unique_ptr<Dataset> open(Split) const override {
    PictureList list{root_, {}, {}, tree_.intake};
    for (const FolderTree& folder : tree_.folders)
      list.intake.leave_out(reasons::kFolder,
                            folder.path + "/ with " + counted(folder.count, "picture", "pictures"));
    const std::string left_out = list.intake.left_out_text();
    check(!tree_.pictures.empty(), "data", "'{}' holds no pictures ({}){}{}",
          printable(root_.string()), picture_suffixes(),
          left_out.empty() ? "" : "; left out: ", left_out);
    std::set<std::string> found;
    for (const std::string& name : tree_.pictures) found.insert(class_of(name));
    check_one_reading();
    list.classes.assign(found.begin(), found.end());
    for (const std::string& name : tree_.pictures) {
      const auto at = std::ranges::lower_bound(list.classes, class_of(name));
      list.files.push_back({name, at - list.classes.begin()});
    }
    list.intake.take("all", static_cast<int64_t>(list.files.size()));
    list.intake.set_classes(static_cast<int64_t>(list.classes.size()));
    return file_dataset(spec_, std::move(list));
  }

 private:
  std::string class_of(const std::string& name) const {
    const size_t end = name.find('_');
    check(end != std::string::npos && end > 0, "data",
          "'{}' has no class in its name; flat: wants CLASS_name.jpg",
          printable((root_ / name).string()));
    return name.substr(0, end);
  }

  // american_bulldog_1.jpg and american_pit_bull_terrier_1.jpg are not both "american": where every
  // name ends with a number, the class could as well be all that stands before it.
  void check_one_reading() const {
    std::map<std::string, std::string> stems;  // by first word
    for (const std::string& name : tree_.pictures) {
      const std::string stem = before_numbers(name);
      if (stem.empty()) return;
      const auto [other, is_new] = stems.emplace(class_of(name), stem);
      if (is_new || other->second == stem) continue;
      fail("data",
           "'{}': '{}' and '{}' would both be the class '{}', what stands before the first _; put "
           "each class into a folder (folder:DIR), or list them (csv:FILE)",
           printable(root_.string()), printable(other->second), printable(stem),
           printable(other->first));
    }
  }

  SourceSpec spec_;
  fs::path root_;
  FolderTree tree_;
};

}  // namespace

std::unique_ptr<Dataset> file_dataset(const SourceSpec& spec, PictureList list) {
  return std::make_unique<FileDataset>(spec, std::move(list));
}
std::unique_ptr<Source> folder_source(const SourceSpec& spec) {
  return std::make_unique<FolderSource>(spec);
}
std::unique_ptr<Source> flat_source(const SourceSpec& spec) {
  return std::make_unique<FlatSource>(spec);
}

}  // namespace vitrail
