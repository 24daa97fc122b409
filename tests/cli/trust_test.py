#!/usr/bin/env python3
"""What must not end a command by a signal, keep it waiting, or cost it its work: streams that are
closed or full, signals to end, names that are not UTF-8, two runs in one folder, files of another
kind, values of --set. usage: trust_test.py BINARY SOURCE_DIR"""
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

from command import BINARY, MODEL, CommandTest, vitrail, write_png

TINY = ["--data", "scenes:size=16,count=96,val=16,test=16", "--threads", "1", "--seed", "3"]
for setting in ("image_size=16", "patch_size=8", "embed_dim=16", "depth=2", "num_heads=2",
                "batch_size=8", "warmup_epochs=0", "patch_embedding=linear", "position=learned",
                "pooling=class_token", "class_token=true"):
    TINY += ["--set", setting]


def train(out, *more, epochs=2):
    return [BINARY, "train", "--out", os.fsencode(out), "--epochs", str(epochs), *TINY, *more]


def model_bytes(run):
    return (pathlib.Path(run) / "model.safetensors").read_bytes()


class TrustTest(CommandTest):
    def run_shell(self, command, redirection, **more):
        """The command under sh, which closes or redirects streams."""
        return subprocess.run(["sh", "-c", f'"$@" {redirection}', "sh", *command], timeout=300,
                              capture_output=True, **more)

    def one_line(self, text, saying=""):
        if isinstance(text, bytes):
            text = text.decode()
        lines = [line for line in text.splitlines() if line.startswith("vitrail: [")]
        self.assertEqual(len(lines), 1, text)
        self.assertIn(saying, lines[0])

    # Streams

    def test_a_stderr_that_takes_nothing_is_no_reason_to_end(self):
        subprocess.run(train(self.folder / "as_usual"), check=True, capture_output=True)
        for i, redirection in enumerate(("2>&-", "2>/dev/full", "2>&- <&-", "2>/dev/full >&-")):
            out = self.folder / f"run{i}"
            ended = self.run_shell(train(out), redirection)
            self.assertEqual(ended.returncode, 1 if ">&-" in redirection[4:] else 0, redirection)
            self.assertEqual(model_bytes(out), model_bytes(self.folder / "as_usual"), redirection)
            # No file of the run took the number of a stream that is closed.
            for line in (out / "metrics.jsonl").read_text().splitlines():
                json.loads(line)
        # Errors that cannot be said are still an exit status.
        for command in (["classify", "--model", "nowhere", "x.png"], ["--no-such-option"]):
            for redirection in ("2>&-", "2>/dev/full"):
                status = self.run_shell([BINARY, *command], redirection).returncode
                self.assertIn(status, (1, 2), (command, redirection))

    def test_a_stderr_that_nobody_reads(self):
        out = self.folder / "run"
        process = subprocess.Popen(train(out), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        process.stderr.close()
        self.assertEqual(process.wait(300), 0)
        self.assertTrue((out / "model.safetensors").exists())

    def test_a_stdout_that_takes_nothing_is_said(self):
        classify = [BINARY, "classify", "--model", MODEL, self.folder / "a.png"]
        for redirection in (">&-", ">/dev/full"):
            for command in (classify, [*classify, "--json"], [BINARY, "inspect", "--model", MODEL],
                            [BINARY, "doctor", "--model", MODEL],
                            train(self.folder / f"run{redirection[1:3]}")):
                ended = self.run_shell(command, redirection)
                self.assertEqual(ended.returncode, 1, (command, redirection, ended.stderr))
                if command[1] != "train":
                    self.one_line(ended.stderr, "standard output cannot be written")
        process = subprocess.Popen([BINARY, "classify", "--model", MODEL, "--json",
                                    *[self.folder / "a.png"] * 4000],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.close()  # as `| head` does
        errors = process.stderr.read()
        process.stderr.close()
        self.assertEqual(process.wait(300), 1, errors)
        self.one_line(errors, "standard output cannot be written")

    # Signals

    def start(self, out, epochs=400):
        process = subprocess.Popen(train(out, epochs=epochs), stderr=subprocess.PIPE,
                                   stdout=subprocess.DEVNULL, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        until = time.monotonic() + 120
        while not (out / "metrics.jsonl").exists() and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.1)
        return process

    def test_every_signal_to_end_writes_a_checkpoint(self):
        for sent in (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM,
                     signal.SIGINT, signal.SIGXCPU, signal.SIGALRM, signal.SIGVTALRM):
            out = self.folder / sent.name
            process = self.start(out)
            process.send_signal(sent)
            errors = process.stderr.read()
            self.assertEqual(process.wait(120), 1, (sent, errors))
            self.assertRegex(errors, r"stopped at step \d+; continue with", sent)
            stopped = int(errors.split("stopped at step ")[1].split(";")[0])
            self.assertTrue((out / "checkpoints" / f"step-{stopped:09}.safetensors").exists(), sent)
            self.assertFalse((out / ".vitrail.lock").exists())

    def test_nohup_goes_on(self):
        out = self.folder / "run"
        process = subprocess.Popen(train(out, epochs=40), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL,
                                   preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        self.addCleanup(process.kill)
        while not (out / "metrics.jsonl").exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGHUP)
        self.assertEqual(process.wait(300), 0)

    def test_a_limit_on_the_size_of_files_is_an_error(self):
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
        out = self.folder / "run"
        ended = subprocess.run(train(out), capture_output=True, preexec_fn=limit, timeout=300)
        self.assertEqual(ended.returncode, 1, ended.stderr)
        self.one_line(ended.stderr, "ulimit -f")
        self.assertFalse((out / "metrics.jsonl").exists())  # before any work
        ended = subprocess.run([BINARY, "convert", "--model", MODEL, "--to", "vitrail", "--out",
                                self.folder / "converted"],
                               capture_output=True, preexec_fn=limit, timeout=300)
        self.assertEqual(ended.returncode, 1, ended.stderr)
        self.one_line(ended.stderr, "model.safetensors")

    # Names that are not UTF-8

    def picture_folders(self, names=(b"one", b"two"), pictures=12):
        data = self.folder / "data"
        for i, name in enumerate(names):
            place = os.fsencode(data) + b"/" + name
            os.makedirs(place)
            for j in range(pictures):
                write_png(os.fsdecode(place) + f"/p{j}\udce9.png", shade=100 * i + j)
        return data

    def test_a_class_that_no_file_can_keep_is_refused_at_the_start(self):
        data = self.picture_folders((b"caf\xe9", b"two"))
        for command in (["train", "--data", f"folder:{data}", "--epochs", "1"],
                        ["finetune", "--model", MODEL, "--data", f"folder:{data}", "--method",
                         "probe"]):
            out = self.folder / f"out-{command[0]}"
            self.fails(*command, "--out", out, saying=r"caf\xe9")
            self.assertFalse((out / "metrics.jsonl").exists())
            self.assertFalse((out / "model.safetensors").exists())

    def test_pictures_and_folders_of_any_name(self):
        data = self.picture_folders()
        odd = os.fsencode(self.folder) + b"/r\xe9sultat"
        finetune = vitrail("finetune", "--model", MODEL, "--data", f"folder:{data}", "--out",
                           os.fsdecode(odd), "--method", "full", "--epochs", "1", "--json")
        self.assertEqual(finetune.status, 0, finetune.errors)
        self.assertIn(r"r\xe9sultat", finetune.json()[0]["model"])
        ended = subprocess.run(train(os.fsdecode(odd) + "2", "--json", epochs=1),
                               capture_output=True, timeout=300)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertIn(r"r\xe9sultat2", json.loads(ended.stdout)["model"])
        picture = os.fsdecode(os.fsencode(data) + b"/one/p0\xe9.png")
        model = os.fsdecode(odd)
        for command in (["classify", "--model", model, "--json", picture],
                        ["embed", "--model", model, "--json", picture],
                        ["eval", f"folder:{data}", "--model", model, "--json"],
                        ["inspect", "--model", model, "--json"],
                        ["data", "describe", f"folder:{data}", "--json"],
                        ["convert", "--model", model, "--to", "vitrail", "--json", "--out",
                         os.fsdecode(odd) + "3"],
                        ["explain", "--model", model, "--out", os.fsdecode(odd) + "4", "--json",
                         picture],
                        ["embed", "--model", model, picture, "--out",
                         os.fsdecode(odd) + ".safetensors"],
                        ["report", model]):
            ended = subprocess.run([BINARY, *map(os.fsencode, command)], capture_output=True,
                                   timeout=300)
            self.assertEqual(ended.returncode, 0, (command, ended.stderr))
            if "--json" in command:
                for line in ended.stdout.decode().splitlines():  # strictly UTF-8
                    json.loads(line)

    def test_data_that_no_file_can_keep_is_refused_at_the_start(self):
        data = os.fsdecode(os.fsencode(self.folder) + b"/donn\xe9es")
        shutil.copytree(self.picture_folders(), data)
        for command in (["train"], ["finetune", "--model", MODEL, "--method", "probe"]):
            out = self.folder / command[0]
            self.fails(*command, "--data", f"folder:{data}", "--out", out, saying="not UTF-8")
            self.assertFalse((out / "metrics.jsonl").exists())

    def test_values_that_are_not_utf8(self):
        bad = os.fsdecode(b"\xff\xe9")
        for key in ("pooling", "num_heads", "mean", "interpolation", "architecture", "family",
                    "nonsense", "image_size", "state_dict"):
            self.fails("classify", "--model", MODEL, "--set", f"{key}={bad}",
                       self.folder / "a.png", status=2 if key == "nonsense" else 1)
        for key in ("pooling", "optimizer", "auto_augment", "method", "precision", "nonsense"):
            # What is no word of a field is bad usage; any word may be a name in other fields.
            self.fails("train", "--out", self.folder / "run", *TINY, "--set", f"{key}={bad}",
                       status=2 if key in ("pooling", "nonsense") else 1)
        self.fails("classify", "--model", bad, self.folder / "a.png")
        self.fails("classify", "--model", MODEL, "--labels", bad, self.folder / "a.png")

    # One run a folder

    def test_two_runs_in_one_folder(self):
        out = self.folder / "run"
        first = self.start(out)
        others = [["train", "--out", out, "--epochs", "1", *TINY],
                  ["train", "--resume", "--out", out],
                  ["finetune", "--model", MODEL, "--data", f"folder:{self.picture_folders()}",
                   "--out", out],
                  ["convert", "--model", MODEL, "--to", "timm", "--out", out]]
        before = (out / "metrics.jsonl").read_text()
        for other in others:
            self.fails(*other, saying=f"is being written by train, process {first.pid} on ")
        self.assertEqual(vitrail("report", out).status, 0)  # it only adds its page
        first.send_signal(signal.SIGKILL)
        first.wait()
        # A process that was killed holds nothing; what it wrote is as it was.
        text = (out / "metrics.jsonl").read_text()
        self.assertTrue(text.startswith(before))
        again = vitrail("convert", "--model", MODEL, "--to", "timm", "--out", out)
        self.assertEqual(again.status, 0, again.errors)

    # Files of another kind

    def test_pipes_devices_and_sockets_are_refused_at_once(self):
        pipe, device = self.folder / "pipe", self.folder / "device"
        os.mkfifo(pipe)
        os.symlink("/dev/zero", device)
        wire = socket.socket(socket.AF_UNIX)
        self.addCleanup(wire.close)
        here = os.getcwd()
        os.chdir(self.folder)  # a socket's name may have 107 bytes
        wire.bind("socket")
        os.chdir(here)
        picture = self.folder / "a.png"
        for kind, odd in (("pipe", pipe), ("device", device), ("socket", self.folder / "socket")):
            started = time.monotonic()
            saying = f"is a {kind}, not a file"
            self.fails("classify", "--model", odd, picture, saying=saying)
            self.fails("classify", "--model", MODEL, "--labels", odd, picture, saying=saying)
            ended = vitrail("classify", "--model", MODEL, odd)
            self.assertEqual(ended.status, 1)
            self.assertIn(saying, "".join(ended.errors))
            for name in ("config.json", "model.safetensors"):
                model = self.copy_model(f"{kind}-{name}")
                (model / name).unlink()
                os.symlink(odd, model / name)
                ended = vitrail("classify", "--model", model, picture)
                self.assertEqual(ended.status, 1, (kind, name))
                self.assertIn(saying, "".join(ended.errors))
            for spec in (f"csv:{odd}", f"tar:{odd}"):
                ended = vitrail("data", "describe", spec)
                self.assertEqual(ended.status, 1, spec)
                self.assertIn(kind, "".join(ended.errors))
            idx = self.folder / f"idx-{kind}"
            idx.mkdir()
            for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
                os.symlink(odd, idx / name)
            self.assertEqual(vitrail("data", "describe", f"mnist:{idx}").status, 1)
            run = self.folder / f"run-{kind}"
            run.mkdir()
            os.symlink(odd, run / "train.json")
            self.fails("report", run, saying=saying)
            self.fails("train", "--resume", "--out", run, saying=saying)
            self.assertLess(time.monotonic() - started, 120)

    def test_folders_that_cannot_be_written_are_found_before_the_work(self):
        (self.folder / "file").write_text("")
        data = f"folder:{self.picture_folders()}"
        commands = (["train", *TINY, "--out"],
                    ["finetune", "--model", MODEL, "--data", data, "--out"],
                    ["convert", "--model", MODEL, "--to", "vitrail", "--out"],
                    ["quantize", "--model", MODEL, "--data", data, "--out"])
        for command in commands:
            for out in (self.folder / "file", self.folder / "file" / "below", "/proc/self/nowhere"):
                self.fails(*command, out, saying=str(out))

    # What others wrote into a run's folder

    def test_a_report_of_hostile_lines(self):
        out = self.folder / "run"
        subprocess.run(train(out, epochs=1), check=True, capture_output=True)
        deep = "[" * 100_000 + "]" * 100_000
        nested = '{"a":' * 100_000 + "1" + "}" * 100_000
        for name in ("machine.jsonl", "metrics.jsonl"):
            with open(out / name, "ab") as file:
                for line in (deep, nested, "7", "\xff", '{"step":1e999}', '{"kind":{},"step":[]}'):
                    file.write(line.encode("latin-1") + b"\n")
        self.assertEqual(vitrail("report", out).status, 0)
        (out / "train.json").write_text(deep)
        self.fails("report", out, saying="nested deeper")

    # Settings

    VALUES = ("0", "-1", "1", "3", "1000000000", "1073741824", "9223372036854775807",
              "-9223372036854775808", "99999999999999999999", "1e308", "-1e308", "1e999", "nan",
              "inf", "-inf", "", " ", "true", "null", "1,2,3", "0,0,0", "[1]", "{}", "x" * 3000,
              "\x1b[2J", "0x10", "1.5")

    def settings(self, keys, count, seed):
        keys = sorted(keys)
        pairs = [(key, value) for key in keys for value in ("0", "-1", "1073741824", "nan", "")]
        random.Random(seed).shuffle(pairs)
        random.seed(seed)
        more = [(random.choice(keys), random.choice(self.VALUES)) for _ in range(count // 3)]
        return (more + pairs)[:count]

    def test_no_setting_of_a_model_ends_by_a_signal(self):
        wanted = vitrail("classify", "--model", MODEL, "--set", "nonsense=1", self.folder / "a.png")
        keys = wanted.errors[-1].split("there are ")[1].split("; see")[0].split(", ")
        self.assertGreater(len(keys), 40)
        for key, value in self.settings(keys, 220, 1):
            ended = vitrail("classify", "--model", MODEL, "--threads", 1, "--set", f"{key}={value}",
                            self.folder / "a.png")
            self.assertIn(ended.status, (0, 1, 2), (key, value, ended.errors))
            if ended.status:
                said = "".join(ended.errors)
                self.assertNotIn("[internal]", said, (key, value))
                self.assertNotIn("[memory]", said, (key, value))

    def test_no_setting_of_a_run_ends_by_a_signal(self):
        wanted = vitrail("train", "--out", self.folder / "x", *TINY, "--set", "nonsense=1")
        keys = wanted.errors[-1].split("there are ")[1].split("; see")[0].split(", ")
        self.assertGreater(len(keys), 80)
        for i, (key, value) in enumerate(self.settings(keys, 200, 2)):
            out = self.folder / f"run{i}"
            # A limit of time: most of what is accepted would only train for long.
            limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
            command = train(out, "--set", f"{key}={value}", epochs=1)
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                       text=True, errors="replace", preexec_fn=limit)
            try:
                _, said = process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                process.terminate()
                _, said = process.communicate(timeout=120)
            self.assertIn(process.returncode, (0, 1, 2), (key, value, said))
            self.assertNotIn("[internal]", said, (key, value))
            shutil.rmtree(out, ignore_errors=True)

    def test_a_picture_beyond_any_memory_is_refused(self):
        side = str(1 << 30)
        for command in (["data", "render", "--size", side, "--out", self.folder / "x.png"],
                        ["data", "describe", f"scenes:size={side}"],
                        ["train", "--data", f"scenes:size={side}", "--out", self.folder / "run"],
                        ["train", *TINY, "--set", f"image_size={side}", "--out",
                         self.folder / "run"],
                        ["classify", "--model", MODEL, "--set", f"image_height={side}", "--set",
                         f"image_width={side}", self.folder / "a.png"],
                        ["classify", "--model", MODEL, "--set", f"image_size={side}",
                         self.folder / "a.png"]):
            ended = vitrail(*command)
            self.assertIn(ended.status, (1, 2), (command, ended.errors))
            self.one_line("\n".join(ended.errors))
            self.assertNotIn("[memory]", "".join(ended.errors))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
