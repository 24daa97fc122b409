// AttentionProbe: exact attention maps beside the fused kernel.
//
// The fused kernel never stores P. It leaves the log-sum-exp of each row, from which any row of any
// head is exp(scale * q k^T + bias - lse): O(N d) a row, no second forward pass. A probe asks for
// rows while the model runs (cheap in memory: nothing else is kept), or keeps q, k, v and lse so
// that rows can be asked for afterwards.
//
// Where a layer attends in windows, B counts samples times windows, sample by sample, and tokens
// are those of a window: AttentionWindows::place_of() says where a token of the picture is.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/queue.h"
#include "core/tensor.h"
#include "kernels/attention.h"

namespace vitrail {

// One attention layer, as it ran.
struct AttentionRecord {
  std::string path;              // "blocks.3.attn"
  Tensor rows;                   // [B, H, rows asked for, Nk]; undefined when none were asked for
  Tensor lse;                    // [B, H, Nq]; undefined where heads are mixed
  kernels::AttentionArgs args;   // q, k, v point into `operands`
  std::vector<Tensor> operands;  // empty unless kept
  Tensor output_gradient;        // dO [samples, N, H*e], when kept and a backward pass ran
  bool kept() const { return !operands.empty(); }
};

class AttentionProbe {
 public:
  struct Request {
    std::vector<std::string> paths;  // of attention layers; empty: every layer
    std::vector<int64_t> queries;    // rows to compute while the model runs
    bool all_queries = false;        // every row: O(N^2) memory, for small pictures and tests
    bool keep = false;               // keep q, k, v and lse for row(), and dO for gradients
  };
  explicit AttentionProbe(Request request) : request_(std::move(request)) {}

  const std::vector<AttentionRecord>& records() const { return records_; }
  // Error: no such layer was recorded; the message lists those that were.
  const AttentionRecord& record(const std::string& path) const;
  void clear() { records_.clear(); }

  // Exact rows of a kept layer: [B, H, queries, Nk]. Error: not kept, or a query out of range.
  Tensor rows(Queue& queue, const std::string& path, const std::vector<int64_t>& queries) const;
  // d(loss)/dP for those rows: dO v^T, [B, H, queries, Nk]. Error: no backward pass ran.
  Tensor row_gradients(Queue& queue, const std::string& path,
                       const std::vector<int64_t>& queries) const;

  // For the attention operation.
  bool wants(const std::string& path) const;
  bool keeps() const { return request_.keep; }
  void add(Queue& queue, const std::string& path, const kernels::AttentionArgs& args,
           std::vector<Tensor> operands, Tensor lse);
  void add_output_gradient(const std::string& path, Tensor gradient);

 private:
  Request request_;
  std::vector<AttentionRecord> records_;
};

}  // namespace vitrail
