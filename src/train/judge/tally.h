// Sums over pictures.
#pragma once

#include <cstdint>

namespace vitrail {

// Sums over pictures since some moment.
struct Tally {
  double loss = 0;
  int64_t correct = 0;
  int64_t pictures = 0;

  void add(double mean_loss, int64_t correct_pictures, int64_t batch_pictures) {
    loss += mean_loss * static_cast<double>(batch_pictures);
    correct += correct_pictures;
    pictures += batch_pictures;
  }
  // Of no pictures: NaN, which metrics.jsonl has as null.
  double mean_loss() const { return loss / static_cast<double>(pictures); }
  double accuracy() const { return static_cast<double>(correct) / static_cast<double>(pictures); }
};

}  // namespace vitrail
