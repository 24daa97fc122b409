#include "data/folder_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "core/error.h"
#include "core/printable.h"
#include "data/class_notes.h"
#include "data/split_names.h"

namespace vitrail {
namespace {

struct NamedFolder {
  const FolderTree* tree = nullptr;
  SplitName name;
};

std::string with_slash(const FolderTree& tree) {
  return printable(tree.path) + "/";
}

std::vector<std::string> names_of(const std::vector<const FolderTree*>& folders) {
  std::vector<std::string> names;
  for (const FolderTree* folder : folders) names.push_back(folder->path + "/");
  return names;
}

std::vector<const FolderTree*> folders_with_pictures(const FolderTree& tree) {
  std::vector<const FolderTree*> found;
  for (const FolderTree& folder : tree.folders)
    if (folder.count > 0) found.push_back(&folder);
  return found;
}

// What sets of boxes, masks and outlines call the folders of their parts: no names of classes.
bool is_kind_of_file(const FolderTree& tree) {
  constexpr auto kNames = std::to_array<std::string_view>({"images",
                                                           "image",
                                                           "imgs",
                                                           "img",
                                                           "jpg",
                                                           "jpeg",
                                                           "jpegs",
                                                           "png",
                                                           "jpegimages",
                                                           "pictures",
                                                           "photos",
                                                           "labels",
                                                           "label",
                                                           "annotations",
                                                           "annotation",
                                                           "annots",
                                                           "xmls",
                                                           "imagesets",
                                                           "segmentationclass",
                                                           "segmentationobject",
                                                           "segmentations",
                                                           "segmentation",
                                                           "masks",
                                                           "mask",
                                                           "gt",
                                                           "groundtruth",
                                                           "ground_truth",
                                                           "trimaps",
                                                           "boxes",
                                                           "bounding_boxes",
                                                           "meta",
                                                           "metadata",
                                                           "sets",
                                                           "lists",
                                                           "attributes",
                                                           "parts",
                                                           "depth",
                                                           "data"});
  return std::ranges::find(kNames, lower_case(tree.name())) != kNames.end();
}

bool all_kinds_of_file(const std::vector<const FolderTree*>& folders) {
  return std::ranges::all_of(folders, [](const FolderTree* f) { return is_kind_of_file(*f); });
}

// train/train/CLASS: what unpacking an archive into a folder of its own name leaves.
const FolderTree& within(const FolderTree& part, Split split) {
  const FolderTree* inner = &part;
  while (inner->pictures.empty()) {
    const auto folders = folders_with_pictures(*inner);
    if (folders.size() != 1) break;
    const auto name = read_split_name(folders[0]->name());
    if (!name || name->split != split) break;
    inner = folders[0];
  }
  return *inner;
}

bool has_classes(const NamedFolder& part) {
  const auto folders = folders_with_pictures(within(*part.tree, part.name.split));
  return !folders.empty() && !all_kinds_of_file(folders);
}

class Layout {
 public:
  Layout(const FolderTree& tree, std::string root) : tree_(tree), root_(std::move(root)) {
    layout_.intake = intake_below(tree);
  }

  FolderLayout make() {
    sort_folders();
    if (splits_.empty())
      undivided();
    else
      divided();
    number_classes();
    ClassCounts counts;
    std::map<Split, std::string> titles;
    for (const FolderPart& part : layout_.parts) {
      if (!part.title.empty()) titles[part.split] = part.title;
      for (const FolderTree* folder : part.classes)
        counts[part.split][folder->name()] += folder->count;
    }
    note_classes(counts, titles, layout_.intake);
    note_nested();
    return std::move(layout_);
  }

 private:
  // Folders whose whole name is a split's are splits. Names such as seg_train are when they come
  // in several (seg_test) and hold classes.
  void sort_folders() {
    std::vector<NamedFolder> loose;
    for (const FolderTree& folder : tree_.folders) {
      if (folder.count == 0) {
        layout_.intake.leave_out(reasons::kNoPictures, folder.path + "/");
        continue;
      }
      auto name = read_split_name(folder.name());
      if (!name)
        others_.push_back(&folder);
      else
        (name->rest.empty() ? splits_ : loose).push_back({&folder, *name});
    }
    std::map<std::string, std::set<Split>> by_rest;
    for (const NamedFolder& folder : loose) by_rest[folder.name.rest].insert(folder.name.split);
    const bool in_several =
        std::ranges::any_of(by_rest, [](const auto& entry) { return entry.second.size() > 1; });
    if (in_several && splits_.empty()) {
      if (by_rest.size() > 1 || !std::ranges::all_of(loose, has_classes))
        fail("data",
             "'{}': the names {} are those of splits, and hold no class folders of their own; "
             "folder: wants train/CLASS and test/CLASS",
             root_, named(names_of(trees_of(loose))));
      splits_ = std::move(loose);
      return;
    }
    for (const NamedFolder& folder : loose) others_.push_back(folder.tree);
    std::ranges::sort(others_, {}, [](const FolderTree* folder) { return folder->path; });
  }

  static std::vector<const FolderTree*> trees_of(const std::vector<NamedFolder>& folders) {
    std::vector<const FolderTree*> trees;
    for (const NamedFolder& folder : folders) trees.push_back(folder.tree);
    return trees;
  }

  void undivided() {
    FolderPart whole{Split::all, "", others_};
    for (const std::string& name : tree_.pictures) layout_.intake.leave_out(reasons::kStray, name);
    check(!others_.empty(), "data",
          "'{}' has no folders with pictures, and folder: wants one for each class (for pictures "
          "named CLASS_name in one folder: flat:{}){}",
          root_, root_, but_left_out());
    layout_.parts.push_back(std::move(whole));
  }

  void divided() {
    std::vector<NamedFolder> labelled, unlabelled;
    for (const NamedFolder& split : splits_)
      (has_classes(split) ? labelled : unlabelled).push_back(split);
    if (labelled.empty()) {
      if (is_class_like(unlabelled)) return undivided();
      refuse_unlabelled(unlabelled);
    }
    std::set<Split> distinct;
    for (const NamedFolder& split : splits_) distinct.insert(split.name.split);
    const bool classes_beside = std::ranges::any_of(
        others_, [](const FolderTree* folder) { return !folder->pictures.empty(); });
    check(distinct.size() > 1 || !classes_beside, "data",
          "'{}': {} could be a split, or a class beside {}; move or rename one of them", root_,
          named(names_of(trees_of(splits_))), named(names_of(others_)));
    check_distinct();
    for (const std::string& name : tree_.pictures) layout_.intake.leave_out(reasons::kStray, name);
    for (const FolderTree* folder : others_)
      layout_.intake.leave_out(reasons::kBeside, folder->path + "/", folder->count);
    for (const NamedFolder& split : unlabelled)
      layout_.intake.leave_out(reasons::kUnlabelled, split.tree->path + "/", split.tree->count);
    for (const NamedFolder& split : labelled) add_part(split);
    std::ranges::sort(layout_.parts, {}, &FolderPart::split);
  }

  void add_part(const NamedFolder& split) {
    const FolderTree& folder = within(*split.tree, split.name.split);
    for (const std::string& name : folder.pictures)
      layout_.intake.leave_out(reasons::kStray, folder.path + "/" + name);
    for (const FolderTree& inner : folder.folders)
      if (inner.count == 0) layout_.intake.leave_out(reasons::kNoPictures, inner.path + "/");
    layout_.parts.push_back(
        {split.name.split, with_slash(*split.tree), folders_with_pictures(folder)});
  }

  // A class may have the name of a split: trains among cars, valid beside invalid.
  bool is_class_like(const std::vector<NamedFolder>& unlabelled) {
    if (unlabelled.size() != 1 || others_.empty()) return false;
    const FolderTree& folder = *unlabelled[0].tree;
    const std::string name = lower_case(folder.name());
    const auto beside = [&](std::string_view other) {
      return std::ranges::any_of(
          others_, [&](const FolderTree* tree) { return lower_case(tree->name()) == other; });
    };
    if (!(name == "train" && !all_kinds_of_file(others_)) && !beside("in" + name)) return false;
    others_.push_back(&folder);
    std::ranges::sort(others_, {}, [](const FolderTree* tree) { return tree->path; });
    layout_.intake.note(fmt::format("{} holds no class folders and is taken as a class, as {} are",
                                    with_slash(folder),
                                    counted(static_cast<int64_t>(others_.size()) - 1,
                                            "folder beside it", "folders beside it")));
    return true;
  }

  [[noreturn]] void refuse_unlabelled(const std::vector<NamedFolder>& unlabelled) {
    const bool metadata =
        std::ranges::any_of(unlabelled, [](const NamedFolder& f) { return f.tree->metadata; });
    const std::string beside =
        others_.empty() ? "" : fmt::format(", beside {}", named(names_of(others_)));
    fail("data", "'{}' is no set of class folders: {} ({}) hold no folder for each class{}; {}",
         root_, named(names_of(trees_of(unlabelled))), counted(tree_.count, "picture", "pictures"),
         beside,
         metadata ? "metadata.csv and its like are not read: list the pictures for csv:FILE"
                  : "labels in a file are for csv:FILE or coco:FILE, labels in file names for "
                    "flat:DIR, and a split's name is never a class");
  }

  void check_distinct() {
    std::map<Split, const FolderTree*> by_split;
    std::map<std::pair<uint64_t, uint64_t>, const FolderTree*> by_identity;
    for (const NamedFolder& split : splits_) {
      check(split.name.split != Split::all, "data",
            "'{}': whether {} is val or test its name does not say; rename it", root_,
            with_slash(*split.tree));
      const auto [same, is_new] = by_split.emplace(split.name.split, split.tree);
      check(is_new, "data", "'{}': {} and {} are both the split {}; move or rename one of them",
            root_, with_slash(*same->second), with_slash(*split.tree), name_of(split.name.split));
      const auto [twin, alone] = by_identity.emplace(split.tree->identity, split.tree);
      check(alone, "data",
            "'{}': {} and {} are one folder, by a link: a model would be judged on "
            "what it learned from",
            root_, with_slash(*twin->second), with_slash(*split.tree));
    }
  }

  void number_classes() {
    std::set<std::string> names;
    std::vector<const FolderTree*> folders;
    for (const FolderPart& part : layout_.parts) {
      for (const FolderTree* folder : part.classes) {
        names.insert(folder->name());
        folders.push_back(folder);
      }
    }
    layout_.classes.assign(names.begin(), names.end());
    if (all_kinds_of_file(folders)) refuse_kinds_of_file(folders);
    for (const FolderTree* folder : folders) check_no_splits_below(*folder);
    check(names.size() > 1, "data", "'{}' has the one class '{}'; at least two are wanted{}{}",
          root_, printable(*names.begin()), hint_of(*folders[0]), but_left_out());
  }

  [[noreturn]] void refuse_kinds_of_file(const std::vector<const FolderTree*>& folders) {
    fail("data",
         "'{}' is no set of class folders: {} name kinds of files (pictures, boxes, masks), not "
         "classes{}; for boxes in COCO's form: coco:FILE{}",
         root_, named(names_of(folders)), hint_of(*folders[0]), but_left_out());
  }

  // The set may begin a folder further down.
  std::string hint_of(const FolderTree& folder) const {
    if (folders_with_pictures(folder).size() < 2) return "";
    return fmt::format("; perhaps folder:{}/{} is meant", root_, printable(folder.path));
  }

  void check_no_splits_below(const FolderTree& folder) {
    std::set<Split> splits;
    std::vector<const FolderTree*> found;
    for (const FolderTree& inner : folder.folders) {
      const auto name = read_split_name(inner.name());
      if (inner.count == 0 || !name || !name->rest.empty()) continue;
      splits.insert(name->split);
      found.push_back(&inner);
    }
    check(splits.size() < 2, "data",
          "'{}': {} are splits below a class; folder: wants them above: train/CLASS, test/CLASS",
          root_, named(names_of(found)));
  }

  std::string but_left_out() const {
    if (layout_.intake.left_out().empty()) return "";
    return "; left out: " + layout_.intake.left_out_text();
  }

  void note_nested() {
    int64_t nested = 0;
    std::vector<std::string> examples;
    for (const FolderPart& part : layout_.parts) {
      for (const FolderTree* folder : part.classes) {
        nested += folder->count - static_cast<int64_t>(folder->pictures.size());
        for (const FolderTree* inner : folders_with_pictures(*folder))
          examples.push_back(inner->path + "/");
      }
    }
    if (nested > 0)
      layout_.intake.note(fmt::format("{} in folders below a class folder {} as its own: {}",
                                      counted(nested, "picture", "pictures"),
                                      nested == 1 ? "counts" : "count", named(examples)));
  }

  const FolderTree& tree_;
  std::string root_;
  std::vector<NamedFolder> splits_;
  std::vector<const FolderTree*> others_;
  FolderLayout layout_;
};

}  // namespace

FolderLayout layout_of(const FolderTree& tree, const std::string& root) {
  return Layout(tree, printable(root)).make();
}

}  // namespace vitrail
