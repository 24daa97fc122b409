// Some of another set's pictures.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/dataset.h"

namespace vitrail {

class Subset : public Dataset {
 public:
  // `chosen`: indices of `whole`, in the order that this set has them.
  Subset(std::shared_ptr<const Dataset> whole, std::vector<int64_t> chosen)
      : whole_(std::move(whole)), chosen_(std::move(chosen)) {
    name_ = whole_->name();
    classes_ = whole_->classes();
    intake_ = whole_->intake();
    multi_label_ = whole_->multi_label();
    channels_ = whole_->channels();
    width_ = whole_->width();
    height_ = whole_->height();
  }
  int64_t size() const override { return static_cast<int64_t>(chosen_.size()); }
  Sample get(int64_t index) const override { return whole_->get(at(index)); }
  int64_t label(int64_t index) const override { return whole_->label(at(index)); }
  std::vector<int64_t> labels(int64_t index) const override { return whole_->labels(at(index)); }
  std::string id(int64_t index) const override { return whole_->id(at(index)); }
  uint64_t content(int64_t index) const override { return whole_->content(at(index)); }

 private:
  int64_t at(int64_t index) const { return chosen_[static_cast<size_t>(index)]; }
  std::shared_ptr<const Dataset> whole_;
  std::vector<int64_t> chosen_;
};

}  // namespace vitrail
