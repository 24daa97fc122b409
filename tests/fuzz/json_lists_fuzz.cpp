// Any text as a large file of lists: the elements are those of the tree that parse_json makes of
// it, where it makes one.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "core/error.h"
#include "formats/json.h"
#include "formats/json_lists.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using vitrail::Json;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Json images = Json::array(), annotations = Json::array();
  std::set<std::string> found;
  try {
    found = vitrail::parse_json_lists(
        text, "fuzz",
        {{"images", [&](const Json& element) { images.push_back(element); }},
         {"annotations", [&](const Json& element) { annotations.push_back(element); }}});
  } catch (const vitrail::Error&) {
    return 0;
  }
  const std::optional<Json> whole = vitrail::try_parse_json(text);
  if (!whole) return 0;  // lists are read deeper and longer than trees
  if (!whole->is_object()) std::abort();
  if (found.contains("images") != whole->contains("images")) std::abort();
  if (found.contains("images") && images != whole->at("images")) std::abort();
  if (found.contains("annotations") && annotations != whole->at("annotations")) std::abort();
  return 0;
}
