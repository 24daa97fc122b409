// Which folders of a set are its splits, which are its classes, and which are neither.
#pragma once

#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/folder_tree.h"

namespace vitrail {

struct FolderPart {
  Split split = Split::all;
  std::string title;                       // the split's folder, for messages; empty: undivided
  std::vector<const FolderTree*> classes;  // those that hold pictures
};

struct FolderLayout {
  std::vector<FolderPart> parts;     // train before val before test; or the one undivided whole
  std::vector<std::string> classes;  // of all parts, sorted bytewise
  Intake intake;                     // of the whole set
};

// `tree` outlives the layout. Error: no class folders, or one; folders that could be splits as well
// as classes; two folders of one split; sets of boxes or masks (images/ and labels/).
FolderLayout layout_of(const FolderTree& tree, const std::string& root);

}  // namespace vitrail
