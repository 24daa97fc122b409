// Yes or no, asked of the person at the terminal.
#pragma once

#include <string>

namespace vitrail::cli {

// Whether stdin and stderr are a terminal, so that somebody could be asked.
bool can_ask();

// Prints the question on stderr with " [Y/n] " behind it and waits for a line. An empty line is
// yes; the end of the input is no.
bool ask(const std::string& question);

}  // namespace vitrail::cli
