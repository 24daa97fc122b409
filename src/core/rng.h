// Counter-based random numbers: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy
// as 1, 2, 3", SC 2011). A value depends on key and counter alone, so threads and resumption never
// change it.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace vitrail {

uint64_t hash_path(std::string_view path);  // FNV-1a, 64 bits

// What a stream of random numbers is for: the run's seed, the step, and the place in the model.
struct RandomKey {
  uint64_t seed = 0;
  uint64_t step = 0;
  RandomKey() = default;
  RandomKey(uint64_t seed_value, uint64_t step_value) : seed(seed_value), step(step_value) {}
};

// Four independent 32-bit words for each counter.
std::array<uint32_t, 4> philox(uint64_t key, uint64_t counter_low, uint64_t counter_high);

// A sequential stream over the generator.
class Rng {
 public:
  Rng(uint64_t seed, uint64_t stream) : seed_(seed), stream_(stream) {}
  Rng(RandomKey key, std::string_view path);

  uint32_t next_u32();
  uint64_t next_u64();
  double uniform();                                         // [0, 1), 53 bits
  double uniform(double low, double high);                  // [low, high)
  int64_t below(int64_t bound);                             // 0 .. bound-1, without bias
  double normal();                                          // mean 0, variance 1
  double truncated_normal(double deviation, double bound);  // in [-bound, bound]

 private:
  uint64_t seed_;
  uint64_t stream_;
  uint64_t counter_ = 0;
  int used_ = 4;
  std::array<uint32_t, 4> words_{};
  bool has_spare_ = false;
  double spare_ = 0;
};

}  // namespace vitrail
