#include "train/run/bucket_exchange.h"

#include <algorithm>

namespace vitrail {
namespace {

constexpr int kSumTag = kMaxTag;  // of sum(); buckets count from 0, and may come round again

}  // namespace

BucketExchange::BucketExchange(Communicator& communicator, size_t bucket_bytes)
    : communicator_(communicator), capacity_(std::max<size_t>(1, bucket_bytes / sizeof(float))) {}

void BucketExchange::ready(const Parameter&, const Tensor& gradient) {
  const auto count = static_cast<size_t>(gradient.numel());
  const bool open = used_ > 0 && !buckets_[used_ - 1].sum;
  if (open && buckets_[used_ - 1].values.size() + count > capacity_) begin_sum();
  if (used_ == 0 || buckets_[used_ - 1].sum) {
    if (used_ == buckets_.size()) buckets_.emplace_back();
    ++used_;
  }
  Bucket& bucket = buckets_[used_ - 1];
  bucket.values.insert(bucket.values.end(), gradient.f32(), gradient.f32() + count);
  bucket.gradients.push_back(gradient);
  if (bucket.values.size() >= capacity_) begin_sum();
  advance();  // MPI moves messages when it is asked
}

void BucketExchange::begin_sum() {
  Bucket& bucket = buckets_[used_ - 1];
  bucket.sum.emplace(communicator_, std::span(bucket.values),
                     static_cast<int>((used_ - 1) % size_t{kSumTag}));
}

void BucketExchange::advance() {
  for (size_t i = 0; i < used_; ++i)
    if (buckets_[i].sum) buckets_[i].sum->advance();
}

void BucketExchange::finish() {
  if (used_ > 0 && !buckets_[used_ - 1].sum) begin_sum();
  for (size_t i = 0; i < used_; ++i) {
    Bucket& bucket = buckets_[i];
    wait_until(communicator_, [&] {
      advance();  // all of them: what another rank waits for may be a later bucket
      return bucket.sum->advance();
    });
    const float* from = bucket.values.data();
    for (Tensor& gradient : bucket.gradients) {
      std::copy_n(from, gradient.numel(), gradient.f32());
      from += gradient.numel();
    }
    bucket.sum.reset();
    bucket.gradients.clear();
    bucket.values.clear();
  }
  used_ = 0;
}

void BucketExchange::sum(std::span<double> values) {
  sum_in_rank_order(communicator_, values, kSumTag);
}

}  // namespace vitrail
