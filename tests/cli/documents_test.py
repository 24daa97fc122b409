#!/usr/bin/env python3
"""Runs every command of README, docs and --help, in a scratch folder with tiny things under the
names that they use (stand_ins.py). What cannot be run is on the list NOT_RUN, with the reason; an
entry that no document needs any more fails. usage: documents_test.py BINARY SOURCE_DIR"""
import re
import shlex
import shutil
import sys
import unittest

from command import SOURCE, vitrail
from stand_ins import SCENES, World

# Commands that begin so are not run here, and why.
NOT_RUN = {
    "./demo": "builds the program that is under test; tests/install and .ci/run run it",
    "./test": "runs this test",
    "tools/setup": "installs packages",
    "tools/lint": "needs clang-tidy and takes half an hour",
    "tools/json_docs": "json_test.py runs it",
    "bench/": "measures, for a machine to oneself",
    "tools/test_arm64": "needs a cross compiler, and takes half an hour",
    "cmake": "tests/install builds against the installed library",
    "sudo": "installs for everyone",
    "build/my_program": "tests/install builds against the installed library",
    "./my_program": "tests/install builds against the installed library",
    "g++": "tests/install builds against the installed library",
    "vitrail data get": "the publishers' archives are pinned byte for byte; pull_test.py fetches them",
}
if not shutil.which("mpirun"):
    NOT_RUN["mpirun"] = "there is no mpirun"
if not shutil.which("man"):
    NOT_RUN["vitrail man classify | man"] = "there is no man"
# What a document leaves open, and what stands for it.
PLACES = [(r"\bOWNER/NAME\b", "someone/tiny"), (r"fashion-mnist:DIR\b", "fashion-mnist:data/fashion-mnist"),
          (r"cifar10:DIR\b", "cifar10:data/cifar10"), (r"FOLDER\|FILE", "path/to/vit-tiny"),
          (r"\bRUN\b", "runs/mine"), (r"\bSPEC\b", "photos"), (r"runs/NAME\b", "runs/mine")]
# "bench NAME" and "--arch NAME" mean an architecture, "--method NAME" a method.
NAMES = {"bench NAME": "bench vit_lite_6_4", "--arch NAME": "--arch vit_lite_6_4",
         "--method NAME": "--method mae"}
VERBS = {verb["name"]: verb for verb in vitrail("help", "--json").json()[0]["verbs"]}
PROGRAM = r"(?:\S*/)?vitrail|mpirun|\./demo|\./test|tools/\w+|bench/[\w/]+|cmake|g\+\+"


def documents():
    yield from (path for path in sorted(SOURCE.glob("README*.md")))
    yield SOURCE / "CONTRIBUTING.md"
    yield from sorted((SOURCE / "docs").glob("**/*.md"))
    yield SOURCE / "models" / "README.md"


def without_comment(line):
    return re.sub(r"\s+#.*$", "", line).strip()


def fenced_commands(text):
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            line = without_comment(line)
            if line and not line.startswith("#"):
                yield line


def inline_commands(text):
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    for code in re.findall(r"`([^`\n]+)`", prose):
        if re.match(rf"(?:{PROGRAM})(\s|$)", code):
            yield code


def help_examples():
    for verb in VERBS.values():
        for line in verb["example"].removeprefix("Example:").splitlines():
            if line.strip():
                yield line.strip()


def verb_in(words):
    """The verb of a command of vitrail, and the words behind it."""
    for length in (2, 1):
        if " ".join(words[:length]) in VERBS:
            return " ".join(words[:length]), words[length:]
    return None, words


def vitrail_words(command):
    """Of "mpirun -np 2 vitrail train x": ["train", "x"]; None: it is another program's."""
    words = shlex.split(command)
    for i, word in enumerate(words):
        if word.split("/")[-1] == "vitrail":
            return words[i + 1:]
    return None


def is_whole(command):
    """Whether a command in the text is meant to be typed, or only named: `vitrail quantize`."""
    words = vitrail_words(command)
    if words is None or "..." in command or "…" in command:
        return False
    verb, rest = verb_in(words)
    if verb is None or not rest:
        return False
    positional = [word for i, word in enumerate(rest)
                  if not word.startswith("-") and not (i and rest[i - 1].startswith("--"))]
    for option in VERBS[verb]["options"]:
        given = any(word.split("=")[0] in option["names"] for word in rest)
        if option["required"] and not given and not (option["positional"] and positional):
            return False
    if verb in ("eval", "calibrate", "quantize") and "--model" not in rest:
        return False  # the default model knows other classes than the stand-ins
    begins = "--out" in rest and ("--data" in rest or "--resume" in rest)
    return verb != "train" or begins or "list" in rest


def skipped(command):
    """The longest entry of NOT_RUN that it begins with."""
    plain = re.sub(r"^\S*/vitrail\b", "vitrail", command)
    found = [begin for begin in NOT_RUN if plain.startswith(begin)]
    return max(found, key=len) if found else None


def runnable(command):
    """The command as it is run: stand-ins in place; an epoch of small batches in place of what the
    document says, a few scenes, one run of a measurement. The test is of the command, not of what
    it comes to."""
    for pattern, value in PLACES:
        command = re.sub(pattern, value, command)
    for name, value in NAMES.items():
        command = command.replace(name, value)
    command = re.sub(r"\bscenes(:[\w=,]+)?(?=\s|$)(?<!runs/scenes)(?<!--model scenes)", SCENES, command)
    words = vitrail_words(command) or []
    verb, rest = verb_in(words)
    if verb in ("train", "finetune") and "list" not in rest and "--help" not in rest:
        command = re.sub(r"--(epochs|batch) \S+", "", command)
        if "--resume" not in rest and "probe" not in rest:
            command += " --epochs 1 --batch 4"
    if verb == "bench" and "--peak" not in rest:
        command = re.sub(r"--batch \S+", "--batch 1", command) + " --runs 1"
    return command


class Documents(unittest.TestCase):
    used = set()

    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.close)

    def prepare(self, command):
        """Runs that a command needs are made, and one that it makes is taken away."""
        words = shlex.split(command)
        resumes = "--resume" in words
        for before, word in zip([""] + words, words):
            run = re.match(r"runs/[\w-]+", word)
            if not run:
                continue
            made = self.world.folder / run[0]
            if before == "--out" and not resumes:
                shutil.rmtree(made, ignore_errors=True)
            elif not made.exists() or (resumes and not (made / "checkpoints").exists()):
                self.world.make_run(run[0])

    def run_command(self, command):
        skip = skipped(command)
        if skip:
            Documents.used.add(skip)
            return
        if vitrail_words(command) is None:
            self.fail(f"a program that this test does not know: {command}")
        command = runnable(command)
        self.prepare(command)
        result = self.world.run(command)
        self.assertEqual(result.returncode, 0, f"{command}\n{result.stdout}\n{result.stderr}")

    def mentioned(self, command):
        """The verb and the flags of a command that is only named are there."""
        words = vitrail_words(command)
        if words is None:
            if skipped(command):
                Documents.used.add(skipped(command))
            return
        if not words or words[0].startswith("-") or "VERB" in words:
            return
        verb, rest = verb_in(words)
        groups = {name.split()[0] for name in VERBS if " " in name}
        self.assertTrue(verb or words[0] in groups, f"there is no such verb: {command}")
        if verb is None:
            return
        names = {name for option in VERBS[verb]["options"] for name in option["names"]} | {"--help"}
        for word in rest:
            flag = word.split("=")[0]
            if flag.startswith("--"):
                self.assertIn(flag, names, command)

    def test_documents(self):
        for path in documents():
            text = path.read_text()
            for command in fenced_commands(text):
                with self.subTest(f"{path.relative_to(SOURCE)}: {command}"):
                    self.run_command(command)
            for command in inline_commands(text):
                with self.subTest(f"{path.relative_to(SOURCE)}: `{command}`"):
                    self.run_command(command) if is_whole(command) else self.mentioned(command)
    def test_help_examples(self):
        for command in help_examples():
            with self.subTest(command):
                shutil.rmtree(self.world.folder / "runs", ignore_errors=True)
                self.run_command(command)

    def test_not_run_is_needed(self):  # behind the others, since it looks at what they left out
        self.assertEqual({begin for begin in NOT_RUN if begin not in Documents.used}, set(),
                         "no document needs these entries of NOT_RUN")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
