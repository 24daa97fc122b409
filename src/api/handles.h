// What stands behind the public handles of vitrail/vitrail.h.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <stop_token>
#include <vector>

#include "api/guard.h"
#include "explain/explanation.h"
#include "infer/session.h"
#include "report/explain_page.h"
#include "tasks/classify.h"
#include "vitrail/vitrail.h"

namespace vit {

struct Model::Impl {
  std::shared_ptr<vitrail::Model> model;
};

struct Session::Impl {
  std::unique_ptr<vitrail::Session> session;
  double threshold = vitrail::kThreshold;
  std::atomic<bool> in_use{false};
};

// Layers are independent of the session that made them.
struct Explanation::Impl {
  vitrail::Explanation explanation;
  Classification answer;
  vitrail::ExplainPage page;
};

// A call of a session: one at a time, and none is stopped by another's token.
class Turn {
 public:
  // Error: another thread is in a call.
  Turn(Session::Impl& session, const std::stop_token& stop);
  ~Turn();
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  Session::Impl& session_;
};

// Error: a picture that cannot be read; anything else that is thrown becomes one.
vitrail::Image read_picture(const Picture& picture, const vitrail::DecodeOptions& options);
vitrail::PreprocessResult write_picture(const Picture& picture,
                                        const vitrail::Preprocess& preprocess, float* out);
// For Session::for_each_batch. The pictures must outlive it.
vitrail::Session::Pictures pictures_of(std::span<const Picture> pictures,
                                       const vitrail::Preprocess& preprocess);

Classification to_public(const vitrail::Classification& answer);
// The one answer of a call with one picture. Error: the picture's.
template <typename T>
T only(std::vector<Result<T>> results) {
  return std::move(results.front()).value();
}

}  // namespace vit
