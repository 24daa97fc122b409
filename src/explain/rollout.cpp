#include "explain/rollout.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <numeric>

#include "core/error.h"
#include "core/stop.h"

namespace vitrail {
namespace {

constexpr int64_t kRowBlock = 64;

// One sample of one layer, a block of fused rows at a time.
class FusedRows {
 public:
  FusedRows(Queue& queue, const AttentionRecord& record, int64_t sample, HeadFusion fusion)
      : queue_(queue), fusion_(fusion), args_(kernels::attention_of_sample(record.args, sample)) {
    check(args_.tokens.windows == 1, "rollout",
          "{} attends in windows, which rollout does not follow", record.path);
    // What mixes gives weights of either sign, which add up to anything.
    check(!args_.mixing.present(), ErrorCode::unsupported, "rollout",
          "{} mixes its heads' weights, which rollout does not follow", record.path);
    lse_ = record.lse.f32() + sample * args_.shape.heads * args_.shape.queries;
  }

  int64_t tokens() const { return args_.shape.keys; }

  // visit(row index, fused row [N]) for every row, in order.
  void for_each(const std::function<void(int64_t, float*)>& visit) const {
    const int64_t count = tokens(), heads = args_.shape.heads;
    const Tensor rows = Tensor::empty({heads, std::min(kRowBlock, count), count});
    std::vector<float> fused(static_cast<size_t>(count));
    std::vector<int64_t> queries;
    for (int64_t first = 0; first < count; first += kRowBlock) {
      queries.resize(static_cast<size_t>(std::min(kRowBlock, count - first)));
      std::iota(queries.begin(), queries.end(), first);
      const auto block = static_cast<int64_t>(queries.size());
      kernels::attention_rows(
          queue_, args_,
          {.queries = queries.data(), .count = block, .lse = lse_, .rows = rows.f32()});
      for (int64_t r = 0; r < block; ++r) {
        fuse(rows.f32() + r * count, block * count, fused);
        visit(first + r, fused.data());
      }
    }
  }

 private:
  void fuse(const float* row, int64_t head_stride, std::vector<float>& fused) const {
    const int64_t heads = args_.shape.heads;
    std::copy_n(row, fused.size(), fused.begin());
    for (int64_t h = 1; h < heads; ++h)
      for (size_t j = 0; j < fused.size(); ++j) {
        const float p = row[h * head_stride + static_cast<int64_t>(j)];
        switch (fusion_) {
          case HeadFusion::mean:
            fused[j] += p;
            break;
          case HeadFusion::max:
            fused[j] = std::max(fused[j], p);
            break;
          case HeadFusion::min:
            fused[j] = std::min(fused[j], p);
            break;
        }
      }
    if (fusion_ == HeadFusion::mean)
      for (float& p : fused) p /= static_cast<float>(heads);
  }

  Queue& queue_;
  HeadFusion fusion_;
  kernels::AttentionArgs args_;
  const float* lse_;
};

// What is discarded of a layer: everything below `value`, and the first `ties` elements equal to
// it.
struct Threshold {
  float value = 0;
  int64_t ties = 0;
};

// The exact `discarded` smallest of N x N weights without storing them: a radix selection over the
// bits of the floats (which order like the numbers, none being negative), 11 bits a pass.
Threshold select_threshold(const FusedRows& rows, int64_t discarded) {
  uint32_t prefix = 0;
  int64_t below = 0;  // elements already known to be smaller
  int known_bits = 0;
  for (const int bits : {11, 11, 10}) {
    const int shift = 32 - known_bits - bits;
    std::vector<int64_t> histogram(size_t{1} << bits);
    rows.for_each([&](int64_t, const float* row) {
      for (int64_t j = 0; j < rows.tokens(); ++j) {
        const auto word = std::bit_cast<uint32_t>(row[j]);
        if (known_bits > 0 && (word >> (32 - known_bits)) != prefix) continue;
        ++histogram[(word >> shift) & ((uint32_t{1} << bits) - 1)];
      }
    });
    uint32_t digit = 0;
    while (below + histogram[digit] < discarded) below += histogram[digit++];
    prefix = (prefix << bits) | digit;
    known_bits += bits;
  }
  return {.value = std::bit_cast<float>(prefix), .ties = discarded - below};
}

}  // namespace

HeadFusion head_fusion_from_name(const std::string& name) {
  for (const HeadFusion fusion : {HeadFusion::mean, HeadFusion::max, HeadFusion::min})
    if (name == name_of(fusion)) return fusion;
  fail("rollout", "head fusion '{}' is none of mean, max, min", name);
}

void check_rollout(const RolloutOptions& options) {
  check(options.discard_ratio >= 0 && options.discard_ratio < 1, "rollout",
        "a discard ratio of {} is outside [0, 1)", options.discard_ratio);
}

const char* name_of(HeadFusion fusion) {
  switch (fusion) {
    case HeadFusion::mean:
      return "mean";
    case HeadFusion::max:
      return "max";
    case HeadFusion::min:
      return "min";
  }
  return "?";
}

std::vector<float> attention_rollout(Queue& queue, const AttentionProbe& probe, int64_t sample,
                                     std::span<const double> start, const RolloutOptions& options) {
  check_rollout(options);
  const std::vector<AttentionRecord>& records = probe.records();
  check(!records.empty(), "rollout", "no attention layer was recorded");
  const kernels::AttentionShape& shape = records.front().args.shape;
  check(sample >= 0 && sample < shape.batch, "rollout", "sample {} is outside a batch of {}",
        sample, shape.batch);
  const int64_t count = shape.keys;
  check(static_cast<int64_t>(start.size()) == count, "rollout",
        "{} start weights do not fit {} tokens", start.size(), count);

  std::vector<double> row(start.begin(), start.end());
  for (auto record = records.rbegin(); record != records.rend(); ++record) {
    check_stop(options.stop);
    check(record->kept() && record->args.shape.queries == count && record->args.shape.keys == count,
          "rollout", "{} was not kept, or has another number of tokens than the last layer",
          record->path);
    const FusedRows rows(queue, *record, sample, options.fusion);
    const auto discarded = static_cast<int64_t>(static_cast<double>(count) *
                                                static_cast<double>(count) * options.discard_ratio);
    Threshold threshold;
    if (discarded > 0) threshold = select_threshold(rows, discarded);

    std::vector<double> next(static_cast<size_t>(count));
    rows.for_each([&](int64_t i, float* weights) {
      for (int64_t j = 0; j < count && discarded > 0; ++j) {
        const bool tie = weights[j] == threshold.value && threshold.ties > 0;
        if (tie) --threshold.ties;
        if ((tie || weights[j] < threshold.value) && i + j > 0) weights[j] = 0;
      }
      const double share = row[static_cast<size_t>(i)];
      if (share == 0) return;
      double total = 1;  // the identity's part
      for (int64_t j = 0; j < count; ++j) total += weights[j];
      for (int64_t j = 0; j < count; ++j)
        next[static_cast<size_t>(j)] += share * weights[j] / total;
      next[static_cast<size_t>(i)] += share / total;
    });
    row = std::move(next);
  }
  return {row.begin(), row.end()};
}

}  // namespace vitrail
