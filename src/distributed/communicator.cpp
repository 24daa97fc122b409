#include "distributed/communicator.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "core/error.h"
#include "distributed/mpi.h"

namespace vitrail {
namespace {

class Alone : public Communicator {
 public:
  int rank() const override { return 0; }
  int ranks() const override { return 1; }
  std::unique_ptr<Transfer> send(std::span<const std::byte>, int to, int) override {
    fail("distributed", "there is no process {} to send to", to);
  }
  std::unique_ptr<Transfer> receive(std::span<std::byte>, int from, int) override {
    fail("distributed", "there is no process {} to receive from", from);
  }
  void end_job(int status) override { std::_Exit(status); }
};

int number_in(std::initializer_list<const char*> variables) {
  for (const char* name : variables) {
    const char* value = std::getenv(name);
    if (value == nullptr) continue;
    const std::string_view text(value);
    int number = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), number).ec == std::errc())
      return std::max(1, number);
  }
  return 1;
}

}  // namespace

// Open MPI's names, and those of MPICH and its relatives.
int processes_of_job() {
  return number_in({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"});
}

int processes_on_machine() {
  return number_in({"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"});
}

std::unique_ptr<Communicator> join_job() {
  if (processes_of_job() == 1) return std::make_unique<Alone>();
  return join_mpi_job();
}

void wait_until(const Communicator& communicator, const std::function<bool()>& done) {
  using Clock = std::chrono::steady_clock;
  // Long messages move a piece at a time, each when it is asked for: a nap between two pieces would
  // cost more than their copy. So only a long wait, for a process that is late, takes naps.
  constexpr double kSpin = 1;  // seconds
  constexpr auto kNap = std::chrono::microseconds(50);
  const Clock::time_point begin = Clock::now();
  while (!done()) {
    const double waited = std::chrono::duration<double>(Clock::now() - begin).count();
    if (communicator.on_wait) communicator.on_wait(waited);
    if (waited < kSpin)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(kNap);
  }
}

}  // namespace vitrail
