// stdin, stdout and stderr as a program may find them: closed, full, or a pipe that nobody reads.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

namespace vitrail::cli {

// To be called first. A stream that is closed gets a file of its own, so that no file of a run
// takes its number and its words: stderr's are dropped, and writing to stdout or reading stdin
// fails. A pipe that nobody reads any more (SIGPIPE) and a file beyond the limit of `ulimit -f`
// (SIGXFSZ) become errors of what writes there, which say so in a line, instead of the end of the
// program.
void prepare_standard_streams();

// stderr that takes nothing is no reason to end a run: what cannot be written is dropped.
void write_stderr(const std::string& text) noexcept;

template <typename... Args>
void print_stderr(fmt::format_string<Args...> format, Args&&... args) {
  write_stderr(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace vitrail::cli
