#include "infer/profile.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "core/error.h"

namespace vitrail {
namespace {

struct Pass {
  double seconds = 0;
  std::vector<Timings::Entry> entries;
};

Pass timed_pass(Session& session, const Tensor& images) {
  Timings timings;
  const auto start = Timings::Clock::now();
  session.run(images, {.timings = &timings});
  const std::chrono::duration<double> seconds = Timings::Clock::now() - start;
  return {.seconds = seconds.count(), .entries = timings.entries()};
}

// A layer's name from its parameter's: what --set and a precision plan call it.
std::string layer_of(const std::string& path) {
  for (const char* parameter : {".weight", ".gamma"})
    if (path.ends_with(parameter)) return path.substr(0, path.rfind('.'));
  return path;
}

// The same layer of any of the network's blocks: "blocks.3.attn" is one of "blocks.*.attn".
std::string kind_of(const std::string& path, const std::vector<BlockPlace>& blocks) {
  for (const auto& [block, stage] : blocks)
    if (path == block || path.starts_with(block + "."))
      return block.substr(0, block.rfind('.')) + ".*" + path.substr(block.size());
  return path;
}

// Adds to the row of the same path, operation and precision, or begins one.
void add(std::vector<ProfileRow>& rows, const ProfileRow& row) {
  const auto same = std::find_if(rows.begin(), rows.end(), [&](const ProfileRow& other) {
    return other.path == row.path && other.operation == row.operation &&
           other.precision == row.precision;
  });
  if (same == rows.end()) return rows.push_back(row);
  same->calls += row.calls;
  same->multiply_adds += row.multiply_adds;
  same->seconds += row.seconds;
}

std::vector<ProfileRow> kinds_of(const std::vector<ProfileRow>& layers,
                                 const std::vector<BlockPlace>& blocks) {
  std::vector<ProfileRow> kinds;
  for (ProfileRow row : layers) {
    row.path = kind_of(row.path, blocks);
    add(kinds, row);
  }
  std::stable_sort(kinds.begin(), kinds.end(),
                   [](const ProfileRow& a, const ProfileRow& b) { return a.seconds > b.seconds; });
  return kinds;
}

}  // namespace

Profile profile(Session& session, const Tensor& images, int runs) {
  check(runs >= 1, "profile", "runs is {}; it must be at least 1", runs);
  timed_pass(session, images);
  std::vector<Pass> passes;
  for (int i = 0; i < runs; ++i) passes.push_back(timed_pass(session, images));
  std::sort(passes.begin(), passes.end(),
            [](const Pass& a, const Pass& b) { return a.seconds < b.seconds; });
  passes.resize((passes.size() + 1) / 2);

  Profile result{.passes = static_cast<int>(passes.size())};
  const double share = 1.0 / result.passes;
  // Every pass runs the same operations in the same order.
  for (size_t i = 0; i < passes[0].entries.size(); ++i) {
    const Timings::Entry& entry = passes[0].entries[i];
    const double seconds = std::accumulate(
        passes.begin(), passes.end(), 0.0,
        [&](double sum, const Pass& pass) { return sum + pass.entries[i].seconds; });
    add(result.layers, {.path = layer_of(entry.path),
                        .operation = entry.operation,
                        .precision = entry.precision,
                        .calls = 1,
                        .multiply_adds = entry.multiply_adds,
                        .seconds = seconds * share});
  }
  for (const Pass& pass : passes) result.seconds += pass.seconds * share;
  const double named =
      std::accumulate(result.layers.begin(), result.layers.end(), 0.0,
                      [](double sum, const ProfileRow& row) { return sum + row.seconds; });
  result.layers.push_back({.operation = kBetween, .calls = 1, .seconds = result.seconds - named});
  result.kinds = kinds_of(result.layers, session.model().network->backbone().blocks());
  return result;
}

}  // namespace vitrail
