// Words of commands that are printed to be typed.
#pragma once

#include <string>

namespace vitrail {

// A word as sh and bash read it back: quoted where it must be. Bytes that a terminal should not see
// become escapes in bash's form, $'\x1b'.
std::string shell_word(const std::string& word);

}  // namespace vitrail
