// The verbs of the vitrail command, one file each. add_* registers the verb with its options; the
// work is done in the subcommand's callback, which throws vitrail::Error or returns.
#pragma once

#include "apps/cli/command_line.h"

namespace vitrail::cli {

inline constexpr const char* kVersionText = "vitrail " VITRAIL_VERSION;

void add_calibrate(CLI::App& app);
void add_classify(CLI::App& app);
void add_embed(CLI::App& app);
void add_explain(CLI::App& app);
void add_train(CLI::App& app);
void add_finetune(CLI::App& app);
void add_eval(CLI::App& app);
void add_report(CLI::App& app);
void add_inspect(CLI::App& app);
void add_doctor(CLI::App& app);
void add_convert(CLI::App& app);
void add_data(CLI::App& app);
void add_data_get(CLI::App& data);  // data get, registered by add_data
void add_models(CLI::App& app);
void add_pull(CLI::App& app);
void add_quantize(CLI::App& app);
void add_bench(CLI::App& app);
// What these say is made of the verbs that are there.
void add_help(CLI::App& app);
void add_completions(CLI::App& app);
void add_man(CLI::App& app);
void add_version(CLI::App& app);

}  // namespace vitrail::cli
