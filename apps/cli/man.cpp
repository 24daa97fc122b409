// vitrail man: manual pages, made of the verbs themselves.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "apps/cli/common.h"
#include "apps/cli/standard_streams.h"
#include "apps/cli/verb_list.h"
#include "apps/cli/verbs.h"
#include "core/atomic_file.h"
#include "core/nearest.h"

namespace vitrail::cli {
namespace {

namespace fs = std::filesystem;
using CLI::OptionDescription;
using CLI::VerbDescription;

struct ManArguments {
  std::vector<std::string> verb;
  std::string out;
};

// Text as troff takes it: hyphens are typed ones, and no line begins with a request.
std::string roff(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\\') {
      result += "\\e";
    } else if (c == '-') {
      result += "\\-";
    } else {
      if ((c == '.' || c == '\'') && (result.empty() || result.back() == '\n')) result += "\\&";
      result += c;
    }
  }
  return result;
}

// "data get": "vitrail-data-get"; "" is the program.
std::string page_name(const std::string& verb) {
  std::string name = verb.empty() ? "vitrail" : "vitrail-" + verb;
  std::ranges::replace(name, ' ', '-');
  return name;
}

std::string heading(const std::string& verb, const std::string& description) {
  std::string title = page_name(verb);
  const std::string name = title;
  std::ranges::transform(title, title.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return fmt::format(".TH \"{}\" 1 \"\" \"{}\" \"Vitrail\"\n.SH NAME\n{} \\- {}\n", roff(title),
                     kVersionText, roff(name), roff(description));
}

std::string option_text(const OptionDescription& option) {
  std::string names;
  for (const std::string& name : option.names)
    names += (names.empty() ? "" : ", ") + ("\\fB" + roff(name) + "\\fR");
  if (!option.value.empty() && option.names.front().starts_with('-'))
    names += " \\fI" + roff(option.value) + "\\fR";
  std::string words;
  for (const std::string& word : option.words) words += (words.empty() ? "" : ", ") + word;
  return fmt::format(".TP\n{}\n{}{}{}\n", names, roff(option.description),
                     words.empty() ? "" : roff(fmt::format(" [{}]", words)),
                     option.default_value.empty()
                         ? ""
                         : roff(fmt::format(" (default: {})", option.default_value)));
}

std::string exit_status() {
  return ".SH EXIT STATUS\n0 when all is done, 1 for a failure, 2 for arguments that are not "
         "understood.\n";
}

std::string verb_page(const VerbDescription& verb) {
  std::string synopsis = fmt::format(".SH SYNOPSIS\n\\fBvitrail {}\\fR [OPTIONS]", roff(verb.name));
  for (const OptionDescription& option : verb.options)
    if (option.positional)
      synopsis +=
          fmt::format(" \\fI{}\\fR{}", roff(option.names.back()), option.repeats ? "..." : "");
  std::string text = heading(verb.name, verb.description) + synopsis + "\n.SH OPTIONS\n";
  for (const OptionDescription& option : verb.options) text += option_text(option);
  std::string example = verb.footer;
  if (example.starts_with("Example:\n")) example.erase(0, 9);
  text += fmt::format(".SH EXAMPLE\n.nf\n{}\n.fi\n", roff(example));
  return text + exit_status() + ".SH SEE ALSO\n\\fBvitrail\\fR(1)\n";
}

std::string program_page(const VerbDescription& program,
                         const std::vector<const VerbDescription*>& verbs) {
  std::string text = heading("", program.description) +
                     ".SH SYNOPSIS\n\\fBvitrail\\fR VERB [OPTIONS]\n.SH VERBS\n";
  for (const VerbDescription* verb : verbs)
    text += fmt::format(".TP\n\\fB{}\\fR\n{}; see \\fB{}\\fR(1)\n", roff(verb->name),
                        roff(verb->description), roff(page_name(verb->name)));
  return text + exit_status();
}

void print_or_write(const CLI::App& app, const ManArguments& arguments) {
  const VerbDescription program = app.described();
  const std::vector<const VerbDescription*> verbs = last_verbs(program);
  if (!arguments.out.empty()) {
    if (!arguments.verb.empty()) throw BadUsage("--out takes the pages of all verbs");
    const fs::path folder = fs::path(arguments.out) / "man" / "man1";
    fs::create_directories(folder);
    write_file_atomically(folder / "vitrail.1", program_page(program, verbs));
    for (const VerbDescription* verb : verbs)
      write_file_atomically(folder / (page_name(verb->name) + ".1"), verb_page(*verb));
    return;
  }
  if (arguments.verb.empty()) return write_stdout(program_page(program, verbs));
  std::string name;
  for (const std::string& word : arguments.verb) name += (name.empty() ? "" : " ") + word;
  const auto found = std::ranges::find(verbs, name, [](const auto* verb) { return verb->name; });
  if (found != verbs.end()) return write_stdout(verb_page(**found));
  std::vector<std::string> names;
  for (const VerbDescription* verb : verbs) names.push_back(verb->name);
  throw BadUsage(fmt::format("there is no verb '{}'{}", name, did_you_mean_or_all(name, names)));
}

}  // namespace

void add_man(CLI::App& app) {
  auto arguments = std::make_shared<ManArguments>();
  CLI::App* verb = app.add_subcommand("man", "Print the manual page of a verb");
  verb->add_option("verb", arguments->verb, "such as classify, or data get (default: the program)");
  verb->add_option("--out", arguments->out,
                   "write all pages below this folder, as below a prefix's share/");
  set_example(*verb, "vitrail man classify | man -l -");
  verb->callback([&app, arguments] { print_or_write(app, *arguments); });
}

}  // namespace vitrail::cli
