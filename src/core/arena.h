// Arena: large blocks of memory, cut out of regions of huge pages.
//
// Blocks lie side by side, so a block takes what it holds rather than whole huge pages, and freed
// neighbours join into room for a block of any size. Not thread-safe: the pool locks around it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace vitrail {

class Arena {
 public:
  static constexpr size_t kGrain = 4096;  // blocks are multiples of it, and aligned to it

  // nullptr: the system has no memory left.
  std::byte* acquire(size_t bytes);
  // Throws nothing: tensors end in destructors. Where a free range can no longer be noted, its
  // pages go back to the system and its addresses are lost.
  void give_back(std::byte* block, size_t bytes) noexcept;
  // Gives whole free regions and whole huge pages inside free ranges back to the system.
  void trim();

  // How often memory was handed out that was not touched before, and how much is touched now.
  uint64_t growths() const { return growths_; }
  size_t touched() const { return touched_; }

 private:
  // [begin, top) was handed out at some time; what lies above was never touched.
  struct Region {
    std::byte* begin;
    std::byte* top;
    std::byte* end;
  };
  struct Range {
    size_t bytes;
    size_t cold;  // of them, given back to the system by trim()
  };
  using Ranges = std::map<std::byte*, Range>;
  using Sizes = std::set<std::pair<size_t, std::byte*>>;

  std::byte* take(Ranges::iterator range, size_t bytes);
  std::byte* grow(Region& region, size_t bytes);
  void insert(std::byte* begin, Range range);
  // The range in nodes that are there already: needs no memory.
  void put(Ranges::node_type&& range, Sizes::node_type&& size, std::byte* begin, Range value);
  Ranges::iterator remove(Ranges::iterator range);
  Region* region_of(const std::byte* block);

  std::vector<Region> regions_;
  Ranges free_;    // below the tops, no two of them adjacent
  Sizes by_size_;  // the same, the smallest first
  uint64_t growths_ = 0;
  size_t touched_ = 0;
};

}  // namespace vitrail
