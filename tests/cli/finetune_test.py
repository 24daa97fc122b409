#!/usr/bin/env python3
"""vitrail finetune on a tiny checkpoint and a few pictures: each method, what it writes, how it
fails. usage: finetune_test.py BINARY SOURCE_DIR"""
import ctypes
import json
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

from command import BINARY, GOLDENS, SOURCE, Result, read_safetensors, vitrail, write_png

MODEL = GOLDENS / "timm" / "augreg"  # 5 classes at 12 x 12
HF = GOLDENS / "hf" / "vit_10"  # 5 classes at 16 x 16
HOSTILE = SOURCE / "tests" / "golden" / "formats" / "hostile_pth"


class FolderOpenings:
    """How often a folder was opened, by whomever: what inotify(7) tells."""
    OPEN, CLOSE, IS_FOLDER = 0x20, 0x10, 0x40000000

    def __init__(self, folder):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.queue = self.libc.inotify_init1(os.O_NONBLOCK)
        # With the closings, since two equal events in a row would be told as one.
        watch = self.libc.inotify_add_watch(self.queue, str(folder).encode(), self.OPEN | self.CLOSE)
        if self.queue < 0 or watch < 0:
            raise unittest.SkipTest("this system has no inotify: " + os.strerror(ctypes.get_errno()))
        self.seen = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.queue)

    def count(self):
        while True:
            try:
                events = os.read(self.queue, 1 << 16)
            except BlockingIOError:
                return self.seen
            while events:
                _, mask, _, length = struct.unpack_from("iIII", events)
                self.seen += bool(mask & self.OPEN and mask & self.IS_FOLDER and not length)
                events = events[16 + length:]


class Finetune(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.data = self.folder / "data"
        for label, shade in (("dark", 0), ("light", 140)):
            (self.data / label).mkdir(parents=True)
            for i in range(12):
                write_png(self.data / label / f"shot{i // 2}-{i}.png", shade=shade + i)

    def finetune(self, *arguments, model=MODEL, data=None):
        return vitrail("finetune", "--model", model, "--data", data or f"folder:{self.data}",
                       "--out", self.folder / "run", "--threads", 1, "--json", *arguments)

    def succeeds(self, *arguments, **named):
        result = self.finetune(*arguments, **named)
        self.assertEqual(result.status, 0, result.errors)
        return result.json()[0], result

    def fails(self, saying, *arguments, status=1, **named):
        result = self.finetune(*arguments, **named)
        self.assertEqual(result.status, status, result.errors)
        errors = [line for line in result.errors if line.startswith("vitrail: [")]
        self.assertEqual(len(errors), 1, result.errors)
        self.assertIn(saying, errors[0])
        self.assertEqual(result.out, "")

    def answers(self, *arguments):
        picture = self.data / "light" / "shot0-0.png"
        result = vitrail("classify", *arguments, "--json", picture)
        self.assertEqual(result.status, 0, result.errors)
        return result.json()[0]

    def test_probe_writes_a_model_in_timms_form(self):
        line, result = self.succeeds("--method", "probe")
        self.assertEqual((line["method"], line["form"], line["classes"]), ("probe", "timm", 2))
        self.assertEqual(line["validation"]["count"], 4)  # a fifth of each class
        low, high = line["validation"]["interval"]
        self.assertTrue(0 <= low <= line["validation"]["accuracy"] <= high <= 1)
        self.assertTrue(any("head.weight" in text for text in result.errors), result.errors)
        config = json.loads((self.folder / "run" / "config.json").read_text())
        base = json.loads((MODEL / "config.json").read_text())
        self.assertEqual(config["label_names"], ["dark", "light"])
        self.assertEqual(config["num_classes"], 2)
        for key in ("mean", "std", "crop_pct", "interpolation"):
            if key in base["pretrained_cfg"]:
                self.assertEqual(config["pretrained_cfg"][key], base["pretrained_cfg"][key])
        before = read_safetensors(MODEL / "model.safetensors")
        after = read_safetensors(self.folder / "run" / "model.safetensors")
        self.assertEqual(after["head.weight"][0][0], 2)
        for name in before:
            if not name.startswith("head."):
                self.assertEqual(before[name], after[name], name)
        self.assertIn("light", str(self.answers("--model", self.folder / "run")))

    def test_groups_stay_together(self):
        line, _ = self.succeeds("--method", "probe", "--group", r"(shot\d+)-")
        self.assertEqual(line["validation"]["count"] % 2, 0)
        self.fails("regular expression", "--method", "probe", "--group", "(")

    def test_every_method_trains_and_is_kept_where_it_does_better(self):
        for method in ("full", "partial", "lora"):
            with self.subTest(method):
                shutil.rmtree(self.folder / "run", ignore_errors=True)
                line, result = self.succeeds("--method", method, "--epochs", 2, "--batch", 8,
                                             "--blocks", 1, "--rank", 2)
                self.assertIn(line["method"], (method, "probe"))
                self.assertGreaterEqual(line["validation"]["correct"], line["probe"]["correct"])
                self.assertEqual(read_safetensors(self.folder / "run" / "model.safetensors").keys(),
                                 read_safetensors(MODEL / "model.safetensors").keys())
                self.assertTrue(any("weights are trained" in text for text in result.errors))
                whole = line["parameters"] == line["trained_parameters"]
                if line["method"] != "probe":
                    self.assertEqual(whole, method == "full")

    def test_an_adapter_saved_apart_answers_as_the_merged_model(self):
        line, _ = self.succeeds("--method", "lora", "--epochs", 3, "--batch", 4, "--rank", 2)
        self.assertEqual(line["method"], "lora", "the probe did better: train longer")
        adapter = self.folder / "run" / "adapter"
        names = read_safetensors(adapter / "adapter_model.safetensors")
        self.assertIn("base_model.model.blocks.0.attn.qkv.lora_A.weight", names)
        config = json.loads((adapter / "adapter_config.json").read_text())
        self.assertEqual((config["peft_type"], config["r"]), ("LORA", 2))
        # The projection of patches is no part of it, which PEFT would take "proj" for.
        self.assertEqual({f"base_model.model.{path}.lora_A.weight"
                          for path in config["target_modules"]},
                         {name for name in names if name.endswith("lora_A.weight")})
        self.assertEqual(json.loads((adapter / "labels.json").read_text()), ["dark", "light"])
        merged = self.answers("--model", self.folder / "run")
        apart = self.answers("--model", MODEL, "--set", f"adapter={adapter}")
        self.assertEqual([c["label"] for c in merged["top"]],
                         [c["label"] for c in apart["top"]])
        for one, other in zip(merged["top"], apart["top"]):
            self.assertAlmostEqual(one["probability"], other["probability"], places=5)

    def test_a_set_with_its_own_val_is_judged_on_it(self):
        divided = self.folder / "divided"
        for label in ("dark", "light"):
            for split, names in (("train", range(8)), ("val", range(8, 12))):
                (divided / split / label).mkdir(parents=True)
                for i in names:
                    shutil.copy(self.data / label / f"shot{i // 2}-{i}.png", divided / split / label)
        line, _ = self.succeeds("--method", "probe", data=f"folder:{divided}")
        self.assertEqual(line["validation"]["count"], 8)

    def test_a_larger_picture_resizes_positions(self):
        line, result = self.succeeds("--method", "probe", "--size", 20)
        self.assertTrue(any("resized: pos_embed" in text for text in result.errors), result.errors)
        config = json.loads((self.folder / "run" / "config.json").read_text())
        self.assertEqual(config["pretrained_cfg"]["input_size"][1:], [20, 20])

    def test_transformers_form_at_another_size(self):
        line, result = self.succeeds("--method", "probe", "--size", 24, model=HF)
        self.assertEqual((line["form"], line["classes"]), ("hf_vit", 2))
        self.assertTrue(any("resized: pos_embed from 4x4 to 6x6" in text for text in result.errors),
                        result.errors)
        config = json.loads((self.folder / "run" / "config.json").read_text())
        self.assertEqual(config["image_size"], 24)
        self.assertEqual(config["id2label"], {"0": "dark", "1": "light"})
        preprocessing = json.loads((self.folder / "run" / "preprocessor_config.json").read_text())
        self.assertEqual((preprocessing["size"]["height"], preprocessing["size"]["width"]),
                         (24, 24))
        table = read_safetensors(self.folder / "run" / "model.safetensors")[
            "vit.embeddings.position_embeddings"]
        self.assertEqual(table[0][1], 1 + (24 // 4) ** 2)
        self.assertIn("light", str(self.answers("--model", self.folder / "run")))

    def test_a_run_that_was_stopped_goes_on_to_the_same_bits(self):
        # The last one unlearns: then the probe's model is kept, of which a resumed run knows nothing.
        for model, rate, method in ((MODEL, 1e-3, "full"), (HF, 1e-3, "full"), (MODEL, 5, "probe")):
            arguments = ["--method", "full", "--epochs", 40, "--batch", 4, "--lr", rate,
                         "--train-set", "patience=0"]
            with self.subTest(model=model.name, rate=rate):
                whole, _ = self.succeeds(*arguments, model=model)
                self.assertEqual(whole["method"], method)
                expected = (self.folder / "run" / "model.safetensors").read_bytes()
                shutil.rmtree(self.folder / "run")
                again, result = self.run_advice(self.stopped_run(*arguments, model=model))
                self.assertTrue(any(text.startswith("resumed at step ") for text in result.errors),
                                result.errors)
                for key in ("method", "validation", "probe", "trained_parameters"):
                    self.assertEqual(again[key], whole[key], key)
                self.assertEqual((self.folder / "run" / "model.safetensors").read_bytes(), expected)
                shutil.rmtree(self.folder / "run")
        self.fails("finetune.json", "--resume")

    def run_advice(self, command):
        """What was printed, typed into a shell."""
        result = Result(subprocess.run(["bash", "-c", command], capture_output=True, text=True,
                                       timeout=800))
        self.assertEqual(result.status, 0, (command, result.errors))
        return result.json()[0] if "--json" in command else None, result

    def advised(self, start, lines):
        command, = [line.rstrip("\n").split(start, 1)[1] for line in lines if start in line]
        return command

    def stopped_run(self, *arguments, model):
        command = [BINARY, "finetune", "--model", model, "--data", f"folder:{self.data}",
                   "--out", self.folder / "run", "--threads", 1, "--json", *arguments]
        for _ in range(20):  # on a busy machine the run may end before the signal is sent
            with subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True) as process:
                seen = []
                for text in process.stderr:
                    seen.append(text)
                    if text.startswith("epoch 2/40: "):
                        process.send_signal(signal.SIGTERM)
            if process.returncode != 0:
                break
            shutil.rmtree(self.folder / "run")
        self.assertEqual(process.returncode, 1, seen)
        self.assertNotIn("epoch 40/40: ", "".join(seen))
        return self.advised("stopped; continue with: ", seen)

    def make_pictures_slow(self):
        """Each takes a while to decode, so that a signal comes in time on a busy machine, too."""
        side = 3000
        row = b"\0" + random.Random(1).randbytes(3 * side)
        packed = zlib.compress(row * side, 1)

        def chunk(kind, data):
            return (struct.pack(">I", len(data)) + kind + data
                    + struct.pack(">I", zlib.crc32(kind + data)))

        header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
        for number, path in enumerate(sorted(self.data.rglob("*.png"))):
            path.write_bytes(b"\x89PNG\r\n\x1a\n" + header
                             + chunk(b"tEXt", b"Title\0" + str(number).encode())
                             + chunk(b"IDAT", packed) + chunk(b"IEND", b""))

    def stopped_at(self, start, stopped, *arguments):
        """What a run printed that was sent a signal at the line that begins so."""
        command = [BINARY, "finetune", "--model", MODEL, "--data", f"folder:{self.data}", "--out",
                   self.folder / "run", "--threads", 1, "--json", "--method", "probe", *arguments]
        for _ in range(20):
            shutil.rmtree(self.folder / "run", ignore_errors=True)
            with subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True) as process:
                seen = []
                for text in process.stderr:
                    seen.append(text)
                    if text.startswith(start):
                        process.send_signal(signal.SIGINT)
                out = process.stdout.read()
            if any(stopped in text for text in seen):
                break
        self.assertEqual((process.returncode, out), (1, ""), seen)
        return seen

    def test_a_run_that_was_stopped_in_its_probe_begins_the_probe_again(self):
        self.make_pictures_slow()
        seen = self.stopped_at("20 pictures of ", "stopped; continue with: ")
        self.assertFalse([text for text in seen if text.startswith("linear probe")], seen)
        self.fails("holds a run already", "--method", "probe")
        page = vitrail("report", self.folder / "run")
        self.assertEqual(page.status, 0, page.errors)
        self.assertIn("--resume", (self.folder / "run" / "report.html").read_text())
        line, result = self.run_advice(self.advised("stopped; continue with: ", seen))
        self.assertEqual((line["method"], line["count"]), ("probe", 4))
        self.assertTrue(any("stopped before its probe" in text for text in result.errors))
        self.assertEqual(vitrail("report", self.folder / "run").status, 0)
        self.fails("holds no run that began to train", "--method", "probe", "--resume")

    def test_a_run_that_was_stopped_after_its_probe_has_its_model(self):
        self.make_pictures_slow()
        seen = self.stopped_at("method probe: ", "stopped: the model is whole, in ")
        self.run_advice(self.advised("its page: ", seen))
        self.assertTrue((self.folder / "run" / "report.html").is_file())
        self.assertIn("light", str(self.answers("--model", self.folder / "run")))

    def test_a_folder_is_walked_once(self):
        """However many splits there are, and though the model is judged and shown at the end."""
        divided = self.folder / "divided"
        for split in ("train", "val", "test"):
            shutil.copytree(self.data, divided / split)
        for data, looked_at, arguments in (
                (self.data, "dark", ("--method", "probe")),
                (divided, "train/dark", ("--method", "full", "--epochs", 1))):
            shutil.rmtree(self.folder / "run", ignore_errors=True)
            with FolderOpenings(data / looked_at) as openings:
                self.succeeds(*arguments, data=f"folder:{data}")
                self.assertEqual(openings.count(), 1)
                self.assertTrue((self.folder / "run" / "report.html").is_file())
                vitrail("data", "describe", f"folder:{data}")
                self.assertEqual(openings.count(), 2)

    def test_another_size_and_hard_names_are_in_what_is_advised(self):
        """The command that resumes says all that the first one said, quoted for a shell."""
        data = self.folder / "it's my \x1b[1m data"
        shutil.move(self.data, data)
        self.data = data
        arguments = ["--method", "full", "--epochs", 40, "--batch", 4, "--size", 20, "--train-set",
                     "patience=0"]
        command = self.stopped_run(*arguments, model=MODEL)
        self.assertNotIn("\x1b", command)
        page = vitrail("report", self.folder / "run")
        self.assertEqual(page.status, 0, page.errors)
        self.assertIn("--size 20", (self.folder / "run" / "report.html").read_text())
        line, _ = self.run_advice(command)
        self.assertEqual(line["method"], "full")
        # And who uses the model need not repeat it.
        config = json.loads((self.folder / "run" / "config.json").read_text())
        self.assertEqual(config["pretrained_cfg"]["input_size"][1:], [20, 20])
        self.assertIn("light", str(self.answers("--model", self.folder / "run")))

    def test_a_probe_that_has_won_ends_it(self):
        """Two shades that a head tells apart without a mistake: nothing is left to gain."""
        line, result = self.succeeds()
        self.assertEqual((line["method"], line["spared"]), ("probe", "full"))
        self.assertEqual(line["probe"]["correct"], line["probe"]["count"])
        self.assertTrue(any("training could gain nothing" in text for text in result.errors),
                        result.errors)
        self.assertFalse((self.folder / "run" / "checkpoints").exists())
        self.assertEqual(json.loads((self.folder / "run" / "finetune.json").read_text())["spared"],
                         "full")
        shutil.rmtree(self.folder / "run")
        text = vitrail("finetune", "--model", MODEL, "--data", f"folder:{self.data}", "--out",
                       self.folder / "run", "--epochs=1", "--method=auto")
        command = self.advised("to train on all the same: ", text.lines)
        self.run_advice(command)
        self.assertTrue((self.folder / "run-full" / "checkpoints").is_dir())
        shutil.rmtree(self.folder / "run")
        asked, _ = self.succeeds("--method", "full", "--epochs", 1)
        self.assertIsNone(asked["spared"])

    def test_choices_do_not_depend_on_how_busy_the_machine_is(self):
        """The same words, whatever the clock says: what is measured is printed and chooses nothing."""
        def chosen(threads):
            out = self.folder / f"run-{threads}"
            result = vitrail("finetune", "--model", MODEL, "--data", f"folder:{self.data}", "--out",
                             out, "--minutes", 1e-9, "--threads", threads)
            self.assertEqual(result.status, 0, result.errors)
            return [text for text in result.errors if text.startswith("method ")]

        first = chosen(1)
        self.assertEqual(first, chosen(2))
        self.assertIn("method probe: ", first[0])
        self.assertIn("would take more than 1e-09 minutes", first[0])

    def test_a_probe_leaves_a_page(self):
        for i in range(0, 12, 2):  # pictures that are not what their folder says
            shutil.move(self.data / "dark" / f"shot{i // 2}-{i}.png", self.data / "dark" / "x.png")
            shutil.move(self.data / "light" / f"shot{i // 2}-{i}.png",
                        self.data / "dark" / f"shot{i // 2}-{i}.png")
            shutil.move(self.data / "dark" / "x.png", self.data / "light" / f"shot{i // 2}-{i}.png")
        text = vitrail("finetune", "--model", MODEL, "--data", f"folder:{self.data}", "--out",
                       self.folder / "run", "--method", "probe", "--val-fraction", 0.5)
        page = self.folder / "run" / "report.html"
        self.assertIn(f"{page} shows the run", text.lines)
        html = page.read_text()
        self.assertIn("12 pictures of", html)
        self.assertIn('"matrix"', html)
        self.assertIn('"confused":[{', html)
        self.assertIn('"heat":[[', html)
        use = self.advised("form) is in " + str(self.folder / "run") + ": ", text.lines)
        answer = self.run_advice(use.replace("PICTURE", str(self.data / "dark" / "shot0-1.png")))[1]
        self.assertIn("dark", answer.out)

    def test_so_many_pictures_may_be_broken(self):
        for name in ("dark/shot0-0.png", "light/shot3-7.png"):
            (self.data / name).write_text("no picture")
        self.fails("--max-broken", "--method", "probe")
        _, result = self.succeeds("--method", "probe", "--max-broken", 0.5)
        left_out = [text for text in result.errors if "is left out" in text]
        self.assertEqual(len(left_out), 2, result.errors)
        model = ["--model", self.folder / "run", "--json"]
        strict = vitrail("eval", f"folder:{self.data}", *model)
        self.assertEqual(strict.status, 1)
        errors = [line for line in strict.errors if line.startswith("vitrail: [")]
        self.assertEqual(len(errors), 1, strict.errors)
        self.assertIn("1 broken of 24 pictures, and the limit is 0 (1%): --max-broken", errors[0])
        lenient = vitrail("eval", f"folder:{self.data}", *model, "--max-broken", 0.1)
        self.assertEqual(lenient.status, 0, lenient.errors)
        self.assertEqual(lenient.json()[0]["count"], 22)
        self.assertEqual(lenient.json()[0]["broken"], ["dark/shot0-0.png", "light/shot3-7.png"])
        self.assertEqual(vitrail("eval", "x", "--max-broken", 2).status, 2)

    def test_a_run_is_not_overwritten(self):
        self.succeeds("--method", "probe")
        self.fails("holds a run already", "--method", "probe")

    def test_mistakes(self):
        one = self.folder / "one"
        shutil.copytree(self.data / "dark", one / "dark")
        self.fails("one class", data=f"folder:{one}")
        flat = self.folder / "flat"
        flat.mkdir()
        self.fails("holds no pictures", data=f"flat:{flat}")
        for picture in (self.data / "dark").iterdir():
            shutil.copy(picture, flat / f"dark_{picture.name}")
        self.fails("pictures of one class, 'dark'", data=f"flat:{flat}")
        self.assertFalse((self.folder / "run").exists())
        (self.folder / "none").mkdir()
        for data in (f"folder:{self.folder / 'none'}", f"flat:{flat}"):
            result = vitrail("train", "--data", data, "--arch", "vit_lite_7_4", "--out",
                             self.folder / "trained", "--set", "image_size=16")
            self.assertEqual(result.status, 1)
            self.assertEqual(len(result.errors), 1, result.errors)
            self.assertRegex(result.errors[0], "no folders|pictures of one class, 'dark'")
        self.fails("no such", model=self.folder / "missing")
        self.fails("would call os.system", model=HOSTILE / "reduce_os_system.pth")
        self.fails("--blocks 9", "--method", "partial", "--blocks", 9)
        self.fails("--method", "--method", "magic", status=2)
        self.assertFalse((self.folder / "run" / "model.safetensors").exists()
                         and not (self.folder / "run" / "config.json").exists())


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
