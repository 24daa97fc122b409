// The pictures that a file lists, with labels and perhaps splits, as they are told one by one:
// what is not on the disk, is listed twice or is in no format that is read is counted, never kept.
// So a list costs what the pictures cost that there really are.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/sources.h"

namespace vitrail {

// So many listed files may be missing, and as many again for each that is there: beyond that the
// folder is taken to be the wrong one.
inline constexpr int64_t kMaxMissing = 1000;

struct Manifest {
  std::filesystem::path file;    // the list
  std::filesystem::path folder;  // of the pictures, canonical: nothing outside of it is read
};
// "KIND:FILE[,DIR]". Error: no such file or folder.
Manifest manifest_of(const SourceSpec& spec);

// The classes of a picture that may show several, as one label: the same for the same classes.
std::string joined_classes(std::vector<std::string> names);

struct ListedPicture {
  std::string path;   // from the folder
  std::string label;  // a class, or joined_classes()
  Split split = Split::all;
  std::string place;  // "line 7", "image 12": where it is listed, for messages
};

class ListedPictures {
 public:
  // several: each label is joined_classes().
  explicit ListedPictures(Manifest manifest, bool several = false)
      : manifest_(std::move(manifest)), several_(several) {}

  // Error: a path that leads out of the folder, by itself or through a link; one that is listed
  // again with another label or split; a folder that holds next to none of them.
  void add(ListedPicture picture);
  Intake& intake() { return intake_; }
  const Manifest& manifest() const { return manifest_; }
  void expect_several() { several_ = true; }

  // All of them as a set that can be opened. Error: no pictures, or fewer than two classes (of
  // several a picture none).
  std::unique_ptr<Source> source(const SourceSpec& spec) &&;

 private:
  struct Kept {
    PictureFile file;
    Split split = Split::all;
  };
  bool is_there(const ListedPicture& picture);
  bool leads_inside(const std::string& folder);

  Manifest manifest_;
  bool several_ = false;
  Intake intake_;
  std::vector<Kept> kept_;
  std::unordered_map<std::string, size_t> by_path_;
  std::vector<std::string> labels_;  // by the number that Kept::file has until source()
  std::unordered_map<std::string, int64_t> label_numbers_;
  std::unordered_map<std::string, bool> folders_;  // whether each leads inside
  int64_t missing_ = 0;
};

}  // namespace vitrail
