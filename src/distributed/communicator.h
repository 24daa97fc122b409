// Communicator: the processes of one job, and messages between them. One process alone is a job,
// too.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>

namespace vitrail {

// A message on its way; its memory must stay until done() was true.
class Transfer {
 public:
  virtual ~Transfer() = default;
  virtual bool done() = 0;  // asks, and moves messages forward; never waits
};

// Used by one thread. Messages between two processes with the same tag arrive in the order in which
// they were sent, and go to receives in the order of those.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int ranks() const = 0;
  virtual std::unique_ptr<Transfer> send(std::span<const std::byte> bytes, int to, int tag) = 0;
  virtual std::unique_ptr<Transfer> receive(std::span<std::byte> bytes, int from, int tag) = 0;
  // Ends every process of the job, this one with the exit status. Nothing is printed here.
  virtual void end_job(int status) = 0;

  // Called again and again while a process waits for others, with the seconds it has waited; may
  // throw, when the others will never answer.
  std::function<void(double seconds)> on_wait;
};

inline constexpr int kMaxTag = 30'000;  // MPI promises 32767

// The job that this process belongs to. Started by mpirun, it is that of all its processes, and
// ends with the communicator, which therefore must be gone before the program ends; otherwise this
// process is alone. Error: mpirun started it, and this build has no MPI, or MPI refuses.
std::unique_ptr<Communicator> join_job();
// How many processes the job has, of those how many on this machine: 1 outside mpirun. As the
// environment says it, without joining.
int processes_of_job();
int processes_on_machine();

// Waits until done() is true, giving way to other threads, and telling on_wait.
void wait_until(const Communicator& communicator, const std::function<bool()>& done);

}  // namespace vitrail
