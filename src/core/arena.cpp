#include "core/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>
#include <utility>

namespace vitrail {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
// Address space, not memory: only what blocks touch becomes resident.
constexpr size_t kRegion = size_t{128} << 20;

size_t round_up(size_t bytes, size_t step) {
  return (bytes + step - 1) / step * step;
}

// Aligned to huge pages, and on them where the system has them: touching a fresh 4 KiB page costs
// microseconds on a virtual machine.
std::byte* map_region(size_t bytes) {
  void* mapped = ::mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  auto* begin = static_cast<std::byte*>(mapped);
  const size_t before =
      round_up(reinterpret_cast<uintptr_t>(begin), kHugePage) - reinterpret_cast<uintptr_t>(begin);
  if (before > 0) ::munmap(begin, before);
  begin += before;
  if (before < kHugePage) ::munmap(begin + bytes, kHugePage - before);
  ::madvise(begin, bytes, MADV_HUGEPAGE);
  return begin;
}

}  // namespace

std::byte* Arena::acquire(size_t bytes) {
  // The smallest range that holds it.
  if (const auto fit = by_size_.lower_bound({bytes, nullptr}); fit != by_size_.end())
    return take(free_.find(fit->second), bytes);
  for (Region& region : regions_)
    if (std::byte* block = grow(region, bytes)) return block;
  const size_t size = round_up(std::max(bytes, kRegion), kHugePage);
  regions_.reserve(regions_.size() + 1);  // before there is something to lose
  std::byte* begin = map_region(size);
  if (begin == nullptr) return nullptr;
  regions_.push_back({begin, begin, begin + size});
  return grow(regions_.back(), bytes);
}

std::byte* Arena::take(Ranges::iterator range, size_t bytes) {
  const auto [begin, all] = *range;
  if (all.cold > 0) {
    ++growths_;
    touched_ += all.cold;
  }
  if (all.bytes == bytes) {
    remove(range);
    return begin;
  }
  auto size = by_size_.extract({all.bytes, begin});
  auto rest = free_.extract(range);
  put(std::move(rest), std::move(size), begin + bytes, {all.bytes - bytes, 0});
  return begin;
}

// Above the top, together with a free range that ends there.
std::byte* Arena::grow(Region& region, size_t bytes) {
  auto last = free_.lower_bound(region.top);
  std::byte* begin = region.top;
  bool joined = false;
  if (last != free_.begin()) {
    --last;
    joined = last->first >= region.begin && last->first + last->second.bytes == region.top;
    if (joined) begin = last->first;
  }
  if (bytes > static_cast<size_t>(region.end - begin)) return nullptr;
  if (joined) {
    touched_ += last->second.cold;
    remove(last);
  }
  ++growths_;
  touched_ += static_cast<size_t>(begin + bytes - region.top);
  region.top = begin + bytes;
  return begin;
}

void Arena::give_back(std::byte* block, size_t bytes) noexcept {
  try {
    insert(block, {bytes, 0});
  } catch (const std::bad_alloc&) {
    ::madvise(block, bytes, MADV_DONTNEED);
    touched_ -= bytes;
  }
}

void Arena::put(Ranges::node_type&& range, Sizes::node_type&& size, std::byte* begin, Range value) {
  range.key() = begin;
  range.mapped() = value;
  size.value() = {value.bytes, begin};
  free_.insert(std::move(range));
  by_size_.insert(std::move(size));
}

// Joins the range with its free neighbours, in a node of theirs; blocks of two regions never join.
void Arena::insert(std::byte* begin, Range range) {
  const Region& region = *region_of(begin);
  Ranges::node_type node;
  Sizes::node_type size;
  const auto absorb = [&](Ranges::iterator neighbour) {
    range.bytes += neighbour->second.bytes;
    range.cold += neighbour->second.cold;
    size = by_size_.extract({neighbour->second.bytes, neighbour->first});
    const auto after = std::next(neighbour);
    node = free_.extract(neighbour);
    return after;
  };
  auto next = free_.lower_bound(begin);
  if (next != free_.end() && next->first == begin + range.bytes && next->first < region.end)
    next = absorb(next);
  if (next != free_.begin()) {
    const auto before = std::prev(next);
    if (before->first >= region.begin && before->first + before->second.bytes == begin) {
      begin = before->first;
      absorb(before);
    }
  }
  if (!node.empty()) return put(std::move(node), std::move(size), begin, range);
  const auto noted = by_size_.emplace(range.bytes, begin).first;
  try {
    free_.emplace(begin, range);
  } catch (...) {
    by_size_.erase(noted);
    throw;
  }
}

Arena::Ranges::iterator Arena::remove(Ranges::iterator range) {
  by_size_.erase({range->second.bytes, range->first});
  return free_.erase(range);
}

Arena::Region* Arena::region_of(const std::byte* block) {
  return &*std::ranges::find_if(regions_,
                                [&](const Region& r) { return r.begin <= block && block < r.end; });
}

void Arena::trim() {
  for (auto range = free_.begin(); range != free_.end();) {
    const auto [begin, all] = *range;
    Region& region = *region_of(begin);
    const bool ends_at_top = begin + all.bytes == region.top;
    // A huge page that a neighbour also lives on stays.
    const auto from = static_cast<size_t>(begin - region.begin), to = from + all.bytes;
    std::byte* first = region.begin + round_up(from, kHugePage);
    std::byte* last =
        region.begin + (ends_at_top ? round_up(to, kHugePage) : to / kHugePage * kHugePage);
    if (first < last) ::madvise(first, static_cast<size_t>(last - first), MADV_DONTNEED);
    if (ends_at_top) {
      touched_ -= all.bytes - all.cold;
      region.top = begin;
      range = remove(range);
      continue;
    }
    if (first < last) {
      const auto cold = static_cast<size_t>(last - first);
      touched_ -= cold - std::min(cold, all.cold);
      range->second.cold = cold;
    }
    ++range;
  }
  std::erase_if(regions_, [](const Region& region) {
    if (region.top != region.begin) return false;
    ::munmap(region.begin, static_cast<size_t>(region.end - region.begin));
    return true;
  });
}

}  // namespace vitrail
