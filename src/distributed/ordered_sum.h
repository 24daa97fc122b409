// The sum of every process's values, in the order of their ranks: (rank 0 + rank 1) + rank 2 ...
// MPI's own reductions choose an order by the number of processes and the length; here an element's
// additions never change.
//
// Rank r sums the r-th part of the values for all and gives it back to all: each process sends and
// receives twice (ranks - 1) / ranks of the values, whatever the number of ranks.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "distributed/communicator.h"

namespace vitrail {

// T is float or double. Begin it on every rank with the same length and tag, in the same order.
template <typename T>
class OrderedSum {
 public:
  // Sends off; the values must stay, untouched, until advance() is true.
  OrderedSum(Communicator& communicator, std::span<T> values, int tag);
  // Moves on without waiting. True: the values are the sum.
  bool advance();

 private:
  enum class Phase { gathering, spreading, done };
  std::span<T> part(int rank) const;
  void add_up();

  Communicator& communicator_;
  std::span<T> values_;
  int tag_;
  Phase phase_ = Phase::gathering;
  std::vector<std::vector<T>> theirs_;  // of each other rank: its values of this rank's part
  std::vector<std::unique_ptr<Transfer>> pending_;
};

// Sums and waits for it.
template <typename T>
void sum_in_rank_order(Communicator& communicator, std::span<T> values, int tag);

}  // namespace vitrail
