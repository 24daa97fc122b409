#include "distributed/ordered_sum.h"

#include <algorithm>

namespace vitrail {

template <typename T>
OrderedSum<T>::OrderedSum(Communicator& communicator, std::span<T> values, int tag)
    : communicator_(communicator),
      values_(values),
      tag_(tag),
      theirs_(static_cast<size_t>(communicator.ranks())) {
  const int rank = communicator.rank(), ranks = communicator.ranks();
  const size_t own = part(rank).size();
  for (int other = 0; other < ranks; ++other) {
    if (other == rank) continue;
    if (own > 0) {
      auto& values_of_other = theirs_[static_cast<size_t>(other)];
      values_of_other.resize(own);
      pending_.push_back(
          communicator.receive(std::as_writable_bytes(std::span(values_of_other)), other, tag));
    }
    if (!part(other).empty())
      pending_.push_back(communicator.send(std::as_bytes(part(other)), other, tag));
  }
}

template <typename T>
std::span<T> OrderedSum<T>::part(int rank) const {
  const auto ranks = static_cast<size_t>(communicator_.ranks()), r = static_cast<size_t>(rank);
  const size_t begin = values_.size() * r / ranks, end = values_.size() * (r + 1) / ranks;
  return values_.subspan(begin, end - begin);
}

template <typename T>
void OrderedSum<T>::add_up() {
  const std::span<T> own = part(communicator_.rank());
  // The first of two sums is the same in either order; from the third on, the order is the ranks'.
  if (communicator_.rank() > 0) {
    std::vector<T>& sum = theirs_[0];
    for (int rank = 1; rank < communicator_.ranks(); ++rank) {
      const T* more =
          rank == communicator_.rank() ? own.data() : theirs_[static_cast<size_t>(rank)].data();
      for (size_t i = 0; i < own.size(); ++i) sum[i] += more[i];
    }
    std::copy(sum.begin(), sum.end(), own.begin());
    return;
  }
  for (int rank = 1; rank < communicator_.ranks(); ++rank) {
    const T* more = theirs_[static_cast<size_t>(rank)].data();
    for (size_t i = 0; i < own.size(); ++i) own[i] += more[i];
  }
}

template <typename T>
bool OrderedSum<T>::advance() {
  while (phase_ != Phase::done) {
    std::erase_if(pending_, [](const auto& transfer) { return transfer->done(); });
    if (!pending_.empty()) return false;
    if (phase_ == Phase::spreading) {
      phase_ = Phase::done;
      continue;
    }
    add_up();
    phase_ = Phase::spreading;
    const std::span<T> own = part(communicator_.rank());
    for (int other = 0; other < communicator_.ranks(); ++other) {
      if (other == communicator_.rank()) continue;
      if (!part(other).empty())
        pending_.push_back(communicator_.receive(std::as_writable_bytes(part(other)), other, tag_));
      if (!own.empty()) pending_.push_back(communicator_.send(std::as_bytes(own), other, tag_));
    }
  }
  return true;
}

template <typename T>
void sum_in_rank_order(Communicator& communicator, std::span<T> values, int tag) {
  OrderedSum<T> sum(communicator, values, tag);
  wait_until(communicator, [&] { return sum.advance(); });
}

template class OrderedSum<float>;
template class OrderedSum<double>;
template void sum_in_rank_order(Communicator&, std::span<float>, int);
template void sum_in_rank_order(Communicator&, std::span<double>, int);

}  // namespace vitrail
