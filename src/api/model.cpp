#include "api/handles.h"
#include "formats/json_text.h"
#include "infer/model_notes.h"

namespace vit {
namespace {

vitrail::LoadOptions to_internal(const ModelOptions& options) {
  vitrail::check(options.labels.empty() || options.label_names.empty(), "labels",
                 "ModelOptions::labels and label_names both name the classes; give one of them");
  vitrail::LoadOptions load{.settings = options.settings,
                            .labels = options.labels,
                            .label_names = options.label_names,
                            .threads = options.threads,
                            .stop = options.stop};
  vitrail::check_threads(options.threads);
  if (options.size) {
    const auto [height, width] = *options.size;
    vitrail::check(height >= 1 && width >= 1 && height <= vitrail::kMaxPreprocessSide &&
                       width <= vitrail::kMaxPreprocessSide,
                   "model", "ModelOptions::size is {}x{}; sides lie between 1 and {}", height,
                   width, vitrail::kMaxPreprocessSide);
    load.size = vitrail::PictureSize{height, width};
  }
  if (options.progress)
    load.progress = [&options](int64_t done, int64_t total) {
      call_back(options.progress, done, total);
    };
  return load;
}

template <typename Source>
std::shared_ptr<Model::Impl> loaded(const Source& source, const ModelOptions& options) {
  return guarded([&] {
    auto impl = std::make_shared<Model::Impl>();
    impl->model = vitrail::load_model(source, to_internal(options));
    vitrail::log_notes(*impl->model);
    return impl;
  });
}

vitrail::ModelBytes to_internal(const ModelBytes& bytes) {
  return {.name = vitrail::printable(bytes.name),
          .weights = bytes.weights,
          .config = bytes.config,
          .preprocessor = bytes.preprocessor_config,
          .rejection = bytes.rejection};
}

}  // namespace

Model::Model(const std::string& path_or_name, const ModelOptions& options)
    : impl_(loaded(path_or_name, options)) {}
Model::Model(const ModelBytes& bytes, const ModelOptions& options)
    : impl_(guarded([&] { return loaded(to_internal(bytes), options); })) {}

namespace {

// Calls what reads a model's own model, whatever that may throw.
template <typename Read>
decltype(auto) of(const Model& model, Read&& read) {
  return guarded(
      [&]() -> decltype(auto) { return read(std::as_const(*held(model.impl(), "model").model)); });
}

vitrail::ClassAnswer class_answer_of(const Model& model) {
  return of(model, [](const vitrail::Model& m) { return m.network->class_answer(); });
}

}  // namespace

const std::string& Model::name() const {
  return of(*this, [](const vitrail::Model& m) -> const std::string& { return m.name; });
}
std::string Model::family() const {
  return of(*this, [](const vitrail::Model& m) { return std::string(name_of(m.info.family)); });
}
std::int64_t Model::num_classes() const {
  return class_answer_of(*this).classes;
}
std::optional<std::string> Model::label(std::int64_t index) const {
  return of(*this, [&](const vitrail::Model& m) { return m.labels.name(index); });
}

Answer Model::answer() const {
  switch (class_answer_of(*this).meaning) {
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
  return class_answer_of(*this).multi_label;
}

std::optional<double> Model::rejection_threshold() const {
  return of(*this, [](const vitrail::Model& m) -> std::optional<double> {
    if (!m.rejection) return std::nullopt;
    return m.rejection->threshold;
  });
}

std::int64_t Model::depth() const {
  return of(*this, [](const vitrail::Model& m) {
    return static_cast<std::int64_t>(m.network->backbone().blocks().size());
  });
}
std::int64_t Model::num_heads() const {
  return of(*this, [](const vitrail::Model& m) {
    const auto attentions = m.network->backbone().attentions();
    return attentions.empty() ? 0 : attentions.back().heads;
  });
}
std::int64_t Model::embed_dim() const {
  return of(*this, [](const vitrail::Model& m) { return m.network->backbone().embed_dim(); });
}

PictureSize Model::patch_size() const {
  return of(*this, [](const vitrail::Model& m) {
    const auto input = m.network->pictures();
    const auto layout = m.network->layout(input.height, input.width);
    return PictureSize{static_cast<int>(layout.patch_height), static_cast<int>(layout.patch_width)};
  });
}
PictureSize Model::input_size() const {
  return of(*this, [](const vitrail::Model& m) {
    const auto input = m.network->pictures();
    return PictureSize{static_cast<int>(input.height), static_cast<int>(input.width)};
  });
}
std::int64_t Model::num_parameters() const {
  return of(*this, [](const vitrail::Model& m) { return m.network->parameters().num_elements(); });
}

std::vector<Layer> Model::layers() const {
  return of(*this, [](const vitrail::Model& m) {
    const auto input = m.network->pictures();
    std::vector<Layer> layers;
    for (const vitrail::LayerCost& cost : m.network->cost(input.height, input.width).layers)
      layers.push_back({.path = cost.path,
                        .output_shape = {cost.output.begin(), cost.output.end()},
                        .parameters = cost.parameters,
                        .multiply_adds = cost.multiply_adds});
    return layers;
  });
}

std::string Model::config_json() const {
  return of(*this, [](const vitrail::Model& m) {
    return vitrail::json_text(vitrail::to_json(m.network->config()));
  });
}

Preprocessing Model::preprocessing() const {
  return of(*this, [](const vitrail::Model& m) {
    const vitrail::Preprocess& p = m.preprocess;
    const vitrail::PictureSize size = vitrail::fixed_output_size(p);
    return Preprocessing{.channels = p.channels,
                         .size = {size.height, size.width},
                         .mean = {p.mean.begin(), p.mean.begin() + p.channels},
                         .std = {p.std.begin(), p.std.begin() + p.channels},
                         .turns_pictures = p.exif == vitrail::ExifPolicy::apply,
                         .source = p.source,
                         .json = vitrail::json_text(vitrail::to_json(p))};
  });
}

std::vector<Origin> Model::origins() const {
  return of(*this, [](const vitrail::Model& m) {
    std::vector<Origin> origins;
    for (const vitrail::Provenance& source : m.info.sources)
      origins.push_back({.field = source.field, .value = source.value, .source = source.source});
    return origins;
  });
}

std::vector<Note> Model::notes() const {
  return of(*this, [](const vitrail::Model& m) {
    std::vector<Note> notes;
    for (vitrail::ModelNote& note : vitrail::notes_of(m))
      notes.push_back({.level = note.warning ? LogLevel::warning : LogLevel::note,
                       .text = std::move(note.text)});
    return notes;
  });
}

}  // namespace vit
