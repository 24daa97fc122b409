#include "report/run_charts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <string_view>

namespace vitrail {
namespace {

using nlohmann::json;

struct KnownChart {
  std::string_view value, title, format;
  bool log_choice = false;  // offers a logarithmic scale
};
// In the order of the page.
constexpr std::array kKnown = {
    KnownChart{"loss", "Loss", "number", true},
    KnownChart{"accuracy", "Accuracy", "percent"},
    KnownChart{"learning_rate", "Learning rate", "number", true},
    KnownChart{"pictures_per_second", "Throughput", "pictures/s"},
    KnownChart{"gradient_norm", "Gradient norm", "number", true},
};

struct Series {
  std::string name;
  bool of_evaluation = false;
  std::vector<double> steps, values;
};

// Means of neighbours; a mean with a number that is not finite is not finite either, so that
// nothing is hidden.
Series thinned(const Series& series, size_t& group) {
  group = (series.values.size() + kChartPoints - 1) / kChartPoints;
  if (group <= 1) return series;
  Series thin{.name = series.name, .of_evaluation = series.of_evaluation};
  for (size_t begin = 0; begin < series.values.size(); begin += group) {
    const size_t end = std::min(begin + group, series.values.size());
    double sum = 0;
    for (size_t i = begin; i < end; ++i) sum += series.values[i];
    thin.steps.push_back(series.steps[end - 1]);
    thin.values.push_back(sum / static_cast<double>(end - begin));
  }
  return thin;
}

void take(Series& series, int64_t step, const Numbers& numbers, std::string_view value) {
  const auto found = numbers.find(std::string(value));
  if (found == numbers.end()) return;
  series.steps.push_back(static_cast<double>(step));
  series.values.push_back(found->second);
}

std::vector<Series> series_of(const RunRecord& record, std::string_view value) {
  std::vector<Series> all(1);
  all[0].name = "training";
  for (const RunLine& line : record.steps) take(all[0], line.step, line.values, value);
  // A run shorter than its log interval has epochs alone.
  Series by_epoch{.name = "training"};
  for (const RunLine& line : record.epochs) take(by_epoch, line.step, line.values, value);
  if (all[0].values.size() < 2 && by_epoch.values.size() > all[0].values.size())
    all[0] = std::move(by_epoch);
  std::set<std::string> sets;
  for (const RunLine& line : record.epochs)
    for (const auto& [set, numbers] : line.evaluations) sets.insert(set);
  for (const std::string& set : sets) {
    Series series{.name = set_title(set), .of_evaluation = true};
    for (const RunLine& line : record.epochs)
      if (const auto found = line.evaluations.find(set); found != line.evaluations.end())
        take(series, line.step, found->second, value);
    all.push_back(std::move(series));
  }
  std::erase_if(all, [](const Series& series) { return series.values.empty(); });
  return all;
}

json chart_of(const RunRecord& record, const KnownChart& chart) {
  json list = json::array();
  size_t largest = 1;
  bool anything = false;
  for (const Series& series : series_of(record, chart.value)) {
    size_t group = 1;
    const Series thin = thinned(series, group);
    largest = std::max(largest, group);
    anything = anything || std::ranges::any_of(thin.values, [](double v) { return v != 0; });
    list.push_back({{"name", thin.name},
                    {"evaluation", thin.of_evaluation},
                    {"steps", thin.steps},
                    {"values", thin.values}});
  }
  // A method without answers records an accuracy of 0 throughout.
  if (list.empty() || (chart.value == "accuracy" && !anything)) return nullptr;
  return {{"id", chart.value},       {"title", chart.title}, {"format", chart.format},
          {"log", chart.log_choice}, {"averaged", largest},  {"series", std::move(list)}};
}

}  // namespace

std::string set_title(const std::string& set) {
  return set == "val" ? "validation" : set;
}

json run_charts(const RunRecord& record) {
  std::vector<KnownChart> charts(kKnown.begin(), kKnown.end());
  std::set<std::string> others;
  for (const RunLine& line : record.steps)
    for (const auto& [name, value] : line.values)
      if (name != "seconds" && std::ranges::none_of(kKnown, [&](const KnownChart& known) {
            return known.value == name;
          }))
        others.insert(name);
  for (const std::string& name : others) charts.push_back({name, name, "number"});

  json list = json::array();
  for (const KnownChart& chart : charts)
    if (json data = chart_of(record, chart); !data.is_null()) list.push_back(std::move(data));
  json marks = json::array();
  for (const RunEvent& event : record.events)
    marks.push_back({{"step", event.step}, {"kind", event.kind}, {"text", event.text}});
  return {{"charts", std::move(list)},
          {"steps_per_epoch", record.steps_per_epoch},
          {"marks", std::move(marks)}};
}

}  // namespace vitrail
