// vitrail report: the page of a training run.
#include <fmt/format.h>

#include "apps/cli/common.h"
#include "apps/cli/run_display.h"
#include "apps/cli/standard_streams.h"
#include "apps/cli/verbs.h"
#include "report/run_report.h"

namespace vitrail::cli {
namespace {

struct ReportArguments {
  std::string run, out, data;
  int64_t limit = 0;
  int threads = 0;
  bool records_only = false, json = false;
};

void report_run(const ReportArguments& arguments) {
  const std::filesystem::path page =
      arguments.out.empty() ? report_path(arguments.run) : std::filesystem::path(arguments.out);
  RunReportOptions options{.pictures = !arguments.records_only,
                           .data = arguments.data.empty() ? "" : data_spec(arguments.data),
                           .limit = arguments.limit,
                           .threads = arguments.threads};
  {
    std::optional<Progress> progress;
    options.progress = [&](int64_t done, int64_t total) {
      if (!progress) progress.emplace("report", total);
      progress->update(done);
    };
    write_run_report(arguments.run, page, options);
  }
  if (arguments.json) return print_json({{"run", arguments.run}, {"page", page.string()}});
  print_stdout("{}\n", page.string());
}

}  // namespace

void add_report(CLI::App& app) {
  auto arguments = std::make_shared<ReportArguments>();
  CLI::App* verb = app.add_subcommand("report", "Write the page of a training run");
  verb->add_option("run", arguments->run, "folder of the run")->required();
  verb->add_option("--out", arguments->out, "the page (default: report.html in the run's folder)");
  add_data_option(*verb, arguments->data, "--data",
                  "where the run's pictures are now, when they were moved");
  verb->add_option("--limit", arguments->limit, "judge only the first so many pictures")
      ->check(CLI::PositiveNumber);
  verb->add_flag("--records-only", arguments->records_only,
                 "curves and configuration alone: no model is run, no picture read");
  verb->add_option("--threads", arguments->threads, "0: all cores")->check(CLI::Range(0, 1024));
  add_strict_option(*verb);
  verb->add_flag("--json", arguments->json, "print where the page is as one JSON object");
  set_example(*verb, "vitrail report runs/mine --out mine.html");
  verb->callback([arguments] { report_run(*arguments); });
}

}  // namespace vitrail::cli
