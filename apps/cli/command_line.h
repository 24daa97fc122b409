// The part of CLI11 that the verbs use, under its names. CLI11 lives in its headers, and its
// classes are compiled again in every file that includes them, which takes seconds:
// command_line.cpp alone does.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace vitrail::cli::CLI {

// Says what is wrong with an argument; empty: nothing.
using Check = std::function<std::string(const std::string&)>;

// What Option::check() takes beside a Check.
struct Validator {
  std::function<void(::CLI::Option&)> add_to;
};
template <class Number>
Validator Range(Number least, Number most);
Validator IsMember(std::initializer_list<std::string_view> words);
extern const Validator PositiveNumber, NonNegativeNumber;

class Option {
 public:
  explicit Option(::CLI::Option* option) : option_(option) {}
  Option* required();
  Option* capture_default_str();  // the help shows the value that the target has now
  Option* allow_extra_args(bool allow);
  Option* group(const std::string& name);
  Option* excludes(Option* other);
  Option* check(const Validator& validator);
  Option* check(const Check& check);

 private:
  ::CLI::Option* option_;
};

// --help, --version, or arguments that are not understood: what() names the nearest verb or flag
// where one was mistyped.
class ParseError : public std::runtime_error {
 public:
  ParseError(const std::string& message, int exit_code, std::exception_ptr original)
      : std::runtime_error(message), exit_code_(exit_code), original_(std::move(original)) {}
  int get_exit_code() const { return exit_code_; }  // 0: --help or --version
  const std::exception_ptr& original() const { return original_; }

 private:
  int exit_code_;
  std::exception_ptr original_;
};

struct OptionDescription {
  std::vector<std::string> names;  // "--output", "--out"; a positional argument's own comes last
  std::string description;
  std::string value;               // "TEXT", "INT", ...; empty: a flag, which takes none
  std::vector<std::string> words;  // the only values that it takes, where they are few
  std::string default_value;       // empty: none, or the description says it
  bool positional = false, required = false, repeats = false;
};
struct VerbDescription {
  std::string name;  // "data get"; of the program itself ""
  std::string description, footer;
  std::vector<OptionDescription> options;
  std::vector<VerbDescription> verbs;  // "data" has some
};

class App {
 public:
  App(const std::string& description, const std::string& name);
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // What is added stays where it is as long as the program's App.
  App* add_subcommand(const std::string& name, const std::string& description);
  // T: bool (a word such as "true" follows), int, int64_t, double, std::string, optionals and
  // vectors of them, as command_line.cpp lists them.
  template <class T>
  Option* add_option(const std::string& name, T& target, const std::string& description = "");
  Option* add_flag(const std::string& name, bool& target, const std::string& description = "");
  // `given` is called while the arguments are read, before the verb's callback.
  Option* add_flag_callback(const std::string& name, std::function<void()> given,
                            const std::string& description);
  void set_version_flag(const std::string& name, const std::string& version);
  void require_subcommand(int count);
  void footer(const std::string& text);
  void callback(std::function<void()> work);
  size_t count(const std::string& option) const;  // how often it was given

  // Error: ParseError, and what the verb's callback throws.
  void parse(int argc, const char* const* argv);
  int exit(const ParseError& error) const;  // prints what was asked for; the exit status

  // The verb of the arguments that were parsed: "data get", "" where there was none.
  std::string parsed_verb() const;
  // This App's verbs that have none below them.
  std::vector<App*> last_verbs();
  VerbDescription described() const;
  // The help of a verb, {"data", "get"}, or of the program, {}. Error: ParseError, no such verb.
  std::string help(const std::vector<std::string>& verb) const;

 private:
  explicit App(::CLI::App* command);
  Option* keep(::CLI::Option* option);

  std::unique_ptr<::CLI::App> own_;
  ::CLI::App* app_;
  std::vector<std::unique_ptr<App>> commands_;
  std::vector<std::unique_ptr<Option>> options_;
};

}  // namespace vitrail::cli::CLI
