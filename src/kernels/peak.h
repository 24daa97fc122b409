// What this machine can do at most, measured: the ceilings that a kernel's speed is compared with.
// Shares of a ceiling that was measured in the same run survive a slower machine, a busy neighbour
// and a changing clock; seconds do not.
#pragma once

#include <cstdint>

#include "core/precision.h"
#include "core/queue.h"

namespace vitrail::kernels {

// Operations a second, a multiplication and an addition counted as two, of all the queue's threads
// together: independent multiply-adds that never leave the registers, by the instruction that the
// products of this precision run on under the instruction set in use (for int8 without dot
// products, pairs of 16 bits; for bf16 without them, f32). Measures for about `seconds`, and
// returns the best moment.
double peak_operations(Queue& queue, Precision precision, double seconds = 0.1);

// What products of this precision run on under the instruction set in use, in words: "bf16 dot
// products", "bf16 widened to f32".
const char* arithmetic_of(Precision precision);
// Multiply-adds of it in the time of one of f32's, by the instructions and their width. Of bf16,
// where processors differ, as core/bf16_speed.h measured it. The same on a busy machine.
double relative_speed(Precision precision);

// Bytes a second that all threads together read from memory, from a buffer of `bytes`, which
// should exceed the caches. The best of a few passes.
double read_bandwidth(Queue& queue, int64_t bytes = int64_t{256} << 20);

}  // namespace vitrail::kernels
