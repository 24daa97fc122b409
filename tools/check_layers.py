#!/usr/bin/env python3
"""Holds the tree to the layers of docs/ARCHITECTURE.md.

Fails when
- a file of src/ or apps/ includes a layer that is not below its own,
- a folder's CMakeLists.txt links other layers than those listed here,
- anything but tests and the oracles themselves includes kernels/reference/,
- anything outside src/kernels/ includes kernels/cpu/,
- a public header includes more than the standard library and other public headers,
- the library includes what only the programs may use (the command-line parser, libcurl),
- an include names no file of the tree.
Warns when a file is longer than 600 lines.

usage: tools/check_layers.py [ROOT]
"""
import pathlib
import re
import sys

# Layer: the layers it links. What those link is allowed too.
EDGES = {
    "core": [],
    "kernels": ["core"],
    "autograd": ["kernels"],
    "ops": ["autograd"],
    "nn": ["ops"],
    "image": ["core"],
    "formats": ["core"],
    "distributed": ["core"],
    "models": ["nn", "formats"],
    "data": ["core", "image", "formats"],
    "infer": ["models", "image", "formats", "data"],
    "tasks": ["infer"],
    "explain": ["infer"],
    "train": ["models", "data", "formats", "tasks", "distributed"],
    "report": ["train", "explain", "tasks"],
    "api": ["tasks", "report"],
    "fetch": ["formats"],
}
# Layers of the programs: no other layer may link them, so they may use what the library must not.
PROGRAM_LAYERS = {"fetch"}
# A sideways edge, (file, header it includes), stands here with its reason.
EXCEPTIONS = set()
APPS_ONLY = ("CLI/", "curl/", "openssl/")
MAX_LINES = 600
SOURCES = {".h", ".cpp", ".cc", ".hpp", ".c", ".cu", ".inl"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
LINKS = re.compile(r"vitrail_layer\(\s*(\w+)([^)]*)\)")


def below(layer):
    """Every layer that a file of this one may include, its own among them."""
    seen, pending = set(), [layer]
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            pending += EDGES[name]
    return seen


def includes(path):
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1) == "<", match.group(2)


def sources(folder):
    return sorted(p for p in folder.rglob("*") if p.suffix in SOURCES and p.is_file())


def check_file(root, path, allowed, report):
    relative = path.relative_to(root)
    in_kernels = relative.parts[:2] == ("src", "kernels")
    is_oracle = relative.parts[:3] == ("src", "kernels", "reference")
    is_app = relative.parts[0] == "apps" or relative.parts[1] in PROGRAM_LAYERS
    for number, angled, target in includes(path):
        where = f"{relative}:{number}"
        if not is_app and target.startswith(APPS_ONLY):
            report(where, f"<{target}> belongs to apps/ alone")
        first = target.split("/")[0]
        if target.startswith("vitrail/"):
            if not (root / "include" / target).is_file():
                report(where, f'there is no include/{target}')
            continue
        if angled or "/" not in target:
            beside = path.parent / target
            if not angled and not beside.is_file() and not (root / "src" / target).is_file():
                report(where, f'"{target}" is no file beside it; name it from src/')
            continue
        if first not in EDGES:
            continue  # an external library, or a file beside this one
        if not (root / "src" / target).is_file():
            report(where, f"there is no src/{target}")
        if (str(relative), target) in EXCEPTIONS:
            continue
        if first not in allowed:
            report(where, f'"{target}" is not below this layer; it may include '
                          f'{", ".join(sorted(allowed))}')
        if target.startswith("kernels/reference/") and not is_oracle:
            report(where, "the oracles of kernels/reference are for tests only")
        if target.startswith("kernels/cpu/") and not in_kernels:
            report(where, "kernels/cpu is private to the kernels; include the contract's header")


def check_public_header(root, path, report):
    for number, angled, target in includes(path):
        is_public = target.startswith("vitrail/") and (root / "include" / target).is_file()
        is_standard = angled and "/" not in target and (
            "." not in target or target in ("stdint.h", "stddef.h"))
        if not (is_public or is_standard):
            report(f"{path.relative_to(root)}:{number}",
                   f"a public header includes the standard library and <vitrail/...> only, "
                   f"not {target}")


def check_links(root, layer, report):
    path = root / "src" / layer / "CMakeLists.txt"
    if not path.is_file():
        report(f"src/{layer}", "has no CMakeLists.txt")
        return
    for name, arguments in LINKS.findall(path.read_text()):
        words = arguments.split()
        links = []
        if "LINKS" in words:
            for word in words[words.index("LINKS") + 1:]:
                if word == "LIBRARIES":
                    break
                links.append(word)
        if name != layer:
            report(path.relative_to(root), f"declares the layer {name} in the folder of {layer}")
        elif sorted(links) != sorted(EDGES[layer]):
            report(path.relative_to(root), f"links {' '.join(links) or 'nothing'}; "
                   f"the layer's edges are {' '.join(EDGES[layer]) or 'none'}")


def check_tree(root):
    """The errors and warnings of a tree, as lines of text."""
    errors, warnings = [], []

    def report(where, what):
        errors.append(f"{where}: {what}")

    for folder in sorted(p for p in (root / "src").iterdir() if p.is_dir()):
        layer = folder.name
        if layer not in EDGES:
            report(f"src/{layer}", "is no layer; list it with its edges in tools/check_layers.py")
            continue
        check_links(root, layer, report)
        for path in sources(folder):
            check_file(root, path, below(layer), report)
    if (root / "apps").is_dir():
        for path in sources(root / "apps"):
            check_file(root, path, set(EDGES), report)
    if (root / "include").is_dir():
        for path in sources(root / "include"):
            check_public_header(root, path, report)

    for top in ("include", "src", "apps", "tests", "bench", "examples"):
        if not (root / top).is_dir():
            continue
        for path in sources(root / top):
            length = len(path.read_text(errors="replace").splitlines())
            if length > MAX_LINES:
                warnings.append(f"{path.relative_to(root)}: {length} lines; past {MAX_LINES} "
                                "a file is two rooms")
    return errors, warnings


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
    if len(sys.argv) <= 1:
        root = root.parent.parent
    if not (root / "src").is_dir():
        print(f"check_layers: {root} has no src/", file=sys.stderr)
        return 2
    errors, warnings = check_tree(root)
    for line in warnings:
        print(f"warning: {line}")
    for line in errors:
        print(f"error: {line}")
    print(f"layers: {len(errors)} errors, {len(warnings)} warnings")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
