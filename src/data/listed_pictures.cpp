#include "data/listed_pictures.h"

#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/error.h"
#include "core/printable.h"
#include "data/class_notes.h"
#include "data/labels.h"
#include "image/codec/picture_names.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

class ListedSource : public Source {
 public:
  ListedSource(const SourceSpec& spec, PictureList list, std::vector<Split> split_of_file)
      : spec_(spec), list_(std::move(list)), split_of_file_(std::move(split_of_file)) {}

  std::vector<Split> splits() const override {
    std::vector<Split> found;
    for (const Split split : {Split::train, Split::val, Split::test})
      if (std::ranges::find(split_of_file_, split) != split_of_file_.end()) found.push_back(split);
    if (found.empty()) found = {Split::all};
    return found;
  }

  Intake intake() const override { return list_.intake; }

  std::unique_ptr<Dataset> open(Split split) const override {
    PictureList part{list_.root, list_.classes, {}, list_.intake, list_.label_sets};
    for (size_t i = 0; i < list_.files.size(); ++i)
      if (split == Split::all || split_of_file_[i] == split) part.files.push_back(list_.files[i]);
    check(!part.files.empty(), "data", "{} has no {} pictures", printable(spec_.name),
          name_of(split));
    return file_dataset(spec_, std::move(part));
  }

 private:
  SourceSpec spec_;
  PictureList list_;
  std::vector<Split> split_of_file_;
};

std::vector<std::string> classes_in(const std::string& joined) {
  std::vector<std::string> names;
  for (size_t begin = 0; begin < joined.size();) {
    const size_t end = std::min(joined.find('\0', begin), joined.size());
    names.push_back(joined.substr(begin, end - begin));
    begin = end + 1;
  }
  return names;
}

}  // namespace

std::string joined_classes(std::vector<std::string> names) {
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::string joined;
  for (const std::string& name : names)
    joined += (joined.empty() ? "" : std::string(1, '\0')) + name;
  return joined;
}

Manifest manifest_of(const SourceSpec& spec) {
  check(!spec.arguments.empty(), "data", "{} needs a file, as in {}:FILE", spec.kind, spec.kind);
  std::error_code error;
  fs::path file = spec.arguments, folder;
  if (!fs::exists(file, error)) {
    const size_t comma = spec.arguments.rfind(',');
    if (comma != std::string::npos) {
      file = spec.arguments.substr(0, comma);
      folder = spec.arguments.substr(comma + 1);
      check(fs::is_directory(folder, error), ErrorCode::not_found, "data",
            "{}: no such folder '{}'", spec.kind, printable(folder.string()));
    }
  }
  check(fs::is_regular_file(file, error), ErrorCode::not_found, "data", "{}: no such file '{}'",
        spec.kind, printable(file.string()));
  if (folder.empty()) folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  return {file, fs::canonical(folder)};
}

bool ListedPictures::leads_inside(const std::string& folder) {
  const auto known = folders_.find(folder);
  if (known != folders_.end()) return known->second;
  std::error_code error;
  const fs::path real = fs::canonical(manifest_.folder / folder, error);
  const auto [end, ignored] =
      std::mismatch(manifest_.folder.begin(), manifest_.folder.end(), real.begin(), real.end());
  const bool inside = error || end == manifest_.folder.end();  // what is missing is not outside
  if (!error) folders_.emplace(folder, inside);
  return inside;
}

bool ListedPictures::is_there(const ListedPicture& picture) {
  const auto refuse_link = [&] {
    fail("data", "{} {}: '{}' is a link out of the folder '{}'", printable(manifest_.file.string()),
         picture.place, printable(picture.path), printable(manifest_.folder.string()));
  };
  const fs::path path = manifest_.folder / picture.path;
  const size_t slash = picture.path.rfind('/');
  if (slash != std::string::npos && !leads_inside(picture.path.substr(0, slash))) refuse_link();
  struct stat status {};
  const auto left = [&](const Reason& reason) {
    intake_.leave_out(reason, picture.place + ": " + picture.path);
    return false;
  };
  if (::lstat(path.c_str(), &status) != 0) return left(reasons::kMissing);
  if (S_ISLNK(status.st_mode)) {
    if (!leads_inside(picture.path)) refuse_link();
    if (::stat(path.c_str(), &status) != 0) return left(reasons::kMissing);
  }
  if (!S_ISREG(status.st_mode)) return left(reasons::kNoFile);
  if (status.st_size == 0) return left(reasons::kEmptyPicture);
  if (is_unread_picture_suffix(picture_suffix(picture.path))) return left(reasons::kUnreadFormat);
  return true;
}

void ListedPictures::add(ListedPicture picture) {
  const std::string list = printable(manifest_.file.string());
  const fs::path given = picture.path;
  const bool plain = !picture.path.empty() && picture.path.find('\0') == std::string::npos &&
                     !given.is_absolute() &&
                     std::find(given.begin(), given.end(), fs::path("..")) == given.end();
  check(plain, "data",
        "{} {}: '{}' is outside of the folder '{}'; paths are relative to it, without ..", list,
        picture.place, printable(picture.path), printable(manifest_.folder.string()));
  const auto [label, new_label] =
      label_numbers_.emplace(picture.label, static_cast<int64_t>(labels_.size()));
  const auto known = by_path_.find(given.lexically_normal().string());
  if (known != by_path_.end()) {
    const Kept& first = kept_[known->second];
    if (new_label) label_numbers_.erase(label);
    check(!new_label && first.file.label == label->second && first.split == picture.split, "data",
          "{} {}: '{}' is listed before, with another label or split", list, picture.place,
          printable(picture.path));
    return intake_.leave_out(reasons::kTwice, picture.place + ": " + picture.path);
  }
  if (!is_there(picture)) {
    if (new_label) label_numbers_.erase(label);
    ++missing_;
    check(missing_ < kMaxMissing * (1 + static_cast<int64_t>(kept_.size())), "data",
          "{}: of its first {} pictures {} are in '{}'; left out: {}; name the pictures' folder "
          "behind a comma: FILE,DIR",
          list, missing_ + static_cast<int64_t>(kept_.size()), kept_.size(),
          printable(manifest_.folder.string()), intake_.left_out_text());
    return;
  }
  if (new_label) labels_.push_back(picture.label);
  by_path_.emplace(given.lexically_normal().string(), kept_.size());
  kept_.push_back({{std::move(picture.path), label->second}, picture.split});
}

std::unique_ptr<Source> ListedPictures::source(const SourceSpec& spec) && {
  const std::string left_out = intake_.left_out_text();
  const std::string but = left_out.empty() ? "" : "; left out: " + left_out;
  check(!kept_.empty(), "data", "{} has no labelled pictures{}", printable(spec.name), but);
  std::vector<std::string> names = labels_;
  if (several_) {
    names.clear();
    for (const std::string& joined : labels_)
      std::ranges::copy(classes_in(joined), std::back_inserter(names));
    check(!names.empty(), "data", "{} has no picture that shows a class{}", printable(spec.name),
          but);
  }
  check(several_ || labels_.size() > 1, "data",
        "{} has the one class '{}'; at least two are wanted{}", printable(spec.name),
        printable(labels_[0]), but);
  LabelSet numbered = number_labels(names, spec.name, several_ ? 1 : 2);
  PictureList list{manifest_.folder, std::move(numbered.classes), {}, std::move(intake_), {}};
  std::vector<std::vector<int64_t>> classes_of;  // by label
  for (size_t label = 0, at = 0; label < labels_.size(); ++label) {
    const size_t count = several_ ? classes_in(labels_[label]).size() : 1;
    const auto first = numbered.labels.begin() + static_cast<std::ptrdiff_t>(at);
    classes_of.emplace_back(first, first + static_cast<std::ptrdiff_t>(count));
    std::ranges::sort(classes_of.back());
    at += count;
  }
  std::vector<Split> splits;
  ClassCounts counts;
  for (Kept& kept : kept_) {
    const std::vector<int64_t>& classes = classes_of[static_cast<size_t>(kept.file.label)];
    if (!several_) kept.file.label = classes.front();
    for (const int64_t c : classes) ++counts[kept.split][list.classes[static_cast<size_t>(c)]];
    splits.push_back(kept.split);
    list.files.push_back(std::move(kept.file));
  }
  if (several_) list.label_sets = std::move(classes_of);
  note_classes(counts, {}, list.intake);
  return std::make_unique<ListedSource>(spec, std::move(list), std::move(splits));
}

}  // namespace vitrail
