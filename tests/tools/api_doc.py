#!/usr/bin/env python3
"""Holds docs/API.md to include/vitrail, and makes programs of the page's examples.

  api_doc.py names INCLUDE_DIR DOC      fails when a public name does not occur in the page
  api_doc.py programs DOC OUT_DIR       writes each block of C++ as OUT_DIR/doc_N.cpp, as a program

Public names are types, enumerators, functions and members. Of each header the comments are left
out; in what remains a declaration ends at ';', '{' or '}'.
"""
import pathlib
import re
import sys
import textwrap

PRELUDE = """#include <vitrail/vitrail.h>

#include <cstdint>
#include <fstream>
#include <iostream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

int main() try {
"""
ENDING = """  return 0;
} catch (const vit::Error& error) {
  std::cerr << error.what() << "\\n";
  return 1;
}
"""
KEYWORDS = {"operator", "default", "delete", "noexcept", "explicit", "const", "override", "return",
            "decltype", "sizeof", "if", "throw", "private", "public", "void", "attribute",
            "defined", "visibility", "requires"}


def without_comments(text):
    text = re.sub(r"//[^\n]*", "", text)
    return re.sub(r"^\s*#[^\n]*(\\\n[^\n]*)*", "", text, flags=re.M)


def declarations(text):
    """Without what holds no name that a program writes: comments, private parts, bodies of
    functions, default arguments."""
    text = re.sub(r"private:.*?\n};", "};", without_comments(text), flags=re.S)
    text = re.sub(r"= \{\}", "", text)
    while True:
        shorter = re.sub(r"\{[^{}]*\breturn\b[^{}]*\}", ";", text)
        if shorter == text:
            return text
        text = shorter


def public_names(text):
    text = declarations(text)
    names = set(re.findall(r"\b(?:class|struct|enum class)\s+(?:VITRAIL_API\s+)?(\w+)", text))
    for body in re.findall(r"enum class \w+[^{;]*\{([^}]*)\}", text):
        names.update(re.findall(r"(?:^|,)\s*(\w+)", body))
    names.update(re.findall(r"\busing (\w+) =", text))
    # Functions: a name before '(' that follows its type.
    names.update(re.findall(r"[\w>&*]\s+[&*]*(\w+)\([^;{]*\)[^;{()]*[;{]", text))
    # Members: a name before ';', '=' or a list of initialisers, after a type.
    for line in re.findall(r"^\s*(?:[\w:<>,&*\s()]+?)[\s&*](\w+(?:\s*=\s*[^,;()]+)?"
                           r"(?:,\s*\w+\s*=\s*[^,;()]+)*)\s*;", text, flags=re.M):
        names.update(re.split(r"\s*=\s*", part.strip())[0] for part in line.split(","))
    return {name for name in names if name not in KEYWORDS and not name[0].isdigit()}


def names_of(include):
    names = {}
    for header in sorted(pathlib.Path(include).glob("*.h")):
        if header.name == "export.h":
            continue  # marks what is exported; no name for programs
        for name in public_names(header.read_text()):
            names.setdefault(name, header.name)
    return names


def check_names(include, doc):
    page = pathlib.Path(doc).read_text()
    words = set(re.findall(r"\w+", page))
    missing = [f"{header}: {name}" for name, header in sorted(names_of(include).items())
               if name not in words]
    for line in missing:
        print(f"docs/API.md does not name {line}")
    return 1 if missing else 0


def blocks(doc):
    return re.findall(r"^```cpp\n(.*?)^```$", pathlib.Path(doc).read_text(), flags=re.S | re.M)


def write_programs(doc, out):
    found = blocks(doc)
    if not found:
        print("docs/API.md has no block of C++")
        return 1
    for number, block in enumerate(found, 1):
        program = block if "int main" in block else PRELUDE + textwrap.indent(block, "  ") + ENDING
        (pathlib.Path(out) / f"doc_{number}.cpp").write_text(program)
    print(f"{len(found)} programs of docs/API.md")
    return 0


if __name__ == "__main__":
    verb, first, second = sys.argv[1:4]
    sys.exit(check_names(first, second) if verb == "names" else write_programs(first, second))
