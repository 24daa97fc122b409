// Commands that a person is advised to type: with every word quoted for a shell, so that they run
// as they are printed.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/shell_word.h"

namespace vitrail::cli {

// To be called first: what command_again() and program_name() speak of.
void remember_command(int argc, const char* const* argv);

// How the program was called: "build/release/vitrail".
std::string program_name();

// The command of this process once more. Each flag of `changes` is left out where it stands and
// comes last with its new value; an empty value is a flag that takes none.
std::string command_again(const std::vector<std::pair<std::string, std::string>>& changes);

}  // namespace vitrail::cli
