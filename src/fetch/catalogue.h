// The models that Vitrail knows by a name of its own: what they know, what they weigh, under which
// licence, and from which repository of a Hugging Face hub they come. `vitrail models` prints it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail {

struct CatalogueModel {
  std::string_view name;        // what --model takes
  std::string_view knows;       // for people
  int64_t classes;              // of its head; 0: features alone
  int64_t weights;              // numbers, f32 in the file
  std::string_view licence;     // SPDX
  std::string_view repository;  // OWNER/NAME; empty: it comes with Vitrail, in models/NAME
  std::string_view revision;    // branch, tag or commit; empty with an empty repository
  std::string_view pictures;    // how pictures are prepared, as the checkpoint itself says

  bool bundled() const { return repository.empty(); }
  // Of the weights in the file; its header and config.json add some ten thousand.
  uint64_t bytes() const { return 4 * static_cast<uint64_t>(weights); }
  // What a hub is asked for: "OWNER/NAME", and "@REVISION" where that is not main.
  std::string hub_name() const;
};

// In the order in which they are shown: the default first, the bundled ones last.
std::span<const CatalogueModel> catalogue();
const CatalogueModel* find_catalogued(std::string_view name);  // null: not there
std::vector<std::string> catalogue_names();

// What is taken where --model names none.
const CatalogueModel& default_model();

}  // namespace vitrail
