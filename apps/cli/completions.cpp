// vitrail completions: what a shell completes, made of the verbs themselves.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "apps/cli/common.h"
#include "apps/cli/standard_streams.h"
#include "apps/cli/verb_list.h"
#include "apps/cli/verbs.h"
#include "core/atomic_file.h"
#include "fetch/published_data.h"
#include "train/run/presets.h"

namespace vitrail::cli {
namespace {

namespace fs = std::filesystem;
using CLI::OptionDescription;
using CLI::VerbDescription;

struct CompletionArguments {
  std::string shell, out;
};

std::string replaced(std::string text, char from, const std::string& to) {
  std::string result;
  for (const char c : text) result += c == from ? to : std::string(1, c);
  return result;
}

std::string shell_quoted(const std::string& text) {
  return "'" + replaced(text, '\'', "'\\''") + "'";
}

// Those that others stand below: the program itself, and "data".
std::vector<const VerbDescription*> groups_of(const VerbDescription& verb) {
  if (verb.verbs.empty()) return {};
  std::vector<const VerbDescription*> groups{&verb};
  for (const VerbDescription& below : verb.verbs)
    for (const VerbDescription* group : groups_of(below)) groups.push_back(group);
  return groups;
}

std::string last_word(const std::string& name) {
  return name.substr(name.rfind(' ') + 1);
}

std::vector<std::string> names_of(const std::vector<VerbDescription>& verbs) {
  std::vector<std::string> names;
  for (const VerbDescription& verb : verbs) names.push_back(last_word(verb.name));
  return names;
}

std::vector<std::string> flags_of(const VerbDescription& verb) {
  std::vector<std::string> flags;
  for (const OptionDescription& option : verb.options)
    std::ranges::copy_if(option.names, std::back_inserter(flags),
                         [](const std::string& name) { return name.starts_with('-'); });
  return flags;
}

// The values that an option takes, or some that one may want; empty: anything, files first.
std::vector<std::string> values_of(const VerbDescription& program, const VerbDescription& verb,
                                   const OptionDescription& option) {
  if (!option.words.empty()) return option.words;
  std::vector<std::string> values;
  if (option.names.front() == "--preset")
    for (const auto& [name, preset] : presets()) values.push_back(name);
  if (verb.name == "data get" && option.positional)
    for (const PublishedDataset& set : published_datasets()) values.push_back(set.name);
  if (verb.name == "help" && option.positional) values = names_of(program.verbs);
  return values;
}

std::string bash(const VerbDescription& program) {
  std::string choices, values;
  for (const VerbDescription* group : groups_of(program))
    choices += fmt::format("    {}) words={} ;;\n", shell_quoted(group->name),
                           shell_quoted(fmt::format("{}", fmt::join(names_of(group->verbs), " "))));
  for (const VerbDescription* verb : last_verbs(program)) {
    std::string positional;
    for (const OptionDescription& option : verb->options) {
      const std::vector<std::string> some = values_of(program, *verb, option);
      const std::string joined = shell_quoted(fmt::format("{}", fmt::join(some, " ")));
      if (option.positional) positional = some.empty() ? "" : fmt::format(" || words={}", joined);
      if (option.value.empty()) continue;
      for (const std::string& name : option.names)
        if (name.starts_with('-'))
          values += fmt::format("    '{} {}') words={}; takes=1 ;;\n", verb->name, name, joined);
    }
    choices +=
        fmt::format("    {}) [[ $word == -* ]] && words={}{} ;;\n", shell_quoted(verb->name),
                    shell_quoted(fmt::format("{}", fmt::join(flags_of(*verb), " "))), positional);
  }
  return fmt::format(R"(# Completion of vitrail for bash, written by: vitrail completions bash
_vitrail() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} verb='' words='' takes='' i
  for ((i = 1; i < COMP_CWORD; ++i)); do
    [[ ${{COMP_WORDS[i]}} == -* ]] && continue
    verb+="${{verb:+ }}${{COMP_WORDS[i]}}"
    [[ $verb == data ]] || break
  done
  case "$verb $before" in
{}  esac
  [[ $takes ]] || case $verb in
{}  esac
  COMPREPLY=()
  if [[ $words ]]; then mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word"); fi
}}
complete -o default -F _vitrail vitrail
)",
                     values, choices);
}

// What stands in the brackets of zsh's _arguments.
std::string zsh_text(const std::string& text) {
  return replaced(replaced(replaced(replaced(text, '\\', "\\\\"), '[', "\\["), ']', "\\]"), ':',
                  "\\:");
}

std::string zsh_arguments(const VerbDescription& program, const VerbDescription& verb) {
  std::string text = "_arguments";
  for (const OptionDescription& option : verb.options) {
    const std::vector<std::string> some = values_of(program, verb, option);
    const std::string action = some.empty() ? "_files" : fmt::format("({})", fmt::join(some, " "));
    const std::string value =
        option.value.empty() ? "" : fmt::format(":{}:{}", option.value, action);
    if (option.positional)
      text += " " + shell_quoted(fmt::format("{}:{}:{}", option.repeats ? "*" : "",
                                             option.names.back(), action));
    for (const std::string& name : option.names)
      if (name.starts_with('-'))
        text += " " + shell_quoted(fmt::format("{}{}[{}]{}", option.repeats ? "*" : "", name,
                                               zsh_text(option.description), value));
  }
  return text;
}

std::string zsh_choice(const VerbDescription& group, const std::string& indent) {
  std::string verbs;
  for (const VerbDescription& verb : group.verbs)
    verbs += " " + shell_quoted(last_word(verb.name) + ":" + zsh_text(verb.description));
  return fmt::format(
      "{0}if ((CURRENT == 2)); then\n{0}  local -a verbs=({1})\n{0}  _describe verb verbs\n"
      "{0}  return\n{0}fi\n{0}shift words\n{0}((CURRENT--))\n",
      indent, verbs);
}

std::string zsh_cases(const VerbDescription& program, const VerbDescription& group,
                      const std::string& indent) {
  std::string text = zsh_choice(group, indent) + indent + "case $words[1] in\n";
  for (const VerbDescription& verb : group.verbs) {
    const std::string body = verb.verbs.empty()
                                 ? indent + "    " + zsh_arguments(program, verb) + "\n"
                                 : zsh_cases(program, verb, indent + "    ");
    text += fmt::format("{0}  {1})\n{2}{0}    ;;\n", indent, last_word(verb.name), body);
  }
  return text + indent + "esac\n";
}

std::string zsh(const VerbDescription& program) {
  return "#compdef vitrail\n# Completion of vitrail for zsh, written by: vitrail completions zsh\n"
         "_vitrail() {\n" +
         zsh_cases(program, program, "  ") + "}\n_vitrail \"$@\"\n";
}

std::string fish(const VerbDescription& program) {
  std::string text = "# Completion of vitrail for fish, written by: vitrail completions fish\n";
  for (const VerbDescription* group : groups_of(program))
    for (const VerbDescription& verb : group->verbs) {
      const std::string when =
          group->name.empty()
              ? "__fish_use_subcommand"
              : fmt::format(
                    "__fish_seen_subcommand_from {}; and not __fish_seen_subcommand_from {}",
                    group->name, fmt::join(names_of(group->verbs), " "));
      text += fmt::format("complete -c vitrail -f -n {} -a {} -d {}\n", shell_quoted(when),
                          last_word(verb.name), shell_quoted(verb.description));
    }
  for (const VerbDescription* verb : last_verbs(program)) {
    const size_t split = verb->name.find(' ');
    std::string when = "__fish_seen_subcommand_from " + verb->name.substr(0, split);
    if (split != std::string::npos)
      when += "; and __fish_seen_subcommand_from " + verb->name.substr(split + 1);
    for (const OptionDescription& option : verb->options) {
      std::string line = "complete -c vitrail -n " + shell_quoted(when);
      for (const std::string& name : option.names)
        if (name.starts_with("--"))
          line += " -l " + name.substr(2);
        else if (name.starts_with('-'))
          line += " -s " + name.substr(1);
      const std::vector<std::string> some = values_of(program, *verb, option);
      const bool flag = option.names.front().starts_with('-');
      if (!flag && some.empty()) continue;
      if (flag && !option.value.empty()) line += " -r";
      if (!some.empty()) line += " -f -a " + shell_quoted(fmt::format("{}", fmt::join(some, " ")));
      text += line + " -d " + shell_quoted(option.description) + "\n";
    }
  }
  return text;
}

struct Shell {
  const char* name;
  std::string (*script)(const VerbDescription&);
  const char* place;  // below share/, where the shell looks
};
constexpr Shell kShells[] = {{"bash", bash, "bash-completion/completions/vitrail"},
                             {"zsh", zsh, "zsh/site-functions/_vitrail"},
                             {"fish", fish, "fish/vendor_completions.d/vitrail.fish"}};

void complete(const CLI::App& app, const CompletionArguments& arguments) {
  if (arguments.shell.empty() == arguments.out.empty())
    throw BadUsage("name a shell, or with --out a folder for the scripts of all");
  const VerbDescription program = app.described();
  for (const Shell& shell : kShells) {
    if (!arguments.out.empty()) {
      const fs::path path = fs::path(arguments.out) / shell.place;
      fs::create_directories(path.parent_path());
      write_file_atomically(path, shell.script(program));
    } else if (arguments.shell == shell.name) {
      write_stdout(shell.script(program));
    }
  }
}

}  // namespace

void add_completions(CLI::App& app) {
  auto arguments = std::make_shared<CompletionArguments>();
  CLI::App* verb = app.add_subcommand("completions", "Print what makes a shell complete vitrail");
  verb->add_option("shell", arguments->shell, "bash, zsh or fish")
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  verb->add_option("--out", arguments->out,
                   "write those of all shells below this folder, as below a prefix's share/");
  set_example(*verb, "vitrail completions bash > vitrail.bash");
  verb->callback([&app, arguments] { complete(app, *arguments); });
}

}  // namespace vitrail::cli
