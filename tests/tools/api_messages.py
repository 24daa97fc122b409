#!/usr/bin/env python3
"""No message of the library speaks of a flag of the command.

What a message advises is named by core/advice.h, as a flag where the command speaks and as a member
of include/vitrail where the library does. This looks for text of the sources that names a flag or
a command by itself.

usage: api_messages.py SRC_DIR
"""
import pathlib
import re
import sys

# Files whose messages no call of include/vitrail raises, with the reason.
COMMAND_ALONE = {
    "core/advice.cpp": "the names themselves",
    "fetch/": "a layer of the programs",
    "report/run_report.cpp": "a page for people: commands to go on with",
    "report/web/": "the page itself",
    "train/finetune/finetune.cpp": "vitrail finetune",
    "train/finetune/finetune_data.cpp": "vitrail finetune",
    "distributed/mpi.cpp": "training by several processes, which the command begins",
    "models/lora.cpp": "vitrail finetune: adapters are put in by nothing else",
    "tasks/calibrate.cpp": "vitrail calibrate",
    "train/run/config.cpp": "where a preprocessing came from, as a run writes it into config.json",
    "data/held_out.cpp": "the groups of vitrail finetune",
}
LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+|\bvitrail (?:classify|embed|explain|inspect|train|doctor|"
                  r"finetune|eval|calibrate|quantize|convert|bench|pull|models)\b")
# What others' commands take.
FOREIGN = re.compile(r"convmv[^\"]*|-r --notest[^\"]*")


def is_command_alone(name):
    return any(name == known or (known.endswith("/") and name.startswith(known))
               for known in COMMAND_ALONE)


def found_in(text):
    """(line, literal) of each text that names a flag."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        code = re.sub(r"^\s*//.*", "", line)
        for literal in LITERAL.findall(code):
            if FLAG.search(FOREIGN.sub("", literal)):
                found.append((number, literal))
    return found


def main():
    root = pathlib.Path(sys.argv[1])
    failures = 0
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.suffix not in {".h", ".cpp"} or is_command_alone(name):
            continue
        for number, literal in found_in(path.read_text(errors="replace")):
            failures += 1
            print(f'{name}:{number}: "{literal}": name it by core/advice.h')
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
