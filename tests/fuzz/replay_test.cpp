// The fuzz targets on their seeds, in every build: each seed as it is, cut short, and with bytes
// changed by a fixed generator. A target must return, and keep within a budget of memory and of
// work, both counted in bytes allocated, which no load of the machine changes. The sanitizer builds
// judge what else it did.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "support/allocations.h"
#include "targets.h"

// GoogleTest names the cases by it.
void PrintTo(const FuzzTarget& target, std::ostream* out) {
  *out << target.name;
}

namespace {

using Bytes = std::vector<uint8_t>;
constexpr size_t kCuts = 64;
constexpr int kDamaged = 64;

std::vector<std::filesystem::path> seeds_of(const std::string& name) {
  std::vector<std::filesystem::path> files;
  const std::filesystem::path folder = std::filesystem::path(VITRAIL_FUZZ_CORPUS) / name;
  if (std::filesystem::is_directory(folder))
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

Bytes read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// Whoever goes over many values for one byte of input again and again, or copies what was given
// once, passes these by far: the seeds named "quadratic" do without their limits, at a hundredth of
// the size with which they took gigabytes.
struct Budget {
  size_t base, for_each_byte;
  size_t of(size_t input) const { return base + for_each_byte * input; }
};
// A decoded picture is not in proportion to its file; the picture target has a limit of pixels.
constexpr Budget kPeak{.base = size_t{8} << 20, .for_each_byte = 256};
constexpr Budget kTotal{.base = size_t{32} << 20, .for_each_byte = 4096};

class Replay : public testing::TestWithParam<FuzzTarget> {
 protected:
  // In a buffer of exactly its size, so that the address sanitizer sees a read past the end.
  static void run(const Bytes& bytes) {
    const Bytes exact(bytes.begin(), bytes.end());
    const vitrail::testing::CountedAllocations counted;
    EXPECT_EQ(GetParam().run(exact.data(), exact.size()), 0);
    EXPECT_LE(counted.peak(), kPeak.of(bytes.size())) << "bytes in use at once";
    EXPECT_LE(counted.total(), kTotal.of(bytes.size())) << "bytes allocated in all";
  }
};

TEST_P(Replay, SeedsCutAndDamaged) {
  const auto seeds = seeds_of(GetParam().name);
  ASSERT_FALSE(seeds.empty()) << "tests/fuzz/corpus/" << GetParam().name << " has no seed";
  run({});
  for (const auto& path : seeds) {
    SCOPED_TRACE(path.string());
    const Bytes seed = read(path);
    run(seed);
    const size_t step = std::max<size_t>(1, seed.size() / kCuts);
    for (size_t length = 1; length < seed.size(); length += step)
      run(Bytes(seed.begin(), seed.begin() + static_cast<std::ptrdiff_t>(length)));
    if (seed.empty()) continue;
    std::mt19937 generator(20);  // the same damage on every run and machine
    for (int round = 0; round < kDamaged; ++round) {
      Bytes damaged = seed;
      // Headers decide most; half of the rounds stay within the first 64 bytes.
      const size_t reach = round % 2 == 0 ? std::min<size_t>(64, seed.size()) : seed.size();
      for (int change = 0; change <= round % 4; ++change)
        damaged[generator() % reach] = static_cast<uint8_t>(generator());
      run(damaged);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Fuzz, Replay, testing::ValuesIn(kFuzzTargets),
                         [](const auto& target) { return std::string(target.param.name); });

}  // namespace
