#include "ops/attention_probe.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"

namespace vitrail {
namespace {

Tensor compute_rows(Queue& queue, const kernels::AttentionArgs& args, const Tensor& lse,
                    const std::vector<int64_t>& queries) {
  for (const int64_t query : queries)
    check(query >= 0 && query < args.shape.queries, "attention probe",
          "token {} is outside the {} of this layer", query, args.shape.queries);
  const auto count = static_cast<int64_t>(queries.size());
  Tensor rows = Tensor::empty({args.shape.batch, args.shape.heads, count, args.shape.keys});
  kernels::attention_rows(
      queue, args,
      {.queries = queries.data(), .count = count, .lse = lse.f32(), .rows = rows.f32()});
  return rows;
}

}  // namespace

bool AttentionProbe::wants(const std::string& path) const {
  return request_.paths.empty() || std::ranges::find(request_.paths, path) != request_.paths.end();
}

void AttentionProbe::add(Queue& queue, const std::string& path, const kernels::AttentionArgs& args,
                         std::vector<Tensor> operands, Tensor lse) {
  AttentionRecord record{.path = path,
                         .rows = {},
                         .lse = std::move(lse),
                         .args = args,
                         .operands = {},
                         .output_gradient = {}};
  std::vector<int64_t> queries = request_.queries;
  if (request_.all_queries) {
    queries.resize(static_cast<size_t>(args.shape.queries));
    std::iota(queries.begin(), queries.end(), int64_t{0});
  }
  if (!queries.empty()) record.rows = compute_rows(queue, args, record.lse, queries);
  if (request_.keep) record.operands = std::move(operands);
  records_.push_back(std::move(record));
}

const AttentionRecord& AttentionProbe::record(const std::string& path) const {
  const auto found = std::ranges::find(records_, path, &AttentionRecord::path);
  if (found == records_.end()) {
    std::string known;
    for (const AttentionRecord& record : records_)
      known += (known.empty() ? "" : ", ") + record.path;
    fail("attention probe", "layer '{}' was not recorded; there are: {}", path, known);
  }
  return *found;
}

void AttentionProbe::add_output_gradient(const std::string& path, Tensor gradient) {
  const auto found = std::ranges::find(records_, path, &AttentionRecord::path);
  if (found != records_.end()) found->output_gradient = std::move(gradient);
}

Tensor AttentionProbe::rows(Queue& queue, const std::string& path,
                            const std::vector<int64_t>& queries) const {
  const AttentionRecord& layer = record(path);
  check(layer.kept(), "attention probe", "{} was not kept: ask for it with keep", path);
  return compute_rows(queue, layer.args, layer.lse, queries);
}

Tensor AttentionProbe::row_gradients(Queue& queue, const std::string& path,
                                     const std::vector<int64_t>& queries) const {
  const AttentionRecord& layer = record(path);
  const kernels::AttentionShape& shape = layer.args.shape;
  check(layer.kept() && layer.output_gradient.defined(), "attention probe",
        "{} has no gradient: keep it and run a backward pass first", path);
  const auto count = static_cast<int64_t>(queries.size());
  Tensor rows = Tensor::empty({shape.batch, shape.heads, count, shape.keys});
  const int64_t dim = shape.value_dim(), width = shape.heads * dim;
  kernels::attention_row_gradients(
      queue, layer.args,
      {.data = layer.output_gradient.f32(),
       .stride = {layer.output_gradient.size(1) * width, dim, width}},
      {.queries = queries.data(), .count = count, .lse = layer.lse.f32(), .rows = rows.f32()});
  return rows;
}

}  // namespace vitrail
