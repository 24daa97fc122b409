// What a stranger wrote, made fit for a person's terminal: names of files, classes, labels and
// tensors, values of a configuration, words of a server.
//
// A terminal obeys what is printed to it. An escape sequence in a file's name clears the screen, a
// carriage return overwrites the line before, a line feed forges a second message, and a
// bidirectional mark shows "gpj.exe" as "exe.jpg". Every message and table that quotes a stranger's
// text passes it through here.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace vitrail {

constexpr size_t kMaxPrintable = 200;

// `text` on one line and at most `max_bytes` long, so much of it as is shown in valid UTF-8:
// - control characters (C0, DEL, C1), line and paragraph separators, bidirectional and invisible
//   marks become \n, \r, \t, \x1b or \u202e;
// - a byte that is not UTF-8 becomes \xe9;
// - what is cut away is counted: "abc… (100000 bytes)".
// Everything else stays as it is, letters of every script among them.
std::string printable(std::string_view text, size_t max_bytes = kMaxPrintable);

// A whole line or cell that may quote such text: as printable(), and of what is longer than some
// eight thousand bytes the middle is left out, so that the advice at the end of a message stays.
std::string printable_line(std::string_view text);

// JSON that means the same and that a terminal may show: the characters that printable() escapes
// are written \u202e. JSON's own escapes cover C0 alone.
std::string printable_json(std::string_view json);

}  // namespace vitrail
