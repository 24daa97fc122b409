#include "train/judge/picture_rows.h"

#include <algorithm>
#include <numeric>

namespace vitrail {

// A row travels as numbers that the others add nothing to: its index, then its values.
PictureRows gather(const PictureRows& mine, GradientExchange& exchange) {
  const auto rank = static_cast<size_t>(exchange.rank());
  std::vector<double> counts(static_cast<size_t>(exchange.ranks()));
  counts[rank] = static_cast<double>(mine.size());
  exchange.sum(counts);
  const auto before = static_cast<int64_t>(
      std::accumulate(counts.begin(), counts.begin() + static_cast<std::ptrdiff_t>(rank), 0.0));
  const auto total = static_cast<int64_t>(std::accumulate(counts.begin(), counts.end(), 0.0));

  PictureRows all{.width = mine.width};
  constexpr int64_t kRows = 1024;  // at a time: memory for so many rows in double
  const int64_t row_size = mine.width + 1;
  for (int64_t begin = 0; begin < total; begin += kRows) {
    const int64_t end = std::min(begin + kRows, total);
    std::vector<double> part(static_cast<size_t>((end - begin) * row_size));
    for (int64_t i = std::max(begin, before); i < std::min(end, before + mine.size()); ++i) {
      const auto own = static_cast<size_t>(i - before);
      double* row = part.data() + (i - begin) * row_size;
      row[0] = static_cast<double>(mine.indices[own]);
      std::copy_n(mine.values.data() + static_cast<int64_t>(own) * mine.width, mine.width, row + 1);
    }
    exchange.sum(part);
    for (const double* row = part.data(); row != part.data() + part.size(); row += row_size) {
      all.indices.push_back(static_cast<int64_t>(row[0]));
      for (int64_t j = 0; j < mine.width; ++j) all.values.push_back(static_cast<float>(row[1 + j]));
    }
  }

  std::vector<size_t> order(all.indices.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t i) { return all.indices[i]; });
  PictureRows sorted{.width = all.width};
  for (const size_t i : order) {
    const auto from = all.values.begin() + static_cast<std::ptrdiff_t>(i) * all.width;
    sorted.values.insert(sorted.values.end(), from, from + all.width);
    sorted.indices.push_back(all.indices[i]);
  }
  return sorted;
}

}  // namespace vitrail
