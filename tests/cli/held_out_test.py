#!/usr/bin/env python3
"""Held-out pictures: labels drawn at random, which nobody can learn, must be answered equally badly
by the run, its page, eval and calibrate. usage: held_out_test.py BINARY SOURCE_DIR"""
import json
import pathlib
import random
import re
import shutil
import sys
import unittest

from command import MODEL, CommandTest, vitrail, write_png

PICTURES, CLASSES = 120, 4
# A small model is given far more steps than it needs, to learn the labels by heart.
TRAINING = {"probe": (), "lora": ("--epochs", 3, "--lr", 0.01, "--rank", 2),
            "full": ("--epochs", 3, "--lr", 0.01)}


def random_pictures(folder, pictures=PICTURES, classes=CLASSES, seed=1):
    """Pictures whose class says nothing of them: folder:CLASS/shotGROUP-NUMBER.png."""
    draw = random.Random(seed)
    for i in range(pictures):
        label = folder / f"class{draw.randrange(classes)}"
        label.mkdir(parents=True, exist_ok=True)
        write_png(label / f"shot{i // 3}-{i}.png", width=12 + i % 8, height=12 + seed,
                  shade=i * 7 % 256)
    return folder


class HeldOutTest(CommandTest):
    def setUp(self):
        super().setUp()
        self.data = random_pictures(self.folder / "data")
        self.run_folder = self.folder / "run"

    def succeeds(self, *arguments):
        result = vitrail(*arguments)
        self.assertEqual(result.status, 0, (arguments, result.errors))
        return result

    def finetune(self, *arguments, data=None, model=MODEL, out=None):
        result = self.succeeds("finetune", "--model", model, "--data", data or self.data, "--out",
                               out or self.run_folder, "--threads", 2, "--json", *arguments)
        return result.json()[0], result

    def evaluate(self, *arguments, data=None, model=None):
        result = self.succeeds("eval", data or self.data, "--model", model or self.run_folder,
                               "--json", *arguments)
        return result.json()[0], result

    def calibrate(self, *arguments, data=None, model=None):
        return self.succeeds("calibrate", data or self.data, "--model", model or self.run_folder,
                             "--dry-run", "--json", *arguments).json()[0]

    def page_of(self, run):
        text = (run / "report.html").read_text()
        return json.loads(re.search(r'id="data"[^>]*>(.*?)</script>', text, re.S).group(1))

    def judge_everywhere(self, line):
        """The run's figure is the page's, eval's and calibrate's, from the same pictures."""
        figure = (line["accuracy"], line["count"])
        self.assertEqual(figure, (line["validation"]["accuracy"], line["validation"]["count"]))
        kept = json.loads((self.run_folder / "finetune.json").read_text())["validation"]
        self.assertEqual(figure, (kept["correct"] / kept["pictures"], kept["pictures"]))
        for again in (False, True):
            if again:
                self.succeeds("report", self.run_folder)
            page = self.page_of(self.run_folder)
            shown = page["evaluation"]
            self.assertEqual(figure, (shown["accuracy"], shown["pictures"]))
        judged, result = self.evaluate("--split", "val")
        self.assertEqual(figure, (judged["top1"], judged["count"]))
        self.assertEqual(judged["trained_on"], {"pictures": 0, "of": line["count"]})
        self.assertIn("the run in", judged["divided_by"])
        for certainty in ("probability", "typicality"):
            calibrated = self.calibrate("--certainty", certainty)
            self.assertEqual(figure, (calibrated["top1"], calibrated["count"]))
            self.assertEqual(calibrated["trained_on"]["pictures"], 0)
        everything, result = self.evaluate()
        self.assertEqual(everything["trained_on"],
                         {"pictures": PICTURES - line["count"], "of": PICTURES})
        self.assertTrue(any("learned from" in error for error in result.errors), result.errors)
        return figure


class Figures(HeldOutTest):
    def check(self, method, *arguments):
        line, _ = self.finetune("--method", method, *TRAINING[method], *arguments)
        accuracy, count = self.judge_everywhere(line)
        # Four standard deviations about chance; the best of some epochs was chosen on them.
        self.assertLess(abs(accuracy - 1 / CLASSES), 4 * (0.25 * 0.75 / count) ** 0.5 + 0.05)
        return count

    def test_probe(self):
        self.check("probe")

    def test_probe_with_group_and_seed(self):
        self.check("probe", "--group", r"(shot\d+)-", "--seed", 5)

    def test_lora_with_seed(self):
        self.check("lora", "--seed", 3)

    def test_full(self):
        self.check("full")

    def test_full_with_group_in_bf16(self):
        # eval answers in f32, and what counts is the model as it is written.
        self.check("full", "--group", r"(shot\d+)-", "--precision", "bf16", "--val-fraction", 0.3)

    def test_train(self):
        result = self.succeeds("train", "--data", self.data, "--out", self.run_folder, "--epochs", 2,
                               "--set", "image_size=12", "--arch", "vit_lite_7_4", "--set",
                               "patch_size=4", "--set", "depth=1", "--set", "val_fraction=0.3",
                               "--seed", 4, "--json")
        said = result.json()[0]["validation"]
        judged, _ = self.evaluate("--split", "val")
        self.assertEqual((said["accuracy"], said["count"]), (judged["top1"], judged["count"]))
        self.assertEqual(judged["trained_on"]["pictures"], 0)
        shown = self.page_of(self.run_folder)["evaluation"]
        self.assertEqual((said["accuracy"], said["count"]), (shown["accuracy"], shown["pictures"]))
        self.assertEqual(self.calibrate("--certainty", "probability")["top1"], said["accuracy"])


class Divided(HeldOutTest):
    """What is done with the list that a run keeps."""

    def setUp(self):
        super().setUp()
        self.line, _ = self.finetune("--method", "probe", "--group", r"(shot\d+)-", "--seed", 2)

    def judged(self, **where):
        judged, _ = self.evaluate("--split", "val", **where)
        self.assertEqual((judged["top1"], judged["count"]),
                         (self.line["accuracy"], self.line["count"]))
        self.assertEqual(judged["trained_on"]["pictures"], 0)

    def test_the_model_knows_it_wherever_it_goes(self):
        moved = self.folder / "moved"
        shutil.move(self.data, moved)
        self.judged(data=moved)
        self.judged(data=f"folder:{moved}/../moved")
        self.judged(data=moved, model=self.run_folder / "model.safetensors")
        copied = self.folder / "copied"
        shutil.copytree(self.run_folder, copied)
        self.judged(data=moved, model=copied)
        for form in ("vitrail", "hf"):
            self.succeeds("convert", "--model", copied, "--to", form, "--out", self.folder / form)
            self.judged(data=moved, model=self.folder / form)
        self.succeeds("quantize", "--model", copied, "--data", moved, "--split", "val", "--out",
                      self.folder / "int8", "--max-drop", 100)
        judged, _ = self.evaluate("--split", "val", data=moved, model=self.folder / "int8")
        self.assertEqual((judged["trained_on"]["pictures"], judged["count"]),
                         (0, self.line["count"]))

    def test_a_lost_list_is_missed(self):
        bare = self.folder / "bare"
        shutil.copytree(self.run_folder, bare)
        (bare / "split.tsv").unlink()
        judged, result = self.evaluate("--split", "val", model=bare)
        self.assertIsNone(judged["trained_on"])
        self.assertTrue(any("split.tsv, which is not beside it" in e for e in result.errors),
                        result.errors)
        (bare / "split.tsv").write_bytes((self.run_folder / "split.tsv").read_bytes()[:-9])
        self.fails("eval", self.data, "--model", bare, saying="split.tsv")

    def test_a_set_by_another_name_is_recognised(self):
        table = self.folder / "table.csv"
        rows = [f"data/{path.parent.name}/{path.name},{path.parent.name}"
                for path in sorted(self.data.rglob("*.png"))]
        table.write_text("path,label\n" + "\n".join(rows) + "\n")
        judged, result = self.evaluate("--split", "all", data=f"csv:{table}")
        self.assertEqual(judged["trained_on"], {"pictures": PICTURES - self.line["count"],
                                                "of": PICTURES})
        for verb in (("eval",), ("calibrate", "--dry-run")):  # no name is one of the list's
            self.fails(*verb, f"csv:{table}", "--model", self.run_folder, "--split", "val",
                       saying="have other names")
        flat = self.folder / "flat"
        flat.mkdir()
        for path in self.data.rglob("*.png"):
            shutil.copy(path, flat / f"{path.parent.name}_{path.name}")
        judged, _ = self.evaluate("--split", "all", data=flat)
        self.assertEqual(judged["trained_on"]["pictures"], PICTURES - self.line["count"])

    def test_other_pictures_are_refused_in_one_line(self):
        first = min(self.data.rglob("*.png"))
        away = first.with_name("zzz.png")

        def refused(saying):
            self.fails("eval", self.data, "--model", self.run_folder, "--split", "val",
                       saying=saying)
            self.fails("calibrate", self.data, "--model", self.run_folder, "--dry-run",
                       saying=saying)
            page = self.succeeds("report", self.run_folder)
            self.assertTrue(any(first.name in e or away.name in e for e in page.errors), page.errors)
            self.assertNotIn("evaluation", {k for k, v in self.page_of(self.run_folder).items() if v})

        first.rename(away)
        refused("1 has another name")
        write_png(first, shade=17, width=9)
        refused("1 has another content")
        away.unlink()
        refused(f"1 has another content ('{first.parent.name}/{first.name}')")
        write_png(away, shade=17, width=10)
        refused("1 picture was added since")
        away.unlink()
        first.unlink()
        refused("1 is gone")

    def test_arguments_that_divide_again_are_refused(self):
        for arguments in (("--seed", 2), ("--group", "folder"), ("--val-fraction", 0.2)):
            self.fails("eval", self.data, "--model", self.run_folder, "--split", "val", *arguments,
                       status=2, saying="has divided these pictures already (20% of each class, "
                                        "seed 2, group '(shot")
            self.fails("eval", self.data, "--model", self.run_folder, *arguments, status=2,
                       saying="all pictures")

    def test_a_stranger_is_divided_by_the_rule(self):
        one, result = self.evaluate("--split", "val", "--seed", 2, "--group", r"(shot\d+)-",
                                    "--val-fraction", 0.2, "--labels", self.labels(), model=MODEL)
        self.assertEqual((one["count"], one["trained_on"]), (self.line["count"], None))
        self.assertTrue(any("not known" in error for error in result.errors), result.errors)

    def labels(self):
        file = self.folder / "labels.txt"
        file.write_text("".join(f"class{i}\n" for i in range(5)))
        return file

    def test_other_pictures_are_no_training_pictures(self):
        others = random_pictures(self.folder / "others", pictures=40, seed=9)
        judged, result = self.evaluate("--split", "val", data=others)
        self.assertEqual(judged["trained_on"]["pictures"], 0)
        self.assertIn("this command", judged["divided_by"])

    def test_what_the_first_run_learned_the_second_knows(self):
        second, result = self.finetune("--method", "probe", "--seed", 7, model=self.run_folder,
                                       out=self.folder / "second")
        self.assertGreater(second["trained_on"]["pictures"], 0)
        self.assertTrue(any("learned by the model that this begins with" in e
                            for e in result.errors), result.errors)
        judged, _ = self.evaluate("--split", "val", model=self.folder / "second")
        self.assertEqual(judged["trained_on"], second["trained_on"])

    def distil(self, *arguments, out="student"):
        result = self.succeeds("train", "--data", self.data, "--out", self.folder / out, "--arch",
                               "vit_lite_7_4", "--set", "image_size=12", "--set", "patch_size=4",
                               "--set", "depth=1", "--epochs", 1, "--set", "val_fraction=0.2",
                               "--json", *arguments)
        line, = result.json()
        self.assertEqual(line["trained_on"]["of"], line["validation"]["count"])
        return line["trained_on"]["pictures"], [e for e in result.errors if "the teacher" in e]

    def test_what_the_teacher_learned_the_student_knows(self):
        learned, said = self.distil("--teacher", self.run_folder, "--seed", 7)
        self.assertGreater(learned, 0)
        self.assertEqual(len(said), 1, said)
        self.assertIn(f"{learned} of the 24 validation pictures were learned by the teacher", said[0])
        self.assertIn(said[0], (self.folder / "student" / "train.log").read_text())
        judged, _ = self.evaluate("--split", "val", model=self.folder / "student")
        self.assertEqual(judged["trained_on"]["pictures"], learned)
        # A run without a teacher, and one that divides the pictures as its teacher did.
        self.assertEqual(self.distil("--seed", 7, out="alone"), (0, []))
        self.assertEqual(self.distil("--seed", 7, "--teacher", self.folder / "alone", out="same"),
                         (0, []))

    def test_what_the_teacher_of_a_fine_tuning_learned(self):
        line, result = self.finetune("--method", "full", "--epochs", 1, "--seed", 7, "--set",
                                     f"teacher={self.run_folder}", "--set", "distillation=soft",
                                     out=self.folder / "second")
        self.assertGreater(line["trained_on"]["pictures"], 0)
        self.assertTrue(any("learned by the teacher" in e for e in result.errors), result.errors)

    def test_copies_among_the_held_out_are_counted(self):
        for path in sorted(self.data.rglob("*.png")):
            shutil.copy(path, path.with_name("copy-" + path.name))
        line, result = self.finetune("--method", "probe", out=self.folder / "copies")
        self.assertGreater(line["trained_on"]["pictures"], 0)
        self.assertTrue(any("copies of training pictures" in e for e in result.errors))
        together, _ = self.finetune("--method", "probe", "--group", r"(shot\d+-\d+)",
                                    out=self.folder / "together")
        self.assertEqual(together["trained_on"]["pictures"], 0)


class Resumed(HeldOutTest):
    def interrupted(self, *arguments):
        """A run of several epochs whose last checkpoint is gone, as if it had been killed."""
        line, _ = self.finetune("--method", "full", "--epochs", 3, "--batch", 16, "--train-set",
                                "patience=0", *arguments)
        checkpoints = sorted((self.run_folder / "checkpoints").iterdir())
        checkpoints[-1].unlink()
        return line

    def resume(self, *arguments, environment=None):
        return vitrail("finetune", "--model", MODEL, "--data", self.data, "--out", self.run_folder,
                       "--method", "full", "--epochs", 3, "--batch", 16, "--train-set",
                       "patience=0", "--resume", "--json", *arguments, environment=environment)

    def refused(self, result, saying):
        self.assertEqual(result.status, 1, result.errors)
        self.assertIn(saying, result.errors[-1])
        self.assertEqual(result.out, "")

    def test_train_does_not_take_it_up(self):
        self.interrupted()
        self.fails("train", "--resume", "--out", self.run_folder, saying="finetune")

    def test_goes_on_with_the_same_pictures(self):
        line = self.interrupted("--group", r"(shot\d+)-", "--seed", 3)
        self.refused(self.resume("--seed", 3), "another --val-fraction, --seed or --group")
        self.refused(self.resume("--group", r"(shot\d+)-"), "another --val-fraction, --seed")
        result = self.resume("--group", r"(shot\d+)-", "--seed", 3)
        self.assertEqual(result.status, 0, result.errors)
        again, = result.json()
        self.assertEqual((line["accuracy"], line["count"]), (again["accuracy"], again["count"]))
        self.judge_everywhere(again)

    def test_a_changed_picture_is_named(self):
        self.interrupted()
        picture = min(self.data.rglob("*.png"))
        bytes_before = picture.read_bytes()
        write_png(picture, shade=3, width=11)
        self.refused(self.resume(), f"1 has another content ('{picture.parent.name}/{picture.name}')")
        picture.write_bytes(bytes_before)  # another time, the same picture
        self.assertEqual(self.resume().status, 0)
        (self.data / "class0" / "new.png").write_bytes(bytes_before)
        self.refused(self.resume(), "class0/new.png")

    def test_another_instruction_set_is_said(self):
        self.interrupted()
        machine = self.run_folder / "machine.jsonl"
        line = json.loads(machine.read_text().splitlines()[-1])
        here = line["isa"]
        line["isa"] = "another_isa"
        machine.write_text(json.dumps(line) + "\n")
        result = self.resume()
        self.assertEqual(result.status, 0, result.errors)
        said = [e for e in result.errors if "another_isa" in e]
        self.assertEqual(len(said), 1, result.errors)
        self.assertIn(here, said[0])
        self.assertIn("another_isa", (self.run_folder / "train.log").read_text())


class OlderRuns(HeldOutTest):
    """Runs that were begun before runs kept a list."""

    def test_the_rule_is_told_by_the_checkpoint(self):
        self.finetune("--method", "full", "--epochs", 1, "--seed", 3)
        before = self.page_of(self.run_folder)["evaluation"]
        (self.run_folder / "split.tsv").unlink()
        self.succeeds("report", self.run_folder)
        self.assertEqual(self.page_of(self.run_folder)["evaluation"], before)

    def test_what_cannot_be_told_is_not_guessed(self):
        self.finetune("--method", "full", "--epochs", 1, "--group", r"(shot\d+)-")
        (self.run_folder / "split.tsv").unlink()
        result = self.succeeds("report", self.run_folder)
        self.assertTrue(any("keeps no list of the pictures" in e for e in result.errors),
                        result.errors)
        self.assertFalse(self.page_of(self.run_folder).get("evaluation"))


class PlainFolders(HeldOutTest):
    def test_are_taken_where_a_data_set_is(self):
        self.succeeds("data", "describe", self.data, "--json")
        self.succeeds("data", "preview", "--data", self.data, "--out", self.folder / "sheet.png")
        for verb in (("finetune", "--method", "probe", "--model", MODEL),
                     ("train", "--epochs", 1, "--arch", "vit_lite_7_4", "--set", "depth=1", "--set",
                      "image_size=16")):
            out = self.folder / verb[0]
            self.succeeds(*verb, "--data", self.data, "--out", out)
            self.succeeds("report", out, "--data", self.data)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
