// A folder as it lies on the disk: its pictures and folders, and what else there is, counted.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "data/intake.h"

namespace vitrail {

struct FolderTree {
  std::string path;                        // from the root; empty for the root itself
  std::vector<std::string> pictures;       // names, sorted bytewise: the same on every machine
  std::vector<FolderTree> folders;         // sorted by name
  int64_t count = 0;                       // pictures in it and below it
  bool metadata = false;                   // holds metadata.csv, .jsonl or .parquet
  std::pair<uint64_t, uint64_t> identity;  // device and inode
  Intake intake;                           // what was left out of this folder itself

  std::string name() const { return path.substr(path.rfind('/') + 1); }
};

// Links are followed. Hidden files, folders that other programs keep (@eaDir, __MACOSX), empty
// pictures and what is no picture are left out and counted. Error: a folder that cannot be read;
// folders nested deeper than 16.
FolderTree read_folder_tree(const std::filesystem::path& root);

// What was left out of the folder and of all below it.
Intake intake_below(const FolderTree& tree);

// Every picture in the folder and below it, by path from the root: a folder's own first.
std::vector<std::string> pictures_below(const FolderTree& tree);

// Folders that systems and tools make for themselves: @eaDir, __MACOSX, lost+found, ...
bool is_foreign_folder(const std::string& name);

}  // namespace vitrail
