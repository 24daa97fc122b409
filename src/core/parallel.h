// ThreadPool: the only place that knows about threads of computation.
//
// Work is cut into chunks by shape alone and chunks are claimed dynamically, each thread's own
// share first, so which thread does what never changes a result. The calling thread works too.
// Workers spin for some tens of microseconds after a job, then sleep, so an idle pool costs
// nothing.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace vitrail {

// A non-owning reference to a callable; it must outlive the call it is passed to.
template <typename Signature>
class FunctionRef;
template <typename R, typename... Args>
class FunctionRef<R(Args...)> {
 public:
  template <typename F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef>)
      FunctionRef(F&& f)  // NOLINT: implicit by design
      : object_(const_cast<void*>(static_cast<const void*>(&f))),
        call_([](void* object, Args... args) -> R {
          return (*static_cast<std::remove_reference_t<F>*>(object))(std::forward<Args>(args)...);
        }) {}
  R operator()(Args... args) const { return call_(object_, std::forward<Args>(args)...); }

 private:
  void* object_;
  R (*call_)(void*, Args...);
};

// Items of work that can wait: a pool's workers take them one at a time while no job needs them.
class SpareWork {
 public:
  // body(i) once for each i in [0, count), from several threads.
  SpareWork(int64_t count, std::function<void(int64_t)> body)
      : count_(count), body_(std::move(body)) {}

 private:
  friend class ThreadPool;
  bool any_left() const { return next_.load(std::memory_order_relaxed) < count_; }
  bool run_one();  // false when there was none
  void drop() { next_.store(count_, std::memory_order_relaxed); }

  const int64_t count_;
  const std::function<void(int64_t)> body_;
  std::atomic<int64_t> next_{0};
  std::mutex failure_mutex_;
  std::exception_ptr failure_;
};

class ThreadPool {
 public:
  // threads <= 0: as many as the machine has cores for this process.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int num_threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls body(i, worker) once for each i in [0, count); worker < num_threads() names the thread,
  // for scratch memory. Calls from inside a body run in place; calls from several threads take
  // turns. An exception from a body is rethrown here, after every chunk in flight has ended.
  void parallel_for(int64_t count, FunctionRef<void(int64_t, int)> body);

  // The same over ranges of at least `grain` items: body(begin, end).
  void parallel_ranges(int64_t count, int64_t grain, FunctionRef<void(int64_t, int64_t)> body);

  // From now on workers that wait take items of the work; jobs go on meanwhile with the threads
  // that are there, so no more than num_threads() ever compute. One work at a time, which
  // finish() or withdraw() must end.
  void offer(SpareWork& work);
  // Does what is left of it on all threads. Rethrows what an item threw; then some were not begun.
  void finish(SpareWork& work);
  // Drops what has not begun and waits for the rest.
  void withdraw(SpareWork& work);

 private:
  struct Job;
  bool run_spare();
  void take_back();
  class Worker;
  // The chunks that a thread takes first. Equal shares of the rows of one operation and of the next
  // meet in the same core's cache; whoever is done takes from the others' shares.
  struct alignas(64) Share {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };
  void work(Worker& self, int number);
  void stop();           // the workers end
  void wake_sleepers();  // under mutex_
  void divide(int64_t count);
  void run_chunks(Job& job, int worker);

  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<Share> shares_;  // of the job, by thread
  std::mutex callers_;         // one job at a time
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<Job*> job_{nullptr};
  std::atomic<int> busy_{0};
  int sleeping_ = 0;
  std::atomic<SpareWork*> spare_{nullptr};  // written under mutex_
  int spare_users_ = 0;                     // workers at an item
  std::condition_variable spare_returned_;
  bool stop_ = false;  // under mutex_
};

// Cores this process may run on.
int available_cores();

}  // namespace vitrail
