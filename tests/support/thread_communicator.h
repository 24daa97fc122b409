// The processes of a job as threads with mailboxes.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <tuple>
#include <vector>

#include "distributed/communicator.h"

namespace vitrail::testing {

class Mailboxes {
 public:
  using Key = std::tuple<int, int, int>;  // from, to, tag
  void put(Key key, std::span<const std::byte> bytes) {
    const std::lock_guard lock(mutex_);
    boxes_[key].emplace_back(bytes.begin(), bytes.end());
  }
  bool take(Key key, std::span<std::byte> out) {
    const std::lock_guard lock(mutex_);
    auto& box = boxes_[key];
    if (box.empty()) return false;
    EXPECT_EQ(box.front().size(), out.size());
    std::memcpy(out.data(), box.front().data(), std::min(out.size(), box.front().size()));
    box.pop_front();
    return true;
  }

 private:
  std::mutex mutex_;
  std::map<Key, std::deque<std::vector<std::byte>>> boxes_;
};

// A message leaves, and arrives, only when it is asked for the second time: nothing may rely on
// sends being done at once.
class SlowTransfer : public Transfer {
 public:
  explicit SlowTransfer(std::function<bool()> work) : work_(std::move(work)) {}
  bool done() override {
    EXPECT_FALSE(finished_) << "asked after it was done";
    if (first_) {
      first_ = false;
      return false;
    }
    return finished_ = work_();
  }

 private:
  std::function<bool()> work_;
  bool first_ = true, finished_ = false;
};

class ThreadCommunicator : public Communicator {
 public:
  ThreadCommunicator(Mailboxes& boxes, int rank, int ranks)
      : boxes_(boxes), rank_(rank), ranks_(ranks) {}
  int rank() const override { return rank_; }
  int ranks() const override { return ranks_; }
  std::unique_ptr<Transfer> send(std::span<const std::byte> bytes, int to, int tag) override {
    return std::make_unique<SlowTransfer>([this, bytes, to, tag] {
      boxes_.put({rank_, to, tag}, bytes);
      return true;
    });
  }
  std::unique_ptr<Transfer> receive(std::span<std::byte> bytes, int from, int tag) override {
    return std::make_unique<SlowTransfer>([this, bytes, from, tag] {
      return boxes_.take({from, rank_, tag}, bytes);
    });
  }
  void end_job(int status) override { std::_Exit(status); }

 private:
  Mailboxes& boxes_;
  int rank_, ranks_;
};

}  // namespace vitrail::testing
