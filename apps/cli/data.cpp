// vitrail data: what there is to do with data sets.
#include "apps/cli/data_verbs.h"
#include "apps/cli/verbs.h"

namespace vitrail::cli {

void add_data(CLI::App& app) {
  CLI::App* verb =
      app.add_subcommand("data", "Render scenes; describe, preview or fetch a data set");
  verb->require_subcommand(1);
  set_example(*verb, "vitrail data render --out scene.png");
  add_data_render(*verb);
  add_data_describe(*verb);
  add_data_preview(*verb);
  add_data_get(*verb);
}

}  // namespace vitrail::cli
