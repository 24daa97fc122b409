#include "apps/cli/run_display.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "apps/cli/standard_streams.h"
#include "core/error.h"
#include "core/log.h"
#include "report/run_report.h"

namespace vitrail::cli {

std::filesystem::path report_path(const std::filesystem::path& run) {
  return run / "report.html";
}

RunDisplay::RunDisplay(RunOptions& options) : options_(options) {
  options.on_step = [this](const TrainProgress& progress) {
    if (speaks()) show_step(progress);
  };
  options.on_epoch = [this](const EpochReport& report) {
    // The last epoch's page comes with its pictures.
    if (speaks() && report.epoch + 1 < report.epochs) write_page(false, true);
  };
  options.on_message = [this](const std::string& line) {
    if (!speaks()) return;
    begun_ = true;
    clear();
    if (!quiet()) print_stderr("{}\n", line);
  };
}

bool RunDisplay::speaks() const {
  return options_.exchange == nullptr || options_.exchange->rank() == 0;
}

void RunDisplay::show_step(const TrainProgress& p) {
  const double share =
      static_cast<double>(p.batch) / static_cast<double>(std::max<int64_t>(1, p.batches));
  line_.show(static_cast<double>(p.epoch) + share, [&](bool terminal) {
    const std::string place =
        terminal ? bar_text(share, 24)
                 : fmt::format("step {}/{} ({:.0f}%)", p.batch, p.batches, 100 * share);
    // A method without labels answers nothing.
    const std::string accuracy =
        p.accuracy > 0 ? fmt::format("accuracy {:.1f}%  ", 100 * p.accuracy) : "";
    return fmt::format("epoch {}/{} {}  loss {:.4f}  {}{:.0f} pictures/s  {} left", p.epoch + 1,
                       p.epochs, place, p.loss, accuracy, p.pictures_per_second,
                       clock_text(p.seconds_left));
  });
}

void RunDisplay::finish(bool pictures, const RunData* data) {
  clear();
  if (begun_) write_page(pictures, false, data);
}

void RunDisplay::write_page(bool pictures, bool running, const RunData* data) {
  std::optional<Progress> progress;
  RunReportOptions options{
      .pictures = pictures, .opened = data, .threads = options_.threads, .running = running};
  options.progress = [&](int64_t done, int64_t total) {
    // The page then says that it lacks them.
    if (options_.stop && options_.stop())
      fail(ErrorCode::cancelled, "stop", "asked to stop before the model was judged");
    if (!progress) progress.emplace("report", total);
    progress->update(done);
  };
  try {
    write_run_report(options_.out, report_path(options_.out), options);
  } catch (const Error& error) {
    clear();
    progress.reset();
    log_warning(fmt::format("the report is missing: {}", error.what()));
  }
}

}  // namespace vitrail::cli
