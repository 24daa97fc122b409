// The loop of peak.cpp, included where the instructions of one instruction set are allowed.
//
// kPeakSums sums in registers: enough to hide a latency of 6 at two instructions a cycle, few
// enough for 16 registers. hide(x) says that x is in a register and may have changed: the compiler
// would else take the products out of the loop, or the sums out of their registers.

template <class Ops>
void spin(int64_t steps, void* out) {
  constexpr int kSums = kPeakSums;
  typename Ops::Sum sum[kSums];
  auto left = Ops::left();
  const auto right = Ops::right();
#pragma GCC unroll 12
  for (int i = 0; i < kSums; ++i) sum[i] = Ops::zero();
  for (int64_t step = 0; step < steps; ++step)
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) {
      Ops::hide(left);
      sum[i] = Ops::multiply_add(left, right, sum[i]);
      Ops::hide(sum[i]);
    }
#pragma GCC unroll 12
  for (int i = 1; i < kSums; ++i) sum[0] = Ops::add(sum[0], sum[i]);
  Ops::store(sum[0], out);
}
