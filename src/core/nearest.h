// "did you mean ...?": the name that a mistyped word was most likely meant to be. Verbs, flags,
// fields and models all ask here.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace vitrail {

// The fewest insertions, deletions, replacements and swaps of neighbouring bytes that turn one word
// into the other, no byte being touched twice (Damerau 1964, in its form of optimal string
// alignment). Takes time in proportion to the product of the lengths.
size_t edit_distance(std::string_view a, std::string_view b);

// The name nearest to `word`, where one is near enough to be meant; of equally near ones the first.
// Upper and lower case are one, and so are '-' and '_'. Near enough is an edit for every three
// letters of the longer one, or to be the only name that begins with `word` (of at least two
// letters). Words of more than 64 bytes have none.
std::optional<std::string> nearest_name(std::string_view word, std::span<const std::string> names);

// The end of a message: "; did you mean 'classify'?", or "" where no name is near.
std::string did_you_mean(std::string_view word, std::span<const std::string> names);

// The same, and all names where none is near: "; there are a, b".
std::string did_you_mean_or_all(std::string_view word, std::span<const std::string> names);

}  // namespace vitrail
