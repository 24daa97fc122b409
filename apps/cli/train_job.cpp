#include "apps/cli/train_job.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <thread>

#include "apps/cli/common.h"
#include "apps/cli/failure.h"
#include "apps/cli/standard_streams.h"
#include "data/intake_record.h"
#include "train/run/checkpoint.h"

namespace vitrail::cli {
namespace {

// mpirun asks the others to end when one has died, and kills them a second later: a process that
// was asked, and waits, has so long to say why.
constexpr double kPatience = 0.2;  // seconds
// Every process meets most errors; the first one speaks, and the others only when it has not within
// this time. On a busy machine it may be late, but one that was asked to end cannot wait for it.
constexpr double kAfterTheFirst = 3, kAfterTheFirstAtTheEnd = 0.3;  // seconds

constexpr int kFarewell = kMaxTag + 1;
constexpr std::byte kDone{0}, kSpoke{1};
constexpr double kFarewellSeconds = 0.1;

// What mpirun bound this process to.
int cores_left() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

TrainJob::TrainJob(std::string out, std::string resume, std::function<bool()> ending)
    : out_(std::move(out)),
      resume_(std::move(resume)),
      ending_(std::move(ending)),
      communicator_(join_job()) {
  if (communicator_->ranks() == 1) return;
  if (!leads()) silence_intake();
  communicator_->on_wait = [this](double seconds) {
    if (seconds > kPatience && ending_()) throw Error("train", lost_message());
  };
  words_.resize(static_cast<size_t>(communicator_->ranks()));
  for (int other = 0; other < communicator_->ranks(); ++other)
    if (other != communicator_->rank())
      farewells_.push_back(communicator_->receive(
          std::span(words_).subspan(static_cast<size_t>(other), 1), other, kFarewell));
  exchange_ = std::make_unique<BucketExchange>(*communicator_);
}

int TrainJob::threads(int asked) const {
  if (asked > 0 || communicator_->ranks() == 1) return asked;
  const int here = cores_left();  // those that mpirun left to this process
  const bool bound = here < ::sysconf(_SC_NPROCESSORS_ONLN);
  return bound ? here : std::max(1, here / processes_on_machine());
}

std::string TrainJob::lost_message() const {
  const std::vector<int64_t> kept = CheckpointFolder(out_ + "/checkpoints").steps();
  return fmt::format("another process of this run has ended, and the others end with it; {}",
                     kept.empty()
                         ? "there is no checkpoint yet (--checkpoint-steps makes them more often)"
                         : fmt::format("the last checkpoint is that of step {}; continue, with any "
                                       "number of processes: {}",
                                       kept.back(), resume_));
}

void TrainJob::take_leave(std::byte word) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  std::vector<std::unique_ptr<Transfer>> sends;
  for (int other = 0; other < communicator_->ranks(); ++other)
    if (other != communicator_->rank())
      sends.push_back(communicator_->send(std::span(&word, 1), other, kFarewell));
  // One that is gone takes no message.
  while (!std::ranges::all_of(sends, [](const auto& send) { return send->done(); }) &&
         (word == kDone ||
          std::chrono::duration<double>(Clock::now() - begin).count() < kFarewellSeconds))
    std::this_thread::yield();
}

bool TrainJob::somebody_spoke() {
  for (const auto& farewell : farewells_) farewell->done();
  return std::ranges::find(words_, kSpoke) != words_.end();
}

void TrainJob::wait_for_the_first() {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  while (!somebody_spoke()) {
    const double waited = std::chrono::duration<double>(Clock::now() - begin).count();
    if (waited > (ending_() ? kAfterTheFirstAtTheEnd : kAfterTheFirst)) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void TrainJob::end(const std::string& line) {
  if (!leads()) wait_for_the_first();
  if (!somebody_spoke()) {
    print_stderr("vitrail: {}\n", line);
    std::fflush(stderr);
    take_leave(kSpoke);
  }
  communicator_->end_job(1);
  std::_Exit(1);
}

void TrainJob::run(const std::function<void()>& work) {
  if (communicator_->ranks() == 1) return work();
  bool failed = false;
  try {
    try {
      work();
    } catch (const Failed&) {
      failed = true;  // on every process alike
    }
    take_leave(kDone);
    wait_until(*communicator_, [&] {
      return std::ranges::all_of(farewells_, [](const auto& farewell) { return farewell->done(); });
    });
  } catch (...) {
    end(failure_message(std::current_exception()));
  }
  exchange_.reset();
  farewells_.clear();
  communicator_.reset();
  if (failed) throw Failed();
}

}  // namespace vitrail::cli
