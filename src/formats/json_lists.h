// Large JSON files that are an object of lists, such as COCO's {"images": [...], "annotations":
// [...]}: one element after another is a tree, and the file as a whole never is one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "formats/json.h"

namespace vitrail {

inline constexpr uint64_t kMaxJsonListBytes = uint64_t{4} << 30;
// Of a single element: the outline of a crowd in a picture has some thousands of numbers.
inline constexpr JsonLimits kListElement{.depth = 32, .values = 200'000};

// By a list's name, who is told its elements, in the file's order.
using JsonListReaders = std::map<std::string, std::function<void(const Json&)>, std::less<>>;

// Which of the lists the file has. Members of other names are passed over. Error: as parse_json, no
// object, one of the names twice, or what it names is no list; what a reader throws.
std::set<std::string> read_json_lists(const std::filesystem::path& path,
                                      const JsonListReaders& readers);
// The same of text in memory.
std::set<std::string> parse_json_lists(std::string_view text, const std::string& place,
                                       const JsonListReaders& readers);

}  // namespace vitrail
