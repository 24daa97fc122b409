#include "train/run/run_log.h"

#include <cmath>
#include <string_view>

#include "core/isa.h"
#include "core/machine.h"
#include "core/parallel.h"
#include "formats/json.h"
#include "formats/json_text.h"

namespace vitrail {
namespace {

// Where a line stands, or for the clock that TensorBoard has itself.
bool is_scalar(std::string_view name, const Json& value) {
  for (const std::string_view other : {"kind", "step", "epoch", "seconds", "pictures"})
    if (name == other) return false;
  return value.is_number() || value.is_null();
}

void collect(const std::string& group, const Json& object, std::vector<NamedScalar>& scalars) {
  for (const auto& [name, value] : object.items())
    if (is_scalar(name, value))
      scalars.push_back({group + "/" + name, value.is_null() ? NAN : value.get<double>()});
}

}  // namespace

std::vector<NamedScalar> scalars_of(const Json& line) {
  std::vector<NamedScalar> scalars;
  const auto found = line.find("kind");
  const std::string kind =
      found != line.end() && found->is_string() ? found->get<std::string>() : "";
  collect(kind == "step" ? "train" : kind, line, scalars);
  for (const auto& [name, value] : line.items())
    if (value.is_object()) collect(name, value, scalars);
  return scalars;
}

std::string isa_of_run(const std::filesystem::path& folder) {
  std::string isa;
  for_each_object(folder / "machine.jsonl", [&](const Json& line, std::string_view) {
    const auto found = line.find("isa");
    isa = found != line.end() && found->is_string() ? found->get<std::string>() : "";
  });
  return isa;
}

RunLog::RunLog(const std::filesystem::path& folder)
    : folder_(folder), metrics_(folder / "metrics.jsonl") {}

void RunLog::begin(const RunPosition& position) {
  cut_metrics(metrics_.path(), position.step, position.epochs);
  events_.clear();
  events_.emplace_back(folder_, position.step);
  // Readers drop everything from the position's step on: what was kept of that step comes again.
  for_each_object(metrics_.path(), [&](const Json& line, std::string_view) {
    if (line.value("step", Json()) == position.step)
      events_.back().add(position.step, scalars_of(line));
  });
}

void RunLog::machine(const RunPosition& position, Json more) const {
  Json line{{"step", position.step}, {"started", utc_time()},      {"host", host_name()},
            {"cpu", cpu_name()},     {"cores", available_cores()}, {"isa", active_isa()}};
  line.update(more);
  LineFile(folder_ / "machine.jsonl").append(json_text(line));
}

void RunLog::append(const Json& line) const {
  metrics_.append(json_text(line));
  const std::vector<NamedScalar> scalars = scalars_of(line);
  if (events_.empty() || scalars.empty()) return;
  events_.back().add(line.value("step", int64_t{0}), scalars);
}

void RunLog::picture(int64_t step, const std::string& tag, const Image& picture) const {
  if (!events_.empty()) events_.back().add(step, tag, picture);
}

}  // namespace vitrail
