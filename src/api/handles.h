// What stands behind the public handles of vitrail/vitrail.h.
#pragma once

#include <memory>
#include <vector>

#include "infer/session.h"
#include "tasks/classify.h"
#include "vitrail/vitrail.h"

namespace vit {

struct Model::Impl {
  std::shared_ptr<vitrail::Model> model;
};

struct Session::Impl {
  std::unique_ptr<vitrail::Session> session;
  double threshold = vitrail::kThreshold;
};

// Error: a picture that cannot be read.
vitrail::Image read_picture(const Picture& picture, const vitrail::DecodeOptions& options);
vitrail::PreparedBatch prepare(vitrail::Session& session, std::span<const Picture> pictures);
Classification to_public(const vitrail::Classification& answer);

}  // namespace vit
