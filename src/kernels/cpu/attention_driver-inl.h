// How the forward pass of attention is cut into tasks, for every arithmetic.
//
// Per-target code: included once for each instruction set. A Kernel has
//   Call                          what it needs to know of the whole call: built of (queue, args)
//   head_floats(shape)            floats of one head's packed K and V
//   scratch_floats(args, packs)   floats of a thread's memory, with room for a packed head if asked
//   Kernel(args, call, result, scratch, packs)
//   head()                        where a task packs its own head (packs)
//   pack(block, memory)           packs K and V of head (block.b, block.h)
//   run(memory, block, first, last, ahead)  panels of queries [first, last) of that head
#include "hwy/highway.h"

#if defined(VITRAIL_ATTENTION_DRIVER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VITRAIL_ATTENTION_DRIVER_INL_H_
#undef VITRAIL_ATTENTION_DRIVER_INL_H_
#else
#define VITRAIL_ATTENTION_DRIVER_INL_H_
#endif

#include "kernels/cpu/attention_scores-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {

// A task takes so many panels of queries through each block of keys: K and V then come from L2, or
// L3 for long sequences, a quarter as often.
inline constexpr int64_t kPanelsPerTask = 4;

// Heads whose K and V are packed at once, in at most 8 MB: with thousands of tokens the packed form
// of all heads would be the largest thing in memory after the weights.
inline int64_t HeadsAtOnce(const AttentionShape& s, int64_t head_floats) {
  constexpr int64_t kFloats = int64_t{1} << 21;
  return std::clamp<int64_t>(kFloats / std::max<int64_t>(1, head_floats), 1,
                             std::max<int64_t>(1, s.batch * s.heads));
}
inline int64_t PackedHeadsBytes(const AttentionShape& s, int64_t head_floats) {
  return HeadsAtOnce(s, head_floats) * head_floats * static_cast<int64_t>(sizeof(float));
}

// What is ahead of (b, h): its operands, and the output that will be written.
inline RowsAhead AheadOf(const AttentionArgs& args, const HeadView& o, int64_t b, int64_t h) {
  const AttentionShape& s = args.shape;
  if (!ReadsInPlace(args)) return {};  // a window's rows are not one behind the other
  constexpr int64_t kRowsPerTile = 2;  // 65 tokens have 45 tiles
  return {.views = {RowsOf(args.q, b, h, s.queries, s.head_dim),
                    RowsOf(args.k, b, h, s.keys, s.head_dim),
                    RowsOf(args.v, b, h, s.keys, s.value_dim()),
                    RowsOf(o, b, h, s.queries, s.value_dim())},
          .rows_per_tile = kRowsPerTile};
}

// With many heads a task is some of them, whose K and V it packs into its own thread's memory and
// finds in L2. With few, they are packed first, a group at a time, and a task is a few panels, so
// that threads end together. Neither changes a result: a panel knows nothing of its task.
template <class Kernel>
void RunHeads(Queue& queue, const AttentionArgs& args, const AttentionForward& result,
              float* packed) {
  const AttentionShape& shape = args.shape;
  const int64_t heads = shape.batch * shape.heads, threads = queue.pool().num_threads();
  const int64_t panels = (shape.queries + kQueryPanel - 1) / kQueryPanel;
  const int64_t head_floats = Kernel::head_floats(shape);
  constexpr int64_t kTasksPerThread = 12;
  const bool by_head = heads >= kTasksPerThread * threads;
  const int64_t scratch_floats = Kernel::scratch_floats(args, by_head);
  const typename Kernel::Call call(queue, args);
  const Tensor memory = Tensor::empty({threads, scratch_floats});
  const auto block_of = [&](int64_t head) {
    return Block{.b = head / shape.heads, .h = head % shape.heads};
  };
  const auto kernel_of = [&](int worker) {
    return Kernel(args, call, result, memory.f32() + worker * scratch_floats, by_head);
  };
  if (by_head) {
    const int64_t step = heads / (kTasksPerThread * threads);
    queue.pool().parallel_for((heads + step - 1) / step, [&](int64_t i, int worker) {
      const Kernel kernel = kernel_of(worker);
      const int64_t end = std::min(heads, (i + 1) * step);
      for (int64_t head = i * step; head < end; ++head) {
        const Block block = block_of(head);
        RowsAhead ahead;
        if (head + 1 < end) {
          const Block next = block_of(head + 1);
          ahead = AheadOf(args, result.o, next.b, next.h);
        }
        kernel.pack(block, kernel.head());
        for (int64_t p = 0; p < panels; p += kPanelsPerTask)
          kernel.run(kernel.head(), block, p, std::min(panels, p + kPanelsPerTask), &ahead);
      }
    });
    return;
  }
  const int64_t group = HeadsAtOnce(shape, head_floats);
  for (int64_t begin = 0; begin < heads; begin += group) {
    const int64_t count = std::min(group, heads - begin);
    queue.pool().parallel_for(count, [&](int64_t i, int worker) {
      kernel_of(worker).pack(block_of(begin + i), packed + i * head_floats);
    });
    const int64_t step =
        std::clamp<int64_t>(count * panels / (kTasksPerThread * threads), 1, kPanelsPerTask);
    const int64_t tasks = (panels + step - 1) / step;
    queue.pool().parallel_for(count * tasks, [&](int64_t i, int worker) {
      const int64_t head = i / tasks, first = i % tasks * step;
      kernel_of(worker).run(packed + head * head_floats, block_of(begin + head), first,
                            std::min(panels, first + step), nullptr);
    });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();

#endif  // include guard
