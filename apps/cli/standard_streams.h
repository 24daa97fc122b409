// stdin, stdout and stderr as a program may find them: closed, full, or a pipe that nobody reads.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <type_traits>

#include "core/printable.h"

namespace vitrail::cli {

// To be called first. A stream that is closed gets a file of its own, so that no file of a run
// takes its number and its words: stderr's are dropped, and writing to stdout or reading stdin
// fails. A pipe that nobody reads any more (SIGPIPE) and a file beyond the limit of `ulimit -f`
// (SIGXFSZ) become errors of what writes there, which say so in a line, instead of the end of the
// program.
void prepare_standard_streams();

// stderr that takes nothing is no reason to end a run: what cannot be written is dropped.
void write_stderr(const std::string& text) noexcept;

// Error: it takes nothing.
void write_stdout(const std::string& text);

// What is printed of an argument: text, which a stranger may have written, on one line and without
// what a terminal obeys.
template <typename T>
auto shown(const T& value) {
  if constexpr (std::is_convertible_v<const T&, std::string_view>)
    return printable_line(std::string_view(value));
  else
    return value;
}

// The format is ours and stays as it is; the arguments go through shown(). Every line for people
// that the command prints is printed by one of these two, whatever it quotes.
template <typename... Args>
void print_stderr(fmt::format_string<const Args&...> format, const Args&... args) {
  [&](const auto&... parts) {
    write_stderr(fmt::vformat(fmt::string_view(format), fmt::make_format_args(parts...)));
  }(shown(args)...);
}
template <typename... Args>
void print_stdout(fmt::format_string<const Args&...> format, const Args&... args) {
  [&](const auto&... parts) {
    write_stdout(fmt::vformat(fmt::string_view(format), fmt::make_format_args(parts...)));
  }(shown(args)...);
}

}  // namespace vitrail::cli
