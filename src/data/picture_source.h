// A data set whose folders are walked once, for all of its splits: a large folder takes seconds.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace vitrail {

class Source;

class PictureSource {
 public:
  // Error: an unknown spec, a folder or file that is missing or broken.
  explicit PictureSource(const std::string& spec, const DecodeOptions& decode = {});
  ~PictureSource();

  // As own_splits().
  std::vector<Split> splits() const;
  // As open_dataset(), but pictures are decoded as the constructor was told.
  std::unique_ptr<Dataset> open(Split split, const OpenOptions& options) const;

 private:
  std::string spec_;
  std::unique_ptr<Source> source_;
};

}  // namespace vitrail
