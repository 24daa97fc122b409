#include "core/rng.h"

#include <cmath>
#include <numbers>

namespace vitrail {

uint64_t hash_path(std::string_view path) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : path) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

std::array<uint32_t, 4> philox(uint64_t key, uint64_t counter_low, uint64_t counter_high) {
  constexpr uint64_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
  constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
  uint32_t key0 = static_cast<uint32_t>(key), key1 = static_cast<uint32_t>(key >> 32);
  std::array<uint32_t, 4> x{
      static_cast<uint32_t>(counter_low), static_cast<uint32_t>(counter_low >> 32),
      static_cast<uint32_t>(counter_high), static_cast<uint32_t>(counter_high >> 32)};
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = kMultiplier0 * x[0], product1 = kMultiplier1 * x[2];
    x = {static_cast<uint32_t>(product1 >> 32) ^ x[1] ^ key0, static_cast<uint32_t>(product1),
         static_cast<uint32_t>(product0 >> 32) ^ x[3] ^ key1, static_cast<uint32_t>(product0)};
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  return x;
}

Rng::Rng(RandomKey key, std::string_view path)
    : seed_(key.seed), stream_(hash_path(path) ^ (key.step * 0x9E3779B97F4A7C15u)) {}

uint32_t Rng::next_u32() {
  if (used_ == 4) {
    words_ = philox(seed_, counter_++, stream_);
    used_ = 0;
  }
  return words_[used_++];
}

uint64_t Rng::next_u64() {
  const uint64_t high = next_u32();
  return high << 32 | next_u32();
}

double Rng::uniform() {
  return static_cast<double>(next_u64() >> 11) * 0x1p-53;
}

double Rng::uniform(double low, double high) {
  return low + (high - low) * uniform();
}

int64_t Rng::below(int64_t bound) {
  const uint64_t limit = static_cast<uint64_t>(bound);
  const uint64_t reject_below = (0 - limit) % limit;
  for (;;) {
    const uint64_t value = next_u64();
    if (value >= reject_below) return static_cast<int64_t>(value % limit);
  }
}

double Rng::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  const double angle = 2.0 * std::numbers::pi * uniform();
  spare_ = radius * std::sin(angle);
  has_spare_ = true;
  return radius * std::cos(angle);
}

double Rng::truncated_normal(double deviation, double bound) {
  for (;;) {
    const double value = deviation * normal();
    if (std::abs(value) <= bound) return value;
  }
}

}  // namespace vitrail
