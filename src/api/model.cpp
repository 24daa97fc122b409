#include "api/handles.h"

namespace vit {

Model::Model(const std::string& path_or_name, const ModelOptions& options)
    : impl_(std::make_shared<Impl>()) {
  impl_->model =
      vitrail::load_model(path_or_name, {.settings = options.settings, .labels = options.labels});
}

const std::string& Model::name() const {
  return impl_->model->name;
}
std::int64_t Model::num_classes() const {
  return impl_->model->network->config().num_classes;
}
std::optional<std::string> Model::label(std::int64_t index) const {
  return impl_->model->labels.name(index);
}

Answer Model::answer() const {
  switch (impl_->model->network->config().answer) {
    case vitrail::Answer::softmax:
      return Answer::softmax;
    case vitrail::Answer::sigmoid:
      return Answer::sigmoid;
    case vitrail::Answer::raw:
      break;
  }
  return Answer::raw;
}

bool Model::multi_label() const {
  return impl_->model->network->config().multi_label;
}

std::optional<double> Model::rejection_threshold() const {
  if (!impl_->model->rejection) return std::nullopt;
  return impl_->model->rejection->threshold;
}

std::int64_t Model::depth() const {
  return impl_->model->network->config().depth;
}
std::int64_t Model::num_heads() const {
  return impl_->model->network->config().num_heads;
}
std::int64_t Model::embed_dim() const {
  return impl_->model->network->config().embed_dim;
}

}  // namespace vit
