// vitrail bench NAME --profile: where the time of a pass goes.
#include "infer/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "apps/cli/bench.h"
#include "apps/cli/standard_streams.h"
#include "kernels/peak.h"

namespace vitrail::cli {
namespace {

// Operations a second that the machine can do, for each precision that the model runs in.
using Peaks = std::map<Precision, double>;

Peaks peaks_of(Session& session, const Profile& profile) {
  Peaks peaks;
  for (const ProfileRow& row : profile.layers)
    if (row.multiply_adds > 0 && !peaks.contains(row.precision))
      peaks[row.precision] = kernels::peak_operations(session.queue(), row.precision);
  return peaks;
}

double operations_per_second(const ProfileRow& row) {
  return static_cast<double>(2 * row.multiply_adds) / row.seconds;
}

// "blocks.3.attn" and "attention": what the path alone does not say.
std::string name_of_row(const ProfileRow& row) {
  const bool said = row.operation == "linear" || row.operation == "layer_norm";
  if (row.path.empty() || said) return row.path.empty() ? row.operation : row.path;
  return fmt::format("{} ({})", row.path, row.operation);
}

void print_rows(const char* title, const std::vector<ProfileRow>& rows, const Profile& profile,
                const Peaks& peaks) {
  size_t width = 10;
  for (const ProfileRow& row : rows) width = std::max(width, name_of_row(row).size());
  print_stdout("\n  {:<{}}  {:>5} {:>9} {:>7} {:>9} {:>8}\n", title, width, "calls", "ms", "share",
               "GFLOP/s", "of peak");
  for (const ProfileRow& row : rows) {
    print_stdout("  {:<{}}  {:>5} {:>9.3f} {:>6.1f}%", name_of_row(row), width, row.calls,
                 row.seconds * 1e3, 100 * row.seconds / profile.seconds);
    if (row.multiply_adds > 0)
      print_stdout(" {:>9.1f} {:>7.1f}%", operations_per_second(row) * 1e-9,
                   100 * operations_per_second(row) / peaks.at(row.precision));
    print_stdout("\n");
  }
  print_stdout("  {:<{}}  {:>5} {:>9.3f} {:>6.1f}%\n", "the whole", width, "",
               profile.seconds * 1e3, 100.0);
}

nlohmann::ordered_json rows_json(const std::vector<ProfileRow>& rows, const Profile& profile,
                                 const Peaks& peaks) {
  auto list = nlohmann::ordered_json::array();
  for (const ProfileRow& row : rows) {
    nlohmann::ordered_json entry;
    entry["path"] = row.path;
    entry["operation"] = row.operation;
    entry["calls"] = row.calls;
    entry["milliseconds"] = row.seconds * 1e3;
    entry["share"] = row.seconds / profile.seconds;
    if (row.multiply_adds > 0) {
      entry["precision"] = name_of(row.precision);
      entry["multiply_adds"] = row.multiply_adds;
      entry["gflops"] = operations_per_second(row) * 1e-9;
      entry["share_of_peak"] = operations_per_second(row) / peaks.at(row.precision);
    }
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace

void bench_profile(Session& session, const Tensor& images, int runs, nlohmann::ordered_json* json) {
  const Profile profile = vitrail::profile(session, images, runs);
  const Peaks peaks = peaks_of(session, profile);
  if (json == nullptr) {
    print_rows("layer", profile.layers, profile, peaks);
    print_rows("all together", profile.kinds, profile, peaks);
    return;
  }
  auto& part = (*json)["profile"];
  part["passes"] = profile.passes;
  part["milliseconds"] = profile.seconds * 1e3;
  for (const auto& [precision, rate] : peaks)
    part[fmt::format("{}_peak_gflops", name_of(precision))] = rate * 1e-9;
  part["layers"] = rows_json(profile.layers, profile, peaks);
  part["kinds"] = rows_json(profile.kinds, profile, peaks);
}

}  // namespace vitrail::cli
