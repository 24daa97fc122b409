// The processes that mpirun started for one training run; of a run by one process there is nothing
// to see here.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "distributed/communicator.h"
#include "train/run/bucket_exchange.h"

namespace vitrail::cli {

class TrainJob {
 public:
  // `out`: the run's folder, and `resume`: what to do to go on, for messages. `ending` tells
  // whether this process was sent what mpirun sends before it kills. Error: as join_job().
  TrainJob(std::string out, std::string resume, std::function<bool()> ending);

  GradientExchange* exchange() { return exchange_.get(); }  // null: alone
  // Whether this process speaks for all.
  bool leads() const { return communicator_->rank() == 0; }
  // Of --threads 0: this process's share of the machine's cores.
  int threads(int asked) const;

  // Does the work, then leaves the job. An error ends the job for all processes, and is said once.
  void run(const std::function<void()>& work);

 private:
  std::string lost_message() const;
  [[noreturn]] void end(const std::string& line);
  // Each process's last word to the others: whether it has said what went wrong.
  void take_leave(std::byte word);
  bool somebody_spoke();
  void wait_for_the_first();

  std::string out_, resume_;
  std::function<bool()> ending_;
  std::unique_ptr<Communicator> communicator_;
  std::unique_ptr<BucketExchange> exchange_;
  std::vector<std::byte> words_;  // by rank
  std::vector<std::unique_ptr<Transfer>> farewells_;
};

}  // namespace vitrail::cli
