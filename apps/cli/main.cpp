// The vitrail command: finds the verb and turns every failure into one line and an exit status.
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <string>

#include "apps/cli/command_text.h"
#include "apps/cli/common.h"
#include "apps/cli/failure.h"
#include "apps/cli/progress.h"
#include "apps/cli/standard_streams.h"
#include "apps/cli/verbs.h"
#include "core/advice.h"
#include "core/error.h"
#include "core/log.h"

namespace vitrail::cli {
namespace {

constexpr int kFailed = 1;
constexpr int kBadUsage = 2;

int complain(const std::string& message, int status) {
  std::string line = message;
  for (char& c : line)
    if (c == '\n' || c == '\r') c = ' ';
  print_stderr("vitrail: {}\n", line);
  return status;
}

void add_verbs(CLI::App& app) {
  add_classify(app);
  add_embed(app);
  add_explain(app);
  add_train(app);
  add_finetune(app);
  add_eval(app);
  add_calibrate(app);
  add_report(app);
  add_inspect(app);
  add_doctor(app);
  add_convert(app);
  add_data(app);
  add_models(app);
  add_pull(app);
  add_quantize(app);
  add_bench(app);
  add_help(app);
  add_completions(app);
  add_man(app);
  add_version(app);
  for (CLI::App* verb : app.last_verbs())
    verb->add_flag_callback("-q,--quiet", be_quiet,
                            "results and errors alone: no progress, no notes, no warnings");
}

// Where to read on: "; see build/release/vitrail data get --help".
std::string see_help(const CLI::App& app) {
  const std::string verb = app.parsed_verb();
  return fmt::format("; see {} {}--help", program_name(), verb.empty() ? "" : verb + " ");
}

int run(int argc, char** argv) {
  CLI::App app("Vitrail runs, trains and explains Vision Transformers.", "vitrail");
  app.set_version_flag("--version", kVersionText);
  app.require_subcommand(1);
  app.footer("Help on a verb, with an example: vitrail help VERB");
  add_verbs(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return complain(fmt::format("[usage] {}{}", error.what(), see_help(app)), kBadUsage);
  } catch (const BadUsage& error) {
    return complain(error.what() + see_help(app), kBadUsage);
  } catch (const Failed&) {
    return kFailed;
  }
  return 0;
}

}  // namespace
}  // namespace vitrail::cli

int main(int argc, char** argv) {
  using namespace vitrail;
  set_speaker(Speaker::command);
  cli::prepare_standard_streams();
  cli::remember_command(argc, argv);
  set_log_handler([](LogLevel level, const std::string& message) {
    if (cli::quiet()) return;
    cli::print_stderr("vitrail: {}: {}\n", level == LogLevel::warning ? "warning" : "note",
                      message);
  });
  int status = 1;
  try {
    status = cli::run(argc, argv);
  } catch (...) {
    status = cli::complain(cli::failure_message(std::current_exception()), 1);
  }
  // Results that did not reach their file (a full disk) are no success.
  if ((std::fflush(stdout) != 0 || std::ferror(stdout) != 0) && status == 0)
    status = cli::complain("[output] standard output cannot be written", 1);
  return status;
}
