#include "models/transfer.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "nn/position/relative.h"
#include "nn/position_embedding.h"

namespace vitrail {

bool is_head(const Parameter& parameter) {
  return parameter.role().in(ParameterPlace::Section::head);
}

namespace {

struct Grid {
  int64_t height = 0, width = 0;
  bool operator==(const Grid&) const = default;
};

Grid picture_grid(const VitConfig& c) {
  return {c.grid_height(c.image_height), c.grid_width(c.image_width)};
}
Grid table_grid(const VitConfig& c) {
  if (c.position.grid_height > 0) return {c.position.grid_height, c.position.grid_width};
  return picture_grid(c);
}

// A table that is added to tokens has three axes, one by relative position two; what has others is
// of no grid (rotary frequencies).
bool is_of_grid(const Tensor& positions) {
  return positions.rank() == 3 || positions.rank() == 2;
}

Tensor resized_positions(const Tensor& table, const VitConfig& from, const Grid& to) {
  const Grid grid = table_grid(from);
  if (table.rank() == 2) {
    Queue queue;
    return resize_relative_table(queue, table,
                                 {.num_heads = from.block.attention.num_heads,
                                  .grid_height = grid.height,
                                  .grid_width = grid.width,
                                  .resize = from.relative.table.resize},
                                 to.height, to.width);
  }
  ParameterRegistry registry;
  const PositionEmbedding position(Scope(registry), {.kind = from.position.kind,
                                                     .embed_dim = from.embed_dim,
                                                     .prefix = from.position.prefix,
                                                     .grid_height = grid.height,
                                                     .grid_width = grid.width,
                                                     .resize = from.position.resize});
  registry.at("pos_embed").set_value(table);
  Queue queue;
  const Context context(queue);
  return position.table(context, {.grid_height = to.height, .grid_width = to.width}).value();
}

std::string list_of(const std::vector<std::string>& names) {
  constexpr size_t kListed = 4;
  const auto end = names.begin() + static_cast<std::ptrdiff_t>(std::min(kListed, names.size()));
  std::string text = fmt::format("{}", fmt::join(names.begin(), end, ", "));
  if (names.size() > kListed) text += fmt::format(" and {} more", names.size() - kListed);
  return text;
}

}  // namespace

std::string TransferReport::summary() const {
  std::string text = fmt::format("{} weights loaded", loaded);
  if (!resized.empty()) text += "; resized: " + list_of(resized);
  if (!fresh.empty()) text += "; new: " + list_of(fresh);
  if (!left_out.empty()) text += "; left out: " + list_of(left_out);
  return text;
}

NetworkConfig transfer_config(const Checkpoint& checkpoint, const TransferOptions& options) {
  check(options.classes.size() >= (options.multi_label ? 1 : 2), "transfer",
        "{} classes are too few to tell apart", options.classes.size());
  NetworkConfig config = checkpoint.info.config;
  config.set_class_answer({.classes = static_cast<int64_t>(options.classes.size()),
                           .meaning = options.multi_label ? Answer::sigmoid : Answer::softmax,
                           .multi_label = options.multi_label});
  config.set_drop_path(options.drop_path);
  config.fit_positions();
  return config;
}

TransferReport load_for_transfer(Network& model, const Checkpoint& checkpoint,
                                 const TransferOptions& options) {
  const NetworkConfig& config = checkpoint.info.config;
  const bool same_classes = config.class_answer().classes == model.class_answer().classes &&
                            checkpoint.info.labels == options.classes;
  // Networks of other types stretch what was learned for another size as they run.
  const auto* from = config.get_if<VitConfig>();
  const Grid before = from == nullptr ? Grid() : table_grid(*from);
  const Grid after = from == nullptr ? Grid() : picture_grid(*from);
  TransferReport report;
  for (const auto& parameter : model.parameters().all()) {
    const std::string& path = parameter->path();
    if (is_head(*parameter) && !same_classes) {
      model.parameters().initialise(options.seed, *parameter);
      report.fresh.push_back(path);
      continue;
    }
    Tensor value = checkpoint.tensors->tensor(path).to(DType::f32);
    if (parameter->role().kind == ParameterRole::Kind::position && before != after &&
        is_of_grid(value)) {
      value = resized_positions(value, *from, after);
      report.resized.push_back(fmt::format("{} from {}x{} to {}x{}", path, before.height,
                                           before.width, after.height, after.width));
    } else {
      ++report.loaded;
    }
    parameter->set_value(value.clone());  // what is shared is read-only
  }
  for (const std::string& name : checkpoint.tensors->names())
    if (std::ranges::find(report.fresh, name) != report.fresh.end())
      report.left_out.push_back(name);
  return report;
}

void freeze_all_but_last(Network& model, int64_t blocks) {
  using Section = ParameterPlace::Section;
  const int64_t first = static_cast<int64_t>(model.backbone().blocks().size()) - blocks;
  for (const auto& parameter : model.parameters().all()) {
    const ParameterPlace& place = parameter->role().place;
    parameter->set_trainable(place.section == Section::block ? place.block >= first
                                                             : place.section != Section::stem);
  }
}

}  // namespace vitrail
