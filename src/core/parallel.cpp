#include "core/parallel.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>

namespace vitrail {
namespace {

// About 50 microseconds: longer than the gap between two kernels, shorter than a user notices.
constexpr int kSpins = 2000;

thread_local bool inside_job = false;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

// A worker, and where it wakes. Linux tends to wake a thread on the core of the one that wakes it
// (wake_affine), and there it waits behind the caller, who computes: for milliseconds, until the
// load is balanced. So the caller's core is taken from a sleeping worker's set before it is woken,
// and the worker takes its own set again when it runs, so that it can be moved as any other.
class ThreadPool::Worker {
 public:
  template <typename Body>
  explicit Worker(Body body) : thread_([this, body] { body(*this); }) {}
  ~Worker() { thread_.join(); }

  // Under the pool's mutex: sleeps and woke by the worker itself, keep_off by who wakes it.
  void sleeps() { asleep_ = true; }
  void keep_off(int core) {
    if (!asleep_ || restricted_ || core < 0 || core >= CPU_SETSIZE) return;
    if (pthread_getaffinity_np(thread_.native_handle(), sizeof(own_), &own_) != 0) return;
    cpu_set_t others = own_;
    CPU_CLR(core, &others);
    if (CPU_COUNT(&others) == 0 || CPU_EQUAL(&others, &own_)) return;
    restricted_ = pthread_setaffinity_np(thread_.native_handle(), sizeof(others), &others) == 0;
  }
  void woke() {
    asleep_ = false;
    if (restricted_) pthread_setaffinity_np(pthread_self(), sizeof(own_), &own_);
    restricted_ = false;
  }

 private:
  bool asleep_ = false, restricted_ = false;
  cpu_set_t own_{};
  std::thread thread_;  // last: it starts when the rest is there
};

struct ThreadPool::Job {
  FunctionRef<void(int64_t, int)> body;
  std::mutex failure_mutex;
  std::exception_ptr failure;
};

int available_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

ThreadPool::ThreadPool(int threads) {
  if (threads <= 0) threads = available_cores();
  shares_ = std::vector<Share>(static_cast<size_t>(threads));
  try {
    workers_.reserve(static_cast<size_t>(threads - 1));
    for (int number = 1; number < threads; ++number)
      workers_.push_back(
          std::make_unique<Worker>([this, number](Worker& self) { work(self, number); }));
  } catch (...) {  // the system gives no more: those that began would wait for ever
    stop();
    throw;
  }
}

ThreadPool::~ThreadPool() {
  stop();
}

void ThreadPool::stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    generation_.fetch_add(1);
  }
  wake_.notify_all();
  workers_.clear();  // joins them
}

void ThreadPool::wake_sleepers() {
  if (sleeping_ == 0) return;
  const int core = sched_getcpu();
  for (const auto& worker : workers_) worker->keep_off(core);
  wake_.notify_all();
}

void ThreadPool::divide(int64_t count) {
  const auto threads = static_cast<int64_t>(shares_.size());
  for (int64_t i = 0; i < threads; ++i) {
    Share& share = shares_[static_cast<size_t>(i)];
    share.next.store(i * count / threads, std::memory_order_relaxed);
    share.end = (i + 1) * count / threads;
  }
}

void ThreadPool::run_chunks(Job& job, int worker) {
  inside_job = true;
  const size_t threads = shares_.size();
  for (size_t turn = 0; turn < threads; ++turn) {
    Share& share = shares_[(static_cast<size_t>(worker) + turn) % threads];
    for (;;) {
      const int64_t i = share.next.fetch_add(1, std::memory_order_relaxed);
      if (i >= share.end) break;
      try {
        job.body(i, worker);
      } catch (...) {
        std::lock_guard lock(job.failure_mutex);
        if (!job.failure) job.failure = std::current_exception();
        for (Share& rest : shares_) rest.next.store(rest.end, std::memory_order_relaxed);
      }
    }
  }
  inside_job = false;
}

void ThreadPool::work(Worker& self, int number) {
  uint64_t seen = 0;
  for (;;) {
    int spins = 0;
    while (generation_.load(std::memory_order_acquire) == seen && spins < kSpins) {
      if (run_spare()) {
        spins = 0;
        continue;
      }
      pause();
      ++spins;
    }
    if (generation_.load(std::memory_order_acquire) == seen) {
      std::unique_lock lock(mutex_);
      ++sleeping_;
      self.sleeps();
      wake_.wait(lock, [&] {
        return generation_.load(std::memory_order_relaxed) != seen || spare_ != nullptr;
      });
      --sleeping_;
      self.woke();
      if (generation_.load(std::memory_order_relaxed) == seen) continue;  // spare work
    }
    // Enter under the lock, so the caller never retires a job that a late worker still reads, and
    // so that a stop is seen with the generation that announces it.
    Job* job;
    {
      std::lock_guard lock(mutex_);
      if (stop_) return;
      seen = generation_.load(std::memory_order_relaxed);
      job = job_.load(std::memory_order_relaxed);
      if (job != nullptr) busy_.fetch_add(1, std::memory_order_relaxed);
    }
    if (job == nullptr) continue;
    run_chunks(*job, number);
    busy_.fetch_sub(1, std::memory_order_release);
  }
}

void ThreadPool::parallel_for(int64_t count, FunctionRef<void(int64_t, int)> body) {
  if (count <= 0) return;
  if (count == 1 || workers_.empty() || inside_job) {
    for (int64_t i = 0; i < count; ++i) body(i, 0);
    return;
  }
  std::lock_guard turn(callers_);
  Job job{.body = body, .failure_mutex = {}, .failure = {}};
  divide(count);
  {
    std::lock_guard lock(mutex_);
    job_.store(&job, std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
    wake_sleepers();
  }
  run_chunks(job, 0);
  {
    std::lock_guard lock(mutex_);
    job_.store(nullptr, std::memory_order_relaxed);
  }
  for (int spins = 0; busy_.load(std::memory_order_acquire) != 0; ++spins) {
    pause();
    if (spins > kSpins) std::this_thread::yield();
  }
  if (job.failure) std::rethrow_exception(job.failure);
}

void ThreadPool::parallel_ranges(int64_t count, int64_t grain,
                                 FunctionRef<void(int64_t, int64_t)> body) {
  grain = std::max<int64_t>(grain, 1);
  parallel_for((count + grain - 1) / grain, [&](int64_t chunk, int) {
    body(chunk * grain, std::min(count, (chunk + 1) * grain));
  });
}

bool SpareWork::run_one() {
  const int64_t i = next_.fetch_add(1, std::memory_order_relaxed);
  if (i >= count_) return false;
  try {
    body_(i);
  } catch (...) {
    std::lock_guard lock(failure_mutex_);
    if (!failure_) failure_ = std::current_exception();
    drop();
  }
  return true;
}

bool ThreadPool::run_spare() {
  if (spare_.load(std::memory_order_relaxed) == nullptr) return false;
  SpareWork* work;
  {
    std::lock_guard lock(mutex_);
    work = spare_;
    if (work == nullptr) return false;
    if (!work->any_left()) {
      spare_ = nullptr;
      return false;
    }
    ++spare_users_;
  }
  inside_job = true;
  work->run_one();
  inside_job = false;
  std::lock_guard lock(mutex_);
  if (--spare_users_ == 0) spare_returned_.notify_all();
  return true;
}

void ThreadPool::offer(SpareWork& work) {
  if (workers_.empty()) return;
  std::lock_guard lock(mutex_);
  spare_ = &work;
  wake_sleepers();
}

void ThreadPool::take_back() {
  std::unique_lock lock(mutex_);
  spare_ = nullptr;
  spare_returned_.wait(lock, [&] { return spare_users_ == 0; });
}

void ThreadPool::finish(SpareWork& work) {
  parallel_for(num_threads(), [&](int64_t, int) {
    while (work.run_one()) {
    }
  });
  take_back();
  if (work.failure_) std::rethrow_exception(work.failure_);
}

void ThreadPool::withdraw(SpareWork& work) {
  work.drop();
  take_back();
}

}  // namespace vitrail
