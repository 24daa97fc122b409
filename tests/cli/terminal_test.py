#!/usr/bin/env python3
"""What strangers call their files, classes, labels, tensors and values reaches the terminal without
what a terminal obeys: on stdout and stderr, in text and in JSON, of every verb.
usage: terminal_test.py BINARY SOURCE_DIR"""
import json
import os
import re
import shutil
import subprocess
import unittest

from command import BINARY, CommandTest, MODEL, read_safetensors, write_png, write_safetensors

# An escape sequence, C1's form of it, a carriage return, a forged second line, a mark that turns
# the text, one that nobody sees.
EVIL = "x\x1b[2J\x9b31m\r\nvitrail: fine\u202egpj\u200b\x7f"
LONG = EVIL + "y" * 100_000
FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f"
                       "\ufeff]")


class Terminal(CommandTest):
    def setUp(self):
        super().setUp()
        self.model = self.copy_model("model" + EVIL)
        config = json.loads((self.model / "config.json").read_text())
        config["label_names"] = [f"{EVIL}{i}" for i in range(5)]
        (self.model / "config.json").write_text(json.dumps(config))
        self.picture = self.folder / f"{EVIL}.png"
        write_png(self.picture)
        self.data = self.folder / f"data{EVIL}"
        for i in range(2):
            for k in range(6):
                (self.data / f"{EVIL}{i}").mkdir(parents=True, exist_ok=True)
                write_png(self.data / f"{EVIL}{i}" / f"{EVIL}{k}.png", shade=40 * i + k)
        (self.data / f"{EVIL}0" / f"{EVIL}.psd").write_text("no picture")

    def run_clean(self, *arguments, status=None):
        """Ends by itself; what it printed holds nothing that a terminal obeys."""
        process = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, timeout=800,
                                 cwd=self.folder)
        self.assertGreaterEqual(process.returncode, 0, arguments)
        if status is not None:
            self.assertEqual(process.returncode, status, process.stderr)
        for stream in (process.stdout, process.stderr):
            text = stream.decode("utf-8")  # nothing else is printed
            found = FORBIDDEN.search(text)
            self.assertIsNone(found, (arguments[0], found and text[max(0, found.start() - 80):
                                                                   found.end() + 40]))
            self.assertNotIn("\nvitrail: fine", text)
        for line in process.stderr.decode().splitlines():
            self.assertLess(len(line), 20_000, arguments[0])
        return process

    def test_verbs_that_answer(self):
        for arguments in (("classify", self.picture), ("classify", self.picture, "--json"),
                          ("classify", self.folder), ("inspect",), ("inspect", "--json"),
                          ("doctor",), ("doctor", "--json"), ("embed", self.picture, "--json"),
                          ("explain", self.picture, "--output", self.folder / f"o{EVIL}"),
                          ("explain", self.picture, "--json", "--output", self.folder / "o"),
                          ("convert", "--to", "hf", "--out", self.folder / f"c{EVIL}"),
                          ("bench", "--runs", "1", "--profile")):
            self.run_clean(*arguments, "--model", self.model, status=0)

    def test_data_sets_and_runs(self):
        spec, out = f"folder:{self.data}", self.folder / f"run{EVIL}"
        self.run_clean("data", "describe", spec, status=0)
        self.run_clean("data", "describe", spec, "--json", status=0)
        self.run_clean("data", "describe", spec, "--strict", status=1)
        self.run_clean("finetune", "--model", self.model, "--data", spec, "--out", out, "--method",
                       "probe", status=0)
        for arguments in (("eval", spec), ("eval", spec, "--json"), ("eval", spec, "--split", "val")):
            self.run_clean(*arguments, "--model", out, status=0)
        self.run_clean("report", out)
        self.run_clean("calibrate", spec, "--model", out, "--dry-run")
        self.run_clean("finetune", "--model", self.model, "--data", spec, "--out", out, status=1)

    def test_refusals(self):
        (self.folder / f"{EVIL}broken.png").write_text("no picture")
        for arguments in (("classify", self.folder / f"{EVIL}broken.png"),
                          ("classify", self.folder / f"{EVIL}none.png"),
                          ("classify", self.picture, "--set", f"{EVIL}={EVIL}"),
                          ("classify", self.picture, "--set", f"mean={EVIL}"),
                          ("classify", self.picture, "--set", EVIL),
                          ("classify", self.picture, "--labels", self.folder / EVIL),
                          ("classify", self.picture, f"--{EVIL}"),
                          ("classify", self.picture, "--size", EVIL),
                          ("data", "describe", f"{EVIL}:{EVIL}"),
                          ("data", "describe", f"csv:{self.folder}/{EVIL}"),
                          ("train", "--data", f"folder:{EVIL}", "--out", self.folder / "t"),
                          (EVIL,), ("pull", EVIL), ("report", self.folder / EVIL)):
            process = self.run_clean(*arguments)
            self.assertNotEqual(process.returncode, 0, arguments)
            self.assertEqual(len([line for line in process.stderr.decode().splitlines()
                                  if line.startswith("vitrail: [")]), 1, process.stderr)
        self.run_clean("classify", self.picture, "--model", self.folder / EVIL)

    def test_what_is_in_a_model(self):
        """Fields, values, tensors and labels, short and long, each in a model that is refused."""
        for evil in (EVIL, LONG):
            for change in ({evil: 1}, {"architecture": evil}, {"global_pool": evil},
                           {"model_args": {evil: evil}}, {"pretrained_cfg": {"mean": evil}},
                           {"label_names": [evil] * 4}):
                folder = self.folder / "changed"
                shutil.copytree(MODEL, folder)
                config = json.loads((folder / "config.json").read_text())
                config.update(change)
                (folder / "config.json").write_text(json.dumps(config))
                self.run_clean("classify", self.picture, "--model", folder)
                self.run_clean("doctor", "--model", folder, "--json")
                shutil.rmtree(folder)
        folder = self.copy_model("tensors")
        tensors = read_safetensors(folder / "model.safetensors")
        tensors[EVIL] = ([1], [0.0])
        write_safetensors(folder / "model.safetensors", tensors)
        self.run_clean("classify", self.picture, "--model", folder, status=1)
        tensors = {EVIL + name: value for name, value in tensors.items()}
        write_safetensors(folder / "model.safetensors", tensors)
        self.run_clean("classify", self.picture, "--model", folder, status=1)

    def test_bytes_that_are_not_utf8(self):
        name = os.fsencode(self.folder) + b"/caf\xe9.png"
        shutil.copyfile(self.picture, name)
        for more in ([], ["--json"]):
            process = subprocess.run([os.fsencode(BINARY), b"classify", name, b"--model",
                                      os.fsencode(MODEL), *map(os.fsencode, more)],
                                     capture_output=True, timeout=800)
            self.assertEqual(process.returncode, 0, process.stderr)
            self.assertIn("caf\\xe9" if not more else "caf", process.stdout.decode("utf-8"))


if __name__ == "__main__":
    unittest.main(argv=["terminal_test"])
