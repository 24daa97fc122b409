// The parts of `vitrail data`, a file each.
#pragma once

#include "apps/cli/common.h"

namespace vitrail::cli {

void add_data_render(CLI::App& data);
void add_data_describe(CLI::App& data);
void add_data_preview(CLI::App& data);

}  // namespace vitrail::cli
