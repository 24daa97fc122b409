// Gradients of every size through buckets of every size: the sums in the order of the ranks, step
// after step, whatever a bucket holds.
#include "train/run/bucket_exchange.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <random>
#include <thread>

#include "support/thread_communicator.h"

namespace vitrail {
namespace {

const std::vector<int64_t> kSizes{5, 1, 300, 7, 64, 2};

std::vector<Tensor> gradients_of(int rank, int step) {
  std::mt19937 random(static_cast<unsigned>(100 * step + rank));
  std::uniform_real_distribution<float> exponent(-6, 6), sign(-1, 1);
  std::vector<Tensor> gradients;
  for (const int64_t size : kSizes) {
    Tensor gradient = Tensor::empty({size});
    for (int64_t i = 0; i < size; ++i)
      gradient.f32()[i] = sign(random) * std::pow(10.0f, exponent(random));
    gradients.push_back(gradient);
  }
  return gradients;
}

void expect_sums(const std::vector<Tensor>& got, int ranks, int step) {
  std::vector<Tensor> want = gradients_of(0, step);
  for (int rank = 1; rank < ranks; ++rank) {
    const std::vector<Tensor> more = gradients_of(rank, step);
    for (size_t k = 0; k < want.size(); ++k)
      for (int64_t i = 0; i < kSizes[k]; ++i) want[k].f32()[i] += more[k].f32()[i];
  }
  for (size_t k = 0; k < want.size(); ++k)
    EXPECT_EQ(std::memcmp(got[k].f32(), want[k].f32(), want[k].bytes()), 0)
        << "gradient " << k << ", step " << step;
}

TEST(BucketExchange, SumsInTheOrderOfTheRanks) {
  constexpr int kSteps = 3;
  for (const int ranks : {2, 3}) {
    for (const size_t bucket_bytes : {size_t{1}, size_t{64}, size_t{1000}, kBucketBytes}) {
      testing::Mailboxes boxes;
      std::vector<std::thread> threads;
      for (int rank = 0; rank < ranks; ++rank)
        threads.emplace_back([&, rank] {
          testing::ThreadCommunicator communicator(boxes, rank, ranks);
          BucketExchange exchange(communicator, bucket_bytes);
          const Parameter parameter("weight", {1});
          for (int step = 0; step < kSteps; ++step) {
            const std::vector<Tensor> gradients = gradients_of(rank, step);
            for (const Tensor& gradient : gradients) exchange.ready(parameter, gradient);
            exchange.finish();
            expect_sums(gradients, ranks, step);
            std::array<double, 2> values{1.0, static_cast<double>(rank)};
            exchange.sum(values);
            EXPECT_EQ(values[0], ranks);
            EXPECT_EQ(values[1], ranks * (ranks - 1) / 2.0);
          }
        });
      for (std::thread& thread : threads) thread.join();
    }
  }
}

TEST(BucketExchange, AStepWithoutGradientsIsOne) {
  testing::Mailboxes boxes;
  testing::ThreadCommunicator communicator(boxes, 0, 2);
  BucketExchange exchange(communicator);
  exchange.finish();
  EXPECT_EQ(exchange.ranks(), 2);
}

}  // namespace
}  // namespace vitrail
