// How fast this processor's bf16 dot products are.
//
// VDPBF16PS (on Arm BFDOT) adds two products where a fused multiply-add adds one. Cores that start
// as many of them gain a factor of two (AMD's since Zen 4). On Intel's it runs once in two cycles,
// at half of f32's rate, and there bf16 operands are better widened and multiplied in f32.
#pragma once

namespace vitrail {

// Multiply-adds of it in the time of one of f32's, measured in less than half a
// millisecond the first time; 0 where the processor lacks the instruction. The two are timed turn
// by turn and the best of each counts, so that a busy machine changes little.
double bf16_dot_speed();
double measure_bf16_dot_speed();  // again, each time

// Whether they beat multiplying in f32. The known processors lie at 2 and at 0.45.
bool bf16_dot_pays();

}  // namespace vitrail
