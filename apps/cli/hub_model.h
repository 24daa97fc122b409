// --model: a path, a name of the catalogue, or a model of a hub, which is fetched when the cache
// lacks it; and what is taken where no --model is given.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "fetch/catalogue.h"
#include "fetch/hub.h"

namespace vitrail::cli {

struct ResolvedModel {
  std::string path = {};    // what load_model() takes
  std::string name = {};    // what the catalogue or the hub calls it; empty: it is of neither
  bool catalogued = false;  // its preprocessing and classes are known
  bool stands_in = false;   // bundled, because the default model is not to be had
};
// What exists as a file counts before the catalogue, and that before a hub's name. `architectures`:
// names that the verb takes besides, one of which a mistyped name may have meant.
ResolvedModel resolve_model(const std::string& model,
                            const std::vector<std::string>& architectures = {});

// What a verb may do without --model.
struct WithoutModel {
  bool yes = false;              // --yes: fetch the default model without asking
  bool may_ask = true;           // not where several processes run
  bool bundled_answers = false;  // where the default is not to be had, the bundled one stands in
};
// The default model, from the cache or fetched. Where it can be neither: the bundled model, with a
// sentence on what its answers are worth, or an Error that says what to do.
ResolvedModel resolve_default_model(const WithoutModel& without);

// OWNER/NAME[@REVISION] of what people call a model: of the catalogue, or that itself.
std::string hub_name_of(const std::string& name);
// "vit_tiny (timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k)": for people.
std::string described_model(const std::string& name);

// Shows how far the files of a pull are, a bar each.
std::function<void(const std::string& file, uint64_t done, uint64_t total)> download_progress();
// "22.9 MB": a size for people.
std::string human_bytes(uint64_t bytes);

}  // namespace vitrail::cli
