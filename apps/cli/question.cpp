#include "apps/cli/question.h"

#include <unistd.h>

#include <cctype>
#include <iostream>

#include "apps/cli/standard_streams.h"

namespace vitrail::cli {

bool can_ask() {
  return ::isatty(STDIN_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1;
}

bool ask(const std::string& question) {
  for (std::string answer;;) {
    print_stderr("{} [Y/n] ", question);
    if (!std::getline(std::cin, answer)) {
      print_stderr("\n");
      return false;
    }
    for (char& c : answer) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (answer.empty() || answer == "y" || answer == "yes") return true;
    if (answer == "n" || answer == "no") return false;
  }
}

}  // namespace vitrail::cli
