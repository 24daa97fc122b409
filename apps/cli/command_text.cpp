#include "apps/cli/command_text.h"

#include <algorithm>

#include "core/shell_word.h"

namespace vitrail::cli {
namespace {

std::vector<std::string>& typed() {
  static std::vector<std::string> words{"vitrail"};
  return words;
}

}  // namespace

void remember_command(int argc, const char* const* argv) {
  if (argc > 0) typed().assign(argv, argv + argc);
}

std::string program_name() {
  return shell_word(typed().front());
}

std::string command_again(const std::vector<std::pair<std::string, std::string>>& changes) {
  std::string command = program_name();
  const std::vector<std::string>& words = typed();
  for (size_t i = 1; i < words.size(); ++i) {
    const auto changed = std::ranges::find_if(changes, [&](const auto& change) {
      return words[i] == change.first || words[i].starts_with(change.first + "=");
    });
    if (changed == changes.end())
      command += " " + shell_word(words[i]);
    else if (words[i] == changed->first && !changed->second.empty())
      ++i;  // its value
  }
  for (const auto& [flag, value] : changes)
    command += " " + flag + (value.empty() ? "" : " " + shell_word(value));
  return command;
}

}  // namespace vitrail::cli
