// A contact sheet: pictures of a set, each beside what training would make of it.
#pragma once

#include "data/loader.h"

namespace vitrail {

struct PreviewOptions {
  int64_t pictures = 8;  // rows
  int64_t versions = 6;  // of each, beside the original
  int64_t epoch = 0;     // versions are those of this epoch and the following ones
  int64_t cell = 0;      // pixels of a cell's longer side; 0: input size, but at least 96
};

// RGB. Rows are the first pictures of the shuffled order, below their class name; columns are the
// original, squeezed into the cell, and the versions as the model would see them, before mixing.
// Error: a picture cannot be read, or the sheet would be larger than a picture may be.
Image preview_sheet(const Dataset& set, const LoaderOptions& loader, const PreviewOptions& options);

}  // namespace vitrail
