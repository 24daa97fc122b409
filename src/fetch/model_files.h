// Which files of a published model Vitrail needs.
#pragma once

#include <string>
#include <vector>

namespace vitrail {

struct ModelFiles {
  std::vector<std::string> texts;  // configuration, preprocessing, labels: those that are there
  std::string index;               // of sharded weights, which it names; empty: not sharded
  std::string weights;             // the one file; empty: sharded
};

// Of the files at the top of a repository: model.safetensors, its index, the only other
// .safetensors; where there is none, pytorch_model.bin, its index, or the only .bin, .pth, .pt or
// .pth.tar.
// Error: no weights, or several files of which none is the model's by name.
ModelFiles choose_model_files(const std::vector<std::string>& names, const std::string& model);

// The files that an index names, each once, in order. Error: a name that is no plain file name.
std::vector<std::string> shards_of(const std::string& index_text, const std::string& place);

}  // namespace vitrail
