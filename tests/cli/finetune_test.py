#!/usr/bin/env python3
"""vitrail finetune on a tiny checkpoint and a few pictures: each method, what it writes, how it
fails. usage: finetune_test.py BINARY SOURCE_DIR"""
import json
import pathlib
import shutil
import sys
import tempfile
import unittest

from command import GOLDENS, SOURCE, read_safetensors, vitrail, write_png

MODEL = GOLDENS / "timm" / "augreg"  # 5 classes at 12 x 12
HOSTILE = SOURCE / "tests" / "golden" / "formats" / "hostile_pth"


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

    def test_a_run_is_not_overwritten(self):
        self.succeeds("--method", "probe")
        self.fails("holds a run already", "--method", "probe")

    def test_mistakes(self):
        one = self.folder / "one"
        shutil.copytree(self.data / "dark", one / "dark")
        self.fails("one class", data=f"folder:{one}")
        self.fails("no such", model=self.folder / "missing")
        self.fails("would call os.system", model=HOSTILE / "reduce_os_system.pth")
        self.fails("--blocks 9", "--method", "partial", "--blocks", 9)
        self.fails("--method", "--method", "magic", status=2)
        self.assertFalse((self.folder / "run" / "model.safetensors").exists()
                         and not (self.folder / "run" / "config.json").exists())


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
