#!/usr/bin/env python3
"""Training by two processes: the bits of one process that accumulates, the losses of the whole
batch, and what remains when a process dies. Skips where mpirun or the module is missing.
usage: mpi_test.py BINARY SOURCE_DIR"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from command import BINARY, GOLDENS, Result, write_png

DATA = "scenes:size=32,count=240,val=16,test=16"
RECIPE = ["--arch", "vit_lite_7_4", "--set", "image_size=32", "--set", "embed_dim=64",
          "--set", "num_heads=2", "--set", "depth=2", "--set", "drop_path=0.1",
          "--seed", "3", "--log-steps", "1"]
NOTHING_RANDOM = ["--set", "drop_path=0", "--set", "dropout=0", "--set", "attention_dropout=0"]
STEPS = 20
WITHIN = 600  # seconds for what takes one or two: the machine may have other work


def environment():
    return dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                OMPI_MCA_btl_base_warn_component_unused="0",
                # What mpirun has asked to end says why before it is killed: on a busy machine that
                # takes more than the second which is the default.
                OMPI_MCA_odls_base_sigkill_timeout="5")


def command_line(out, *arguments, ranks=1):
    start = ["mpirun", "-np", str(ranks), "--oversubscribe"] if ranks > 1 else []
    return [*start, BINARY, "train", "--out", str(out), "--threads", "1", *map(str, arguments)]


def first(data=DATA, batch=12, epochs=1):
    return ["--data", data, *RECIPE, "--batch", batch, "--epochs", epochs]


def train(out, *arguments, ranks=1):
    process = subprocess.run(command_line(out, *arguments, ranks=ranks), capture_output=True,
                             text=True, timeout=WITHIN, env=environment())
    return Result(process)


def lines_of(out, kind):
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


def losses(out):
    return [line["loss"] for line in lines_of(out, "step")]


class MpiTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def begin(self, name, *arguments, ranks=1):
        out = self.folder / name
        result = train(out, *first(), *arguments, ranks=ranks)
        self.assertEqual(result.status, 0, result.errors)
        return out

    def same_weights(self, a, b):
        self.assertEqual((a / "model.safetensors").read_bytes(),
                         (b / "model.safetensors").read_bytes())

    def test_two_processes_are_one_that_accumulates(self):
        two = self.begin("two", "--json", ranks=2)
        parts = self.begin("parts", "--set", "accumulate=2")
        self.assertEqual(len(losses(two)), STEPS)
        self.assertEqual(losses(two), losses(parts))
        self.same_weights(two, parts)
        # The evaluation is shared and counts each picture once.
        for kind in ("loss", "accuracy", "pictures"):
            self.assertAlmostEqual(lines_of(two, "epoch")[0]["val"][kind],
                                   lines_of(parts, "epoch")[0]["val"][kind], places=6)

    def test_two_processes_are_the_whole_batch_but_for_rounding(self):
        two = self.begin("two", *NOTHING_RANDOM, ranks=2)
        whole = self.begin("whole", *NOTHING_RANDOM)
        self.assertEqual(len(losses(whole)), STEPS)
        for line_of_two, line_of_whole in zip(losses(two), losses(whole)):
            self.assertAlmostEqual(line_of_two, line_of_whole, delta=1e-4)

    def test_three_processes_add_in_their_order(self):
        three = self.begin("three", ranks=3)
        parts = self.begin("parts", "--set", "accumulate=3")
        self.assertEqual(losses(three), losses(parts))
        self.same_weights(three, parts)

    def test_results_are_printed_once(self):
        out = self.folder / "run"
        result = train(out, *first(), "--json", ranks=2)
        self.assertEqual(result.status, 0, result.errors)
        self.assertEqual(len(result.lines), 1, result.lines)
        self.assertEqual(result.json()[0]["steps"], STEPS)
        self.assertEqual(sum("parameters" in line for line in result.errors), 1, result.errors)
        again = train(out, *first(), ranks=2)
        self.assertNotEqual(again.status, 0)
        said = [line for line in again.errors if line.startswith("vitrail: ")]
        self.assertEqual(len(said), 1, again.errors)
        self.assertIn("holds a run already", said[0])

    def test_a_batch_that_cannot_be_divided(self):
        result = train(self.folder / "odd", *first(batch=5), ranks=2)
        self.assertNotEqual(result.status, 0)
        said = [line for line in result.errors if line.startswith("vitrail: ")]
        self.assertEqual(len(said), 1, result.errors)
        self.assertIn("batch_size 5", said[0])

    def test_one_that_dies_ends_the_job_and_another_number_goes_on(self):
        out = self.folder / "run"
        process = subprocess.Popen(
            command_line(out, *first(epochs=500), "--checkpoint-steps", "4", ranks=2),
            env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            errors="replace")
        self.addCleanup(process.kill)
        victim = self.second_process_of(process.pid, out)
        os.kill(victim, signal.SIGKILL)
        _, errors = process.communicate(timeout=WITHIN)
        self.assertNotEqual(process.returncode, 0)
        said = [line for line in errors.splitlines() if "vitrail: [train]" in line]
        self.assertEqual(len(said), 1, errors)
        self.assertIn("another process of this run has ended", said[0])
        self.assertIn("--resume --out", said[0])
        kept = max(int(path.stem.split("-")[-1]) for path in (out / "checkpoints").iterdir()
                   if path.suffix == ".safetensors")
        self.assertGreaterEqual(kept, 4)
        self.assertIn(f"step {kept};", said[0])
        # 500 epochs are what the run was begun with; a fresh signal ends it after it has gone on.
        # The dead job's steps behind its checkpoint count, too, until the file is cut back.
        logged = (out / "metrics.jsonl").read_text().count('"kind":"step"')
        resumed = subprocess.Popen(command_line(out, "--resume", "--checkpoint-steps", "4",
                                                "--log-steps", "1"),
                                   stderr=subprocess.PIPE, text=True, env=environment())
        self.addCleanup(resumed.kill)
        self.wait_for(lambda: (out / "metrics.jsonl").read_text().count('"kind":"step"')
                      >= max(kept, logged) + 3)
        resumed.send_signal(signal.SIGTERM)
        _, errors = resumed.communicate(timeout=WITHIN)
        self.assertIn(f"resumed at step {kept} of", errors)
        steps = [line["step"] for line in lines_of(out, "step")]
        self.assertEqual(steps, list(range(1, len(steps) + 1)))

    def test_a_signal_to_mpirun_ends_the_run_with_a_checkpoint(self):
        for sent in (signal.SIGUSR1, signal.SIGTERM):
            with self.subTest(sent.name):
                out = self.folder / sent.name
                process = subprocess.Popen(
                    command_line(out, *first(epochs=500), "--checkpoint-steps", "4", ranks=2),
                    env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                    errors="replace")
                self.addCleanup(process.kill)
                self.wait_for(lambda: self.checkpoints(out))
                process.send_signal(sent)
                _, errors = process.communicate(timeout=WITHIN)
                self.assertNotEqual(process.returncode, 0)
                said = [line for line in errors.splitlines()
                        if f"vitrail train --resume --out {out}" in line]
                self.assertEqual(len(said), 1, errors)
                kept = self.checkpoints(out)
                step = int(re.search(r"step (\d+)", said[0]).group(1))
                self.assertEqual(step, max(kept), said)
                # mpirun lets a run go on after USR1, so that it ends at the step it stood at.
                if sent == signal.SIGUSR1:
                    self.assertIn("stopped at step", said[0])
                resumed = subprocess.Popen(command_line(out, "--resume"), stderr=subprocess.PIPE,
                                           text=True, env=environment())
                self.addCleanup(resumed.kill)
                self.assertIn(f"resumed at step {step} of", resumed.stderr.readline())
                resumed.kill()
                resumed.communicate()

    def checkpoints(self, out):
        return [int(path.stem.split("-")[-1]) for path in (out / "checkpoints").glob("*.safetensors")]

    def finetune(self, name, *arguments, ranks=1):
        start = ["mpirun", "-np", str(ranks), "--oversubscribe"] if ranks > 1 else []
        process = subprocess.run(
            [*start, BINARY, "finetune", "--model", GOLDENS / "timm" / "augreg", "--data",
             f"folder:{self.pictures()}", "--out", self.folder / name, "--threads", "1", "--json",
             "--method", "full", "--epochs", "3", *map(str, arguments)],
            capture_output=True, text=True, timeout=WITHIN, env=environment())
        return Result(process)

    def pictures(self):
        folder = self.folder / "pictures"
        for label, shade in (("dark", 0), ("light", 140)):
            (folder / label).mkdir(parents=True, exist_ok=True)
            for i in range(22):
                write_png(folder / label / f"{i}.png", shade=shade + i)
        (folder / "dark" / "7.png").write_text("no picture")
        return folder

    def test_finetuning_by_two_is_that_of_one_in_two_parts(self):
        lenient = ["--batch", "8", "--lr", "1e-3", "--max-broken", "0.3"]
        two = self.finetune("two", *lenient, ranks=2)
        parts = self.finetune("parts", *lenient, "--train-set", "accumulate=2")
        for result in (two, parts):
            self.assertEqual(result.status, 0, result.errors)
            self.assertEqual(len(result.lines), 1, result.lines)
        a, b = two.json()[0], parts.json()[0]
        for key in ("method", "form", "probe", "validation", "trained_parameters"):
            self.assertEqual(a[key], b[key], key)
        for kind in ("linear probe: ", "method full: "):
            self.assertEqual(sum(line.startswith(kind) for line in two.errors), 1, two.errors)
        self.same_weights(self.folder / "two", self.folder / "parts")
        again = self.finetune("two", *lenient, ranks=2)
        self.assertNotEqual(again.status, 0)
        said = [line for line in again.errors if line.startswith("vitrail: [")]
        self.assertEqual(len(said), 1, again.errors)
        self.assertIn("holds a run already", said[0])

    def test_a_batch_that_nobody_chose_divides_among_three(self):
        result = self.finetune("three", "--max-broken", "0.3", ranks=3)
        self.assertEqual(result.status, 0, result.errors)
        config = json.loads((self.folder / "three" / "train.json").read_text())
        self.assertEqual(config["batch_size"], 9)

    def wait_for(self, condition, seconds=WITHIN):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, "nothing happened")
            time.sleep(0.05)

    def second_process_of(self, mpirun, out):
        """The process of rank 1, once there is a checkpoint."""
        self.wait_for(lambda: len(list((out / "checkpoints").glob("*.safetensors"))) >= 2)
        for process in pathlib.Path("/proc").iterdir():
            if not process.name.isdigit():
                continue
            try:
                variables = (process / "environ").read_bytes().split(b"\0")
                parent = (process / "stat").read_text().rsplit(")", 1)[1].split()[1]
            except OSError:
                continue
            if parent == str(mpirun) and b"OMPI_COMM_WORLD_RANK=1" in variables:
                return int(process.name)
        self.fail("there is no process of rank 1")


def skip(reason):
    """Where MPI has to be (as in .ci/run), its absence is a failure."""
    if os.environ.get("VITRAIL_REQUIRE_MPI"):
        sys.exit(f"VITRAIL_REQUIRE_MPI is set, but {reason}")
    print(f"skipped: {reason}; tools/setup --mpi installs it, and the next build takes it up")
    sys.exit(77)


if __name__ == "__main__":
    if shutil.which("mpirun") is None:
        skip("there is no Open MPI (mpirun)")
    if not (pathlib.Path(BINARY).parent / "libvitrail_mpi.so").exists():
        skip("this build has no MPI")
    unittest.main(argv=sys.argv[:1])
