#include "core/parallel.h"

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

struct ThreadPool::Job {
  int64_t count;
  FunctionRef<void(int64_t, int)> body;
  std::atomic<int64_t> next{0};
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
  for (int worker = 1; worker < threads; ++worker)
    workers_.emplace_back([this, worker] { work(worker); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    generation_.fetch_add(1);
  }
  wake_.notify_all();
  for (std::thread& thread : workers_) thread.join();
}

void ThreadPool::run_chunks(Job& job, int worker) {
  inside_job = true;
  for (;;) {
    const int64_t i = job.next.fetch_add(1, std::memory_order_relaxed);
    if (i >= job.count) break;
    try {
      job.body(i, worker);
    } catch (...) {
      std::lock_guard lock(job.failure_mutex);
      if (!job.failure) job.failure = std::current_exception();
      job.next.store(job.count, std::memory_order_relaxed);
    }
  }
  inside_job = false;
}

void ThreadPool::work(int worker) {
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
      wake_.wait(lock, [&] {
        return generation_.load(std::memory_order_relaxed) != seen || spare_ != nullptr;
      });
      --sleeping_;
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
    run_chunks(*job, worker);
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
  Job job{.count = count, .body = body, .failure_mutex = {}, .failure = {}};
  bool anyone_asleep;
  {
    std::lock_guard lock(mutex_);
    job_.store(&job, std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
    anyone_asleep = sleeping_ > 0;
  }
  if (anyone_asleep) wake_.notify_all();
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
  if (sleeping_ > 0) wake_.notify_all();
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
