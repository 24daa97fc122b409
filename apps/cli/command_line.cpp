#include "apps/cli/command_line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "core/nearest.h"

namespace vitrail::cli::CLI {

namespace cli11 = ::CLI;

namespace {

std::vector<const cli11::App*> verbs_of(const cli11::App& app) {
  return app.get_subcommands([](const cli11::App*) { return true; });
}

std::vector<std::string> verb_names(const cli11::App& app) {
  std::vector<std::string> names;
  for (const cli11::App* verb : verbs_of(app)) names.push_back(verb->get_name());
  return names;
}

// "vitrail data" and "get": "data get".
std::string below(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + " " + name;
}

std::string no_such_verb(const std::string& path, const std::string& word,
                         const std::vector<std::string>& names) {
  return fmt::format("there is no verb '{}'{}", below(path, word),
                     did_you_mean_or_all(word, names));
}

std::string no_such_flag(const std::string& path, const std::string& word, const cli11::App& verb) {
  const std::string flag = word.substr(0, word.find('='));
  std::vector<std::string> names;
  for (const cli11::Option* option : verb.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  }
  return fmt::format("{} takes no {}{}", path.empty() ? "vitrail" : path, flag,
                     did_you_mean(flag, names));
}

// Of all that is wrong with the arguments, what a person would mend first: a verb, then a flag that
// there is not. `otherwise` is what CLI11 says, which looks for what is missing first.
std::string mistake(const cli11::App& app, const std::string& otherwise) {
  const cli11::App* at = &app;
  std::string path;
  while (true) {
    const std::vector<std::string> left = at->remaining();
    const std::vector<std::string> verbs = verb_names(*at);
    const auto is_flag = [](const std::string& word) {
      return word.size() > 1 && word.front() == '-';
    };
    const auto flag = std::ranges::find_if(left, is_flag);
    const auto word = std::ranges::find_if_not(left, is_flag);
    if (!verbs.empty() && word != left.end()) return no_such_verb(path, *word, verbs);
    if (flag != left.end()) return no_such_flag(path, *flag, *at);
    if (word != left.end()) return fmt::format("{} takes no further '{}'", path, *word);
    const std::vector<cli11::App*> parsed = at->get_subcommands();
    if (parsed.empty()) {
      if (verbs.empty()) return path.empty() ? otherwise : path + ": " + otherwise;
      return fmt::format("a verb is missing{}; there are {}", path.empty() ? "" : " after " + path,
                         fmt::join(verbs, ", "));
    }
    at = parsed.front();
    path = below(path, at->get_name());
  }
}

OptionDescription description_of(const cli11::Option& option) {
  OptionDescription described{.names = {},
                              .description = option.get_description(),
                              .value = "",
                              .words = {},
                              .default_value = option.get_default_str(),
                              .positional = option.get_positional(),
                              .required = option.get_required(),
                              .repeats = option.get_items_expected_max() > 1};
  for (const std::string& name : option.get_lnames()) described.names.push_back("--" + name);
  for (const std::string& name : option.get_snames()) described.names.push_back("-" + name);
  if (described.positional) described.names.push_back(option.get_name(true));
  if (option.get_items_expected_max() == 0) return described;
  // "TEXT:{apply,ignore}", "INT:INT in [0 - 1024]"
  const std::string type = option.get_type_name();
  described.value = type.substr(0, type.find(':'));
  const size_t open = type.find('{'), close = type.find('}');
  for (size_t at = open; at < close && close != std::string::npos;) {
    const size_t next = std::min(type.find(',', at + 1), close);
    described.words.push_back(type.substr(at + 1, next - at - 1));
    at = next;
  }
  return described;
}

VerbDescription description_of(const cli11::App& app, const std::string& path) {
  VerbDescription described{.name = path,
                            .description = app.get_description(),
                            .footer = app.get_footer(),
                            .options = {},
                            .verbs = {}};
  for (const cli11::Option* option : app.get_options())
    if (!option->get_group().empty()) described.options.push_back(description_of(*option));
  for (const cli11::App* verb : verbs_of(app))
    described.verbs.push_back(description_of(*verb, below(path, verb->get_name())));
  return described;
}

}  // namespace

template <class Number>
Validator Range(Number least, Number most) {
  return {[=](cli11::Option& option) { option.check(cli11::Range(least, most)); }};
}
template Validator Range(int, int);
template Validator Range(int64_t, int64_t);
template Validator Range(double, double);

Validator IsMember(std::initializer_list<std::string_view> words) {
  return {[words = std::vector<std::string>(words.begin(), words.end())](cli11::Option& option) {
    const auto wrong = [words](const std::string& text) {
      if (std::ranges::find(words, text) != words.end()) return std::string();
      return fmt::format("there is no '{}'{}", text, did_you_mean_or_all(text, words));
    };
    option.check(wrong, fmt::format("{{{}}}", fmt::join(words, ",")));
  }};
}

const Validator PositiveNumber{[](cli11::Option& option) { option.check(cli11::PositiveNumber); }};
const Validator NonNegativeNumber{
    [](cli11::Option& option) { option.check(cli11::NonNegativeNumber); }};

Option* Option::required() {
  option_->required();
  return this;
}

Option* Option::capture_default_str() {
  option_->capture_default_str();
  return this;
}

Option* Option::allow_extra_args(bool allow) {
  option_->allow_extra_args(allow);
  return this;
}

Option* Option::group(const std::string& name) {
  option_->group(name);
  return this;
}

Option* Option::excludes(Option* other) {
  option_->excludes(other->option_);
  return this;
}

Option* Option::check(const Validator& validator) {
  validator.add_to(*option_);
  return this;
}

Option* Option::check(const Check& check) {
  option_->check(check);
  return this;
}

App::App(const std::string& description, const std::string& name)
    : own_(std::make_unique<cli11::App>(description, name)), app_(own_.get()) {}
App::App(cli11::App* command) : app_(command) {}
App::~App() = default;

App* App::add_subcommand(const std::string& name, const std::string& description) {
  commands_.emplace_back(new App(app_->add_subcommand(name, description)));
  return commands_.back().get();
}

Option* App::keep(cli11::Option* option) {
  return options_.emplace_back(std::make_unique<Option>(option)).get();
}

template <class T>
Option* App::add_option(const std::string& name, T& target, const std::string& description) {
  return keep(app_->add_option(name, target, description));
}
template Option* App::add_option(const std::string&, bool&, const std::string&);
template Option* App::add_option(const std::string&, int&, const std::string&);
template Option* App::add_option(const std::string&, int64_t&, const std::string&);
template Option* App::add_option(const std::string&, uint64_t&, const std::string&);
template Option* App::add_option(const std::string&, double&, const std::string&);
template Option* App::add_option(const std::string&, std::string&, const std::string&);
template Option* App::add_option(const std::string&, std::vector<std::string>&, const std::string&);
template Option* App::add_option(const std::string&, std::optional<int>&, const std::string&);
template Option* App::add_option(const std::string&, std::optional<int64_t>&, const std::string&);
template Option* App::add_option(const std::string&, std::optional<double>&, const std::string&);
template Option* App::add_option(const std::string&, std::optional<std::string>&,
                                 const std::string&);

Option* App::add_flag(const std::string& name, bool& target, const std::string& description) {
  return keep(app_->add_flag(name, target, description));
}

Option* App::add_flag_callback(const std::string& name, std::function<void()> given,
                               const std::string& description) {
  return keep(app_->add_flag_callback(name, std::move(given), description));
}

void App::set_version_flag(const std::string& name, const std::string& version) {
  app_->set_version_flag(name, version);
}

void App::require_subcommand(int count) {
  app_->require_subcommand(count);
}

void App::footer(const std::string& text) {
  app_->footer(text);
}

void App::callback(std::function<void()> work) {
  app_->callback(std::move(work));
}

size_t App::count(const std::string& option) const {
  return app_->count(option);
}

void App::parse(int argc, const char* const* argv) {
  try {
    app_->parse(argc, argv);
  } catch (const cli11::ParseError& error) {
    const bool asked = error.get_exit_code() == 0;  // --help, --version
    throw ParseError(asked ? error.what() : mistake(*app_, error.what()), error.get_exit_code(),
                     std::current_exception());
  }
}

std::string App::parsed_verb() const {
  std::string path;
  for (const cli11::App* at = app_; !at->get_subcommands().empty();) {
    at = at->get_subcommands().front();
    path = below(path, at->get_name());
  }
  return path;
}

std::vector<App*> App::last_verbs() {
  std::vector<App*> verbs;
  for (const auto& command : commands_) {
    if (command->commands_.empty()) verbs.push_back(command.get());
    for (App* verb : command->last_verbs()) verbs.push_back(verb);
  }
  return verbs;
}

VerbDescription App::described() const {
  return description_of(*app_, "");
}

std::string App::help(const std::vector<std::string>& verb) const {
  const cli11::App* at = app_;
  std::string path;
  for (const std::string& word : verb) {
    const std::vector<const cli11::App*> verbs = verbs_of(*at);
    const auto found = std::ranges::find(verbs, word, &cli11::App::get_name);
    if (found == verbs.end())
      throw ParseError(no_such_verb(path, word, verb_names(*at)), 1, nullptr);
    at = *found;
    path = below(path, word);
  }
  const std::string name = path.empty() ? app_->get_name() : below(app_->get_name(), path);
  return app_->get_formatter()->make_help(at, name, cli11::AppFormatMode::Normal);
}

int App::exit(const ParseError& error) const {
  try {
    std::rethrow_exception(error.original());
  } catch (const cli11::ParseError& original) {
    return app_->exit(original);
  }
}

}  // namespace vitrail::cli::CLI
