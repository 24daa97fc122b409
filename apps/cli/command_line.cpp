#include "apps/cli/command_line.h"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <utility>

namespace vitrail::cli::CLI {

namespace cli11 = ::CLI;

template <class Number>
Validator Range(Number least, Number most) {
  return {[=](cli11::Option& option) { option.check(cli11::Range(least, most)); }};
}
template Validator Range(int, int);
template Validator Range(int64_t, int64_t);
template Validator Range(double, double);

Validator IsMember(std::initializer_list<std::string_view> words) {
  return {[words = std::vector<std::string>(words.begin(), words.end())](cli11::Option& option) {
    option.check(cli11::IsMember(words));
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
    throw ParseError(error.what(), error.get_exit_code(), std::current_exception());
  }
}

int App::exit(const ParseError& error) const {
  try {
    std::rethrow_exception(error.original());
  } catch (const cli11::ParseError& original) {
    return app_->exit(original);
  }
}

}  // namespace vitrail::cli::CLI
