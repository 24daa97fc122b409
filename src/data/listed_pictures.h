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

struct ListedPicture {
  std::string path;  // from the folder
  std::string label;
  Split split = Split::all;
  std::string place;  // "line 7", "image 12": where it is listed, for messages
};

class ListedPictures {
 public:
  explicit ListedPictures(Manifest manifest) : manifest_(std::move(manifest)) {}

  // Error: a path that leads out of the folder, by itself or through a link; one that is listed
  // again with another label or split; a folder that holds next to none of them.
  void add(ListedPicture picture);
  Intake& intake() { return intake_; }
  const Manifest& manifest() const { return manifest_; }

  // All of them as a set that can be opened. Error: no pictures, or fewer than two classes.
  std::unique_ptr<Source> source(const SourceSpec& spec) &&;

 private:
  struct Kept {
    PictureFile file;
    Split split = Split::all;
  };
  bool is_there(const ListedPicture& picture);
  bool leads_inside(const std::string& folder);

  Manifest manifest_;
  Intake intake_;
  std::vector<Kept> kept_;
  std::unordered_map<std::string, size_t> by_path_;
  std::vector<std::string> labels_;  // by the number that Kept::file has until source()
  std::unordered_map<std::string, int64_t> label_numbers_;
  std::unordered_map<std::string, bool> folders_;  // whether each leads inside
  int64_t missing_ = 0;
};

}  // namespace vitrail
