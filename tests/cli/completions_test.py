#!/usr/bin/env python3
"""Completions and manual pages: bash completes by them here; zsh, fish and groff read them where
they are installed. usage: completions_test.py BINARY SOURCE_DIR"""
import shlex
import shutil
import subprocess
import sys
import unittest

from command import CommandTest, vitrail

VERBS = {verb["name"]: verb for verb in vitrail("help", "--json").json()[0]["verbs"]}


class Completions(CommandTest):
    def completed(self, line):
        """What bash offers behind `line`, whose last word is being typed."""
        words = line.split(" ")
        script = f"""{vitrail("completions", "bash").out}
COMP_WORDS=({" ".join(shlex.quote(word) for word in words)})
COMP_CWORD={len(words) - 1}
_vitrail
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
        process = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
        self.assertEqual((process.returncode, process.stderr), (0, ""))
        return process.stdout.split()

    def test_bash(self):
        self.assertEqual(set(self.completed("vitrail ")),
                         {verb.split()[0] for verb in VERBS})
        self.assertEqual(self.completed("vitrail clas"), ["classify"])
        self.assertEqual(self.completed("vitrail data d"), ["describe"])
        self.assertEqual(self.completed("vitrail data get f"), ["fashion-mnist"])
        self.assertEqual(self.completed("vitrail classify --mo"), ["--model"])
        self.assertEqual(self.completed("vitrail classify a.png --exif "), ["apply", "ignore"])
        self.assertEqual(self.completed("vitrail train --preset resnet"), ["resnet20"])
        self.assertEqual(self.completed("vitrail help quan"), ["quantize"])
        self.assertEqual(self.completed("vitrail completions z"), ["zsh"])
        # Files, which bash completes by itself.
        for line in ("vitrail classify ph", "vitrail classify --model ", "vitrail eval --data se"):
            self.assertEqual(self.completed(line), [], line)
        for name, verb in VERBS.items():
            flags = {flag for option in verb["options"] for flag in option["names"]
                     if flag.startswith("-")}
            self.assertEqual(set(self.completed(f"vitrail {name} -")), flags, name)

    def test_all_shells_at_once(self):
        share = self.folder / "share"
        self.assertEqual(vitrail("completions", "--out", share).status, 0)
        for shell, place in (("bash", "bash-completion/completions/vitrail"),
                             ("zsh", "zsh/site-functions/_vitrail"),
                             ("fish", "fish/vendor_completions.d/vitrail.fish")):
            self.assertEqual((share / place).read_text(), vitrail("completions", shell).out)
        self.fails("completions", status=2, saying="name a shell")
        self.fails("completions", "bsh", status=2, saying="did you mean 'bash'?")

    def test_the_shells_read_them(self):
        for shell in ("bash", "zsh", "fish"):
            if shutil.which(shell):
                script = self.folder / shell
                script.write_text(vitrail("completions", shell).out)
                subprocess.run([shell, "-n", script], check=True)
        if shutil.which("fish"):
            process = subprocess.run(
                ["fish", "-c", f"source {self.folder / 'fish'}; complete -C 'vitrail classify --exif '"],
                capture_output=True, text=True, check=True)
            self.assertIn("apply", process.stdout.split())

    def test_zsh_names_every_flag(self):
        text = vitrail("completions", "zsh").out
        for verb in VERBS.values():
            for option in verb["options"]:
                for flag in option["names"]:
                    self.assertIn(flag, text)


class Manual(CommandTest):
    def test_every_verb_has_a_page(self):
        self.assertEqual(vitrail("man", "--out", self.folder / "share").status, 0)
        pages = {path.name for path in (self.folder / "share" / "man" / "man1").iterdir()}
        self.assertEqual(pages, {"vitrail.1"} | {
            f"vitrail-{verb.replace(' ', '-')}.1" for verb in VERBS})
        for name, verb in VERBS.items():
            text = vitrail("man", *name.split()).out
            path = self.folder / "share/man/man1" / f"vitrail-{name.replace(' ', '-')}.1"
            self.assertEqual(text, path.read_text())
            for option in verb["options"]:
                self.assertIn("\\fB" + option["names"][0].replace("-", "\\-"), text)
            if shutil.which("groff"):
                process = subprocess.run(["groff", "-man", "-Tutf8", "-ww", path],
                                         capture_output=True, text=True)
                self.assertEqual((process.returncode, process.stderr), (0, ""), name)
        self.assertIn("vitrail\\-data\\-get", vitrail("man").out)
        self.fails("man", "clasify", status=2, saying="did you mean 'classify'?")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
