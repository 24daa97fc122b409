#include "nn/position/relative.h"

#include <algorithm>
#include <array>
#include <vector>

#include "core/error.h"
#include "ops/elementwise.h"
#include "ops/interpolate.h"
#include "ops/matmul.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

// The offsets that `source` entries of one axis stand for, when they are to cover `target` of them:
// 0, then distances of 1, 1 + q, 1 + q + q^2 ..., q such that the last reaches the border.
std::vector<double> geometric_offsets(int64_t source, int64_t target) {
  const auto sum = [source](double q) {
    double total = 0, power = 1;
    for (int64_t i = 0; i < source / 2; ++i, power *= q) total += power;
    return total;
  };
  double left = 1.01, right = 1.5, q = left;
  while (right - left > 1e-6) {
    q = (left + right) / 2;
    (sum(q) > static_cast<double>(target / 2) ? right : left) = q;
  }
  std::vector<double> positive;
  double at = 1, power = q;
  for (int64_t i = 0; i < source / 2; ++i, power *= q) {
    positive.push_back(at);
    at += power;
  }
  std::vector<double> out;
  for (auto it = positive.rbegin(); it != positive.rend(); ++it) out.push_back(-*it);
  out.push_back(0);
  out.insert(out.end(), positive.begin(), positive.end());
  return out;
}

// Between which two of the points x lies, and the share of the second; ends are not passed.
struct Between {
  int64_t low, high;
  double share;
};
Between between(const std::vector<double>& points, double x) {
  const auto last = static_cast<int64_t>(points.size()) - 1;
  const auto found = std::lower_bound(points.begin(), points.end(), x) - points.begin();
  const int64_t high = std::min<int64_t>(found, last), low = std::max<int64_t>(high - 1, 0);
  const double from_low = std::max(0.0, x - points[low]), to_high = std::max(0.0, points[high] - x);
  return {low, high, from_low + to_high > 0 ? from_low / (from_low + to_high) : 0.5};
}

struct TableSize {
  int64_t height, width;  // entries
  int64_t entries() const { return height * width; }
};
TableSize table_size(int64_t grid_height, int64_t grid_width) {
  return {2 * grid_height - 1, 2 * grid_width - 1};
}

// [target, source]: what each offset of the target's axis takes of the source's entries.
Tensor geometric_shares(int64_t source, int64_t target) {
  const std::vector<double> points = geometric_offsets(source, target);
  Tensor shares = Tensor::zeros({target, source});
  for (int64_t i = 0; i < target; ++i) {
    const Between at = between(points, static_cast<double>(i - target / 2));
    shares.f32()[i * source + at.low] += static_cast<float>(1 - at.share);
    shares.f32()[i * source + at.high] += static_cast<float>(at.share);
  }
  return shares;
}

// Rows first, then columns: two products, so that the table's gradient follows.
Variable geometric(const Context& context, const Variable& table, const TableSize& from,
                   const TableSize& to) {
  const int64_t heads = table.size(1);
  const Variable rows = matmul(context, Variable(geometric_shares(from.height, to.height)),
                               reshape(context, table, {from.height, from.width * heads}));
  const Variable both = matmul(context, Variable(geometric_shares(from.width, to.width)),
                               reshape(context, rows, {to.height, from.width, heads}));
  return reshape(context, both, {to.entries(), heads});
}

Variable resize_entries(const Context& context, const Variable& table,
                        const RelativePositionConfig& config, int64_t grid_height,
                        int64_t grid_width) {
  const TableSize from = table_size(config.grid_height, config.grid_width);
  const TableSize to = table_size(grid_height, grid_width);
  const int64_t entries = table.size(0), heads = table.size(1);
  check(config.resize != RelativeResize::refused, "position",
        "relative positions of a grid of {}x{} do not fit one of {}x{}", config.grid_height,
        config.grid_width, grid_height, grid_width);
  Variable offsets = slice(context, table, 0, 0, from.entries());
  if (config.resize == RelativeResize::geometric) {
    offsets = geometric(context, offsets, from, to);
  } else {
    offsets = interpolate_tokens(
        context, reshape(context, offsets, {1, from.entries(), heads}),
        {.mode = config.resize == RelativeResize::bilinear ? kernels::InterpolateMode::bilinear
                                                           : kernels::InterpolateMode::bicubic,
         .in_height = from.height,
         .in_width = from.width,
         .out_height = to.height,
         .out_width = to.width});
    offsets = reshape(context, offsets, {to.entries(), heads});
  }
  if (entries == from.entries()) return offsets;
  const std::array parts{offsets, slice(context, table, 0, from.entries(), entries)};
  return concatenate(context, parts, 0);
}

}  // namespace

RelativePositions::RelativePositions(const Scope& scope, const RelativePositionConfig& config)
    : config_(config),
      table_(scope.parameter("relative_position_bias_table",
                             {table_size(config.grid_height, config.grid_width).entries() +
                                  (config.prefix > 0 && config.prefix_has_entries ? 3 : 0),
                              config.num_heads},
                             Initializer::truncated_normal(0.02), ParameterRole::Kind::position)) {}

Variable RelativePositions::resized(const Context& context, const TokenLayout& layout) const {
  return resize_entries(context, table_.variable(), config_, layout.grid_height, layout.grid_width);
}

void RelativePositions::describe(const Context& context, const TokenLayout& layout,
                                 int64_t /*block*/, AttentionOptions* options) const {
  check(layout.prefix() == config_.prefix, "position",
        "relative positions with {} tokens before the patches do not fit {}", config_.prefix,
        layout.prefix());
  RelativeBias& relative = options->relative;
  relative.index = *indices_.get(layout, [&] {
    return relative_grid(layout.grid_height, layout.grid_width, config_.prefix,
                         config_.prefix_has_entries);
  });
  const Variable own = entries(context, layout);
  relative.table = relative.table.defined() ? add(context, relative.table, own) : own;
}

Variable RelativePositions::entries(const Context& context, const TokenLayout& layout) const {
  if (layout.grid_height == config_.grid_height && layout.grid_width == config_.grid_width)
    return table_.variable();
  if (context.tape != nullptr) return resized(context, layout);
  const std::string key =
      "grid." + std::to_string(layout.grid_height) + "x" + std::to_string(layout.grid_width);
  return *table_.derived<Tensor>(key,
                                 [&](const Tensor&) { return resized(context, layout).value(); });
}

Tensor resize_relative_table(Queue& queue, const Tensor& table, const RelativePositionConfig& from,
                             int64_t grid_height, int64_t grid_width) {
  return resize_entries(Context(queue), table, from, grid_height, grid_width).value();
}

}  // namespace vitrail
