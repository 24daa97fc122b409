#!/usr/bin/env python3
"""Holds the names of files' own to one meaning within a target.

Fresh trees compile several files of a target as one (VITRAIL_UNITY, cmake/Layer.cmake), and then
their anonymous namespaces are one, too. Fails when
- two files of a target have a type, a constant, a variable or a function with the same parameters
  of one name in anonymous namespaces,
- a file has a type, a constant or a variable there that a header of its layer, or of one below,
  declares in the same namespace.
Files that Highway compiles once per instruction set (hwy/foreach_target.h) stay alone.

usage: tools/check_file_names.py [ROOT]
"""
import collections
import pathlib
import re
import sys

import check_layers

NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'',
                   re.DOTALL)
DIRECTIVE = re.compile(r"^[ \t]*#(?:.*\\\n)*.*$", re.MULTILINE)
NAMESPACE = re.compile(r"(?:inline\s+)?namespace\s*([\w:]*)\s*$")
TYPE = re.compile(r"\b(?:struct|class|union|enum(?:\s+(?:class|struct))?)\s+(\w+)\s*(?:final\s*)?(?::[^:].*)?$",
                  re.DOTALL)
ENUM = re.compile(r"\benum\b(?!\s+(?:class|struct)\b)")
ALIAS = re.compile(r"using\s+(\w+)\s*=(.*)$", re.DOTALL)
TEMPLATE = re.compile(r"^\s*template\s*<")
FUNCTION = re.compile(r"([\w~]+|operator\W+)\s*\(")
LAST_NAME = re.compile(r"(\w+)\s*$")


def plain(text):
    """The text without comments, directives and what stands in quotes; as many lines."""
    def blank(match):
        return "\n" * match.group().count("\n") if match.group().startswith("/") else '""'
    return DIRECTIVE.sub("", NOISE.sub(blank, text))


def matching(text, start, pair="{}"):
    """Behind the bracket that closes the one at start."""
    depth = 0
    for index in range(start, len(text)):
        depth += (text[index] == pair[0]) - (text[index] == pair[1])
        if depth == 0:
            return index + 1
    return len(text)


def without_brackets(text):
    """The text outside of any bracket, and of template arguments."""
    kept, depth = [], 0
    for char in text:
        depth -= char in ")]}>"
        if depth <= 0:
            kept.append(char)
        depth += char in "([{<"
    return "".join(kept)


def parameter_types(text):
    """The parameters' types as one line: `const Shape& shape, int axis = 0` is `const Shape&,int`."""
    types, depth, current = [], 0, ""
    for char in text + ",":
        depth += (char in "(<[{") - (char in ")>]}")
        if char == "," and depth <= 0:
            declaration = current.split("=")[0].strip()
            named = re.match(r"(.*[\s&*>])(\w+)$", declaration, re.DOTALL)
            kind = named.group(1) if named and named.group(1).strip() not in ("const", "unsigned") else declaration
            if kind:
                types.append("".join(kind.split()))
            current = ""
        else:
            current += char
    return ",".join(types)


def declarations(text):
    """(head, body) of each declaration at the top of a namespace's text, with where it begins."""
    index, start = 0, 0
    while index < len(text):
        char = text[index]
        if char in "([":
            index = matching(text, index, "()" if char == "(" else "[]")
        elif char == "{":
            end = matching(text, index)
            head = text[start:index]
            # A value in braces, `kSize{124, 12}` or `= {...};`, goes on to its semicolon.
            is_value = "=" in without_brackets(head) or not (
                re.search(r"\)[\s\w]*(?:->.*)?$|\bnamespace\b|\b(?:struct|class|union|enum)\b", head))
            if is_value:
                index = end
                continue
            yield start, head, text[index + 1:end - 1]
            index = start = end
        elif char == ";":
            if text[start:index].strip():
                yield start, text[start:index], ""
            index += 1
            start = index
        else:
            index += 1


def names_of(head, body):
    """(name, meaning) of what a declaration declares; things of different meaning may share a name."""
    head = head.strip()
    while TEMPLATE.match(head):
        head = head[matching(head, head.index("<"), "<>"):].strip()
    if head.startswith(("friend", "static_assert", "using namespace", "template", "extern")):
        return
    alias = ALIAS.match(head)
    if alias:
        yield alias.group(1), "alias of " + "".join(alias.group(2).split())
        return
    if head.startswith(("using", "typedef", "namespace")):
        return
    kind = TYPE.search(head)
    if kind and "(" not in head:
        if body or ENUM.search(head):
            yield kind.group(1), ""
    if ENUM.search(head) and body:
        for value in without_brackets(body).split(","):
            found = re.match(r"\s*(\w+)", value)
            if found:
                yield found.group(1), ""
    if kind or ENUM.search(head):
        return
    bare = head.split("=")[0] if "operator" not in head else head
    function = FUNCTION.search(re.sub(r"\[\[.*?\]\]|\b(?:alignas|decltype|noexcept)\s*\([^)]*\)", " ", bare))
    if function:
        text = head[head.index(function.group()):]
        opened = text.index("(")
        name = function.group(1).strip()
        if "::" in head[:head.index(function.group()) + 1].split()[-1]:
            return  # a member, defined outside of its class
        yield name, "(" + parameter_types(text[opened + 1:matching(text, opened, "()") - 1]) + ")"
        return
    for part in without_brackets(re.sub(r"=[^,]*", "", without_brackets(head))).split(","):
        found = LAST_NAME.search(re.sub(r"[\[{(].*", "", part.strip(), flags=re.DOTALL))
        if found:
            yield found.group(1), ""


def walk(text, path=(), line=1):
    """(namespace, anonymous, name, meaning, line) of all that is declared at namespace scope."""
    for start, head, body in declarations(text):
        at = line + text.count("\n", 0, start + len(head) - len(head.lstrip()))
        found = NAMESPACE.search(head)
        if found:
            inside = line + text.count("\n", 0, start + len(head))
            words = tuple(word for word in found.group(1).split("::") if word) or ("",)
            yield from walk(body, path + words, inside)
            continue
        for name, meaning in names_of(head, body):
            yield tuple(w for w in path if w), "" in path, name, meaning, at


def targets(root):
    """The files of each target, and the layers whose headers they may include."""
    for folder in sorted(p for p in (root / "src").iterdir() if p.is_dir()):
        yield ([p for p in sorted(folder.rglob("*.cpp")) if "reference" not in p.parts],
               check_layers.below(folder.name) if folder.name in check_layers.EDGES else set())
    for top, layers in (("apps", set(check_layers.EDGES)), ("tests", set())):
        if (root / top).is_dir():
            for folder in sorted(p for p in (root / top).iterdir() if p.is_dir()):
                yield sorted(folder.glob("*.cpp")), layers


def check_tree(root):
    """The errors of a tree, as lines of text."""
    errors, declared = [], {}
    for path in sorted((root / "src").rglob("*.h")):
        for where, anonymous, name, meaning, line in walk(plain(path.read_text(errors="replace"))):
            if not anonymous and not meaning:
                layer = path.relative_to(root / "src").parts[0]
                declared.setdefault((where, name), {})[layer] = f"{path.relative_to(root)}:{line}"
    for files, layers in targets(root):
        seen = collections.defaultdict(dict)
        for path in files:
            text = path.read_text(errors="replace")
            if "hwy/foreach_target.h" in text:
                continue
            for where, anonymous, name, meaning, line in walk(plain(text)):
                if not anonymous:
                    continue
                here = f"{path.relative_to(root)}:{line}"
                for layer, header in declared.get((where, name), {}).items():
                    if not meaning and layer in layers:
                        errors.append(f"{here}: {name} is also a name of {header}")
                others = seen[where, name]
                for other, (file, at) in others.items():
                    differ = other != meaning and (
                        other[:1] == meaning[:1] == "(")  # overloads
                    if file != path and not differ and not (
                            other == meaning and meaning.startswith("alias")):
                        errors.append(f"{here}: {name} is also a name of {at}; "
                                      "give each a name that says what it is")
                others.setdefault(meaning, (path, here))
    return errors


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                        pathlib.Path(__file__).parent.parent).resolve()
    if not (root / "src").is_dir():
        print(f"check_file_names: {root} has no src/", file=sys.stderr)
        return 2
    errors = check_tree(root)
    for line in errors:
        print(f"error: {line}")
    print(f"names of files' own: {len(errors)} errors")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
