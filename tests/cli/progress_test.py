#!/usr/bin/env python3
"""Progress on a terminal and in a log file; stdout belongs to results.
usage: progress_test.py BINARY SOURCE_DIR"""
import fcntl
import json
import os
import pathlib
import pty
import re
import struct
import subprocess
import tempfile
import termios
import time
import unittest

from command import BINARY, shown_on, vitrail

DATA = "scenes:size=16,count=64,val=16,test=16"
TINY = ["--set", "image_size=16", "--set", "patch_size=8", "--set", "embed_dim=16", "--set",
        "depth=1", "--set", "num_heads=2", "--batch", "8", "--threads", "1"]


def on_terminal(*arguments, columns=200):
    """stdout, and what stderr showed on a terminal of its own."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen([BINARY, *map(str, arguments)], stdout=subprocess.PIPE,
                               stderr=theirs, text=True)
    os.close(theirs)
    shown = shown_on(ours)
    out = process.communicate(timeout=800)[0]
    os.close(ours)
    assert process.returncode == 0, shown
    return out, shown.decode()


class ProgressTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = pathlib.Path(folder.name) / "runs" / "tiny"

    def train(self, *more, epochs=2):
        return ["train", "--data", DATA, "--out", self.out, *TINY, "--epochs", epochs, *more]

    def test_a_log_file_has_plain_lines(self):
        began = time.monotonic()
        result = vitrail(*self.train("--json"))
        seconds = time.monotonic() - began
        self.assertEqual(result.status, 0, result.errors)
        self.assertEqual(len(result.lines), 1)  # stdout: the result alone
        self.assertIn("validation", json.loads(result.lines[0]))
        text = "\n".join(result.errors)
        self.assertNotIn("\r", text)
        self.assertNotIn("\x1b", text)
        steps = [line for line in result.errors if " step " in line and " left" in line]
        self.assertGreaterEqual(len(steps), 1, result.errors)  # the first step
        self.assertLessEqual(len(steps), 1 + seconds // 60, result.errors)
        self.assertRegex(steps[0], r"^epoch 1/2 step 1/8 \(12%\)  loss \d+\.\d{4}  "
                                   r"(accuracy \d+\.\d%  )?\d+ pictures/s  \d+:\d\d left$")
        epochs = [line for line in result.errors if re.match(r"epoch \d/2: ", line)]
        self.assertEqual(len(epochs), 2)
        self.assertTrue((self.out / "report.html").is_file())

    def test_a_terminal_has_a_bar_that_fits(self):
        out, shown = on_terminal(*self.train(), columns=60)
        self.assertIn("the model is in", out)
        self.assertNotIn("\r\x1b[K", out)
        draws = re.findall(r"\r\x1b\[K([^\r\n]*)", shown)
        bars = [draw for draw in draws if re.match(r"epoch \d/2 \[#*\.*\]", draw)]
        self.assertTrue(bars, shown)
        for bar in bars:
            self.assertLess(len(bar), 60)
        self.assertRegex(shown, r"\r\x1b\[Kepoch 1/2: loss")  # the bar is gone before a line

    def test_short_work_is_silent_in_a_log_and_shown_on_a_terminal(self):
        self.assertEqual(vitrail(*self.train()).status, 0)
        arguments = ["eval", DATA, "--split", "test", "--model", self.out, "--json", "--batch", "4"]
        began = time.monotonic()
        result = vitrail(*arguments)
        short = time.monotonic() - began < 10
        self.assertEqual(result.status, 0)
        if short:
            self.assertEqual([line for line in result.errors if line.startswith("eval")], [])
        out, shown = on_terminal(*arguments)
        self.assertEqual(json.loads(out)["count"], 16)
        self.assertRegex(shown, r"\r\x1b\[Keval \[#+\.*\] \d+/16")

    def test_a_run_that_diverges_has_a_page_that_says_so(self):
        result = vitrail(*self.train("--lr", 1000, "--log-steps", 1, "--set", "clip_norm=0", "--set",
                                     "warmup_epochs=0", "--set", "spike_threshold=0", epochs=40))
        self.assertEqual(result.status, 1, result.errors)
        self.assertTrue(result.errors[-1].startswith("vitrail: [train]"), result.errors[-1])
        page = (self.out / "report.html").read_text()
        self.assertIn("The loss or its gradients were not finite at step", page)


if __name__ == "__main__":
    import sys
    unittest.main(argv=sys.argv[:1])
