#!/usr/bin/env python3
"""Judging models on sets of pictures: eval and calibrate. usage: eval_test.py BINARY SOURCE_DIR"""
import json
import pathlib
import sys
import unittest

from command import MODEL, CommandTest, vitrail, write_png


class SetOfPictures(CommandTest):
    def setUp(self):
        super().setUp()
        self.set = self.folder / "set"
        for name, shade in (("elk", 3), ("ant", 90)):
            (self.set / name).mkdir(parents=True)
            for i in range(3):
                write_png(self.set / name / f"{i}.png", shade=shade + 31 * i)
        self.labels = self.folder / "labels.txt"
        self.labels.write_text("ant\nbee\ncat\ndog\nElk, Alces alces\n")


class Eval(SetOfPictures):
    def test_counts_what_classify_says(self):
        arguments = ("--model", MODEL, "--labels", self.labels)
        result = vitrail("eval", f"folder:{self.set}", *arguments, "--json")
        self.assertEqual(result.status, 0, result.errors)
        report, = result.json()
        right = 0
        for line in vitrail("classify", self.set, *arguments, "--json").json():
            truth = pathlib.Path(line["file"]).parent.name
            right += line["top"][0]["label"].lower().startswith(truth)
        self.assertEqual(report["count"], 6)
        self.assertEqual(report["top1"], right / 6)
        self.assertEqual(report["top5"], 1.0)  # there are five classes
        self.assertEqual({entry["name"]: entry["count"] for entry in report["classes"]},
                         {"ant": 3, "elk": 3})
        limited, = vitrail("eval", self.set, *arguments, "--json", "--limit", 2).json()
        self.assertEqual(limited["count"], 2)

    def test_names_confusions_and_mistakes_and_writes_a_page(self):
        arguments = ("--model", MODEL, "--labels", self.labels)
        page = self.folder / "page.html"
        report, = vitrail("eval", f"folder:{self.set}", *arguments, "--json", "--mistakes", 2,
                          "--report", page).json()
        wrong = report["count"] - round(report["top1"] * report["count"])
        self.assertGreaterEqual(wrong, 2)
        self.assertEqual(sum(entry["count"] for entry in report["confused"]), wrong)
        low, high = report["top1_interval"]
        self.assertTrue(0 <= low <= report["top1"] <= high <= 1)
        for entry in report["classes"]:
            self.assertEqual(entry["recall"], entry["top1"])
        answers = {line["file"]: {top["label"]: top["probability"] for top in line["top"]}
                   for line in vitrail("classify", self.set, *arguments, "--json").json()}
        self.assertEqual(len(report["mistakes"]), 2)
        for mistake in report["mistakes"]:
            given = answers[str(self.set / mistake["file"])]
            self.assertNotEqual(mistake["label"], mistake["answer"].lower()[:3])
            self.assertAlmostEqual(mistake["answer_probability"], given[mistake["answer"]])
            self.assertEqual(mistake["answer_probability"], max(given.values()))
        text = page.read_text()
        self.assertIn(report["mistakes"][0]["file"], text)
        self.assertNotIn("{{", text.split('id="data"')[0])
        self.fails("eval", self.set, *arguments, "--report", self.folder / "no" / "page.html",
                   saying="page.html")

    def test_unmatched_classes_are_refused(self):
        self.labels.write_text("ant\nbee\ncat\ndog\nemu\n")
        self.fails("eval", f"folder:{self.set}", "--model", MODEL, "--labels", self.labels,
                   saying="(elk)")
        self.fails("eval", f"folder:{self.set}", "--model", MODEL, saying="match no label")

    def test_unknown_sets(self):
        self.fails("eval", "nothing:here", "--model", MODEL)
        self.fails("eval", f"folder:{self.folder}/none", "--model", MODEL)


class Calibrate(SetOfPictures):
    def setUp(self):
        super().setUp()
        self.model = self.folder / "calibrated"
        result = vitrail("convert", "--model", MODEL, "--labels", self.labels, "--to", "vitrail",
                         "--out", self.model)
        self.assertEqual(result.status, 0, result.errors)

    def calibrate(self, *arguments, certainty="probability"):
        return vitrail("calibrate", f"folder:{self.set}", "--split", "all", "--model", self.model,
                       "--certainty", certainty, *arguments)

    def test_answers_below_the_threshold_are_none(self):
        others = self.folder / "others"
        others.mkdir()
        for i in range(4):
            write_png(others / f"{i}.png", shade=150 + 20 * i)
        result = self.calibrate("--accept", 0.5, "--others", others, "--json")
        self.assertEqual(result.status, 0, result.errors)
        report, = result.json()
        self.assertEqual(report["count"], 6)
        self.assertGreaterEqual(report["accepted"], 0.5)
        self.assertEqual(report["others"][0]["count"], 4)
        lines = vitrail("classify", self.set, "--model", self.model, "--json").json()
        accepted = 0
        for line in lines:
            self.assertEqual(line["none"], line["top"][0]["probability"] < report["threshold"])
            accepted += not line["none"]
        self.assertEqual(accepted / 6, report["accepted"])
        self.assertLess(accepted, 6)
        judged, = vitrail("eval", self.set, "--model", self.model, "--json").json()
        self.assertEqual(judged["none"], 6 - accepted)
        strange = sum(not line["none"] for line in
                      vitrail("classify", others, "--model", self.model, "--json").json())
        self.assertEqual(strange / 4, report["others"][0]["false_accepts"])
        text = vitrail("classify", self.set, "--model", self.model)
        self.assertIn("none of my five classes", text.out)
        refused = next(line["file"] for line in lines if line["none"])
        page = self.folder / "page.html"
        explained = vitrail("explain", refused, "--model", self.model, "--page", page)
        self.assertEqual(explained.status, 0, explained.errors)
        self.assertIn("none of my five classes", explained.out)
        self.assertIn("none of my five classes", page.read_text())
        quantized = self.folder / "quantized"
        result = vitrail("quantize", "--model", self.model, "--data", self.set, "--max-drop", 100,
                         "--out", quantized)
        self.assertEqual(result.status, 0, result.errors)
        self.assertEqual(json.loads((quantized / "config.json").read_text())["rejection"],
                         json.loads((self.model / "config.json").read_text())["rejection"])

    def test_what_is_typical_is_learned_from_training_pictures(self):
        for number, name in enumerate(("bee", "cat", "dog", "elk", "ant")):
            (self.set / name).mkdir(exist_ok=True)
            for i in range(6):
                write_png(self.set / name / f"{i}.png", shade=9 + 37 * number + 5 * i)
        result = self.calibrate("--accept", 0.5, "--json", certainty="typicality")
        self.assertEqual(result.status, 0, result.errors)
        report, = result.json()
        self.assertEqual(report["certainty"], "typicality")
        self.assertTrue((self.model / "rejection.safetensors").is_file())
        lines = vitrail("classify", self.set, "--model", self.model, "--json").json()
        for line in lines:
            self.assertEqual(line["none"], line["certainty"] < report["threshold"])
        accepted = sum(not line["none"] for line in lines)
        self.assertEqual(accepted / len(lines), report["accepted"])
        self.assertIn("typicality", vitrail("doctor", self.model).out)
        self.assertEqual(self.calibrate().status, 0)
        self.assertFalse((self.model / "rejection.safetensors").exists())

    def test_a_dry_run_changes_nothing(self):
        before = (self.model / "config.json").read_bytes()
        self.assertEqual(self.calibrate("--dry-run").status, 0)
        self.assertEqual((self.model / "config.json").read_bytes(), before)
        lines = vitrail("classify", self.set, "--model", self.model, "--json").json()
        self.assertTrue(all("none" not in line for line in lines))

    def test_bad_input(self):
        self.fails("calibrate", self.set, "--split", "all", "--model", MODEL, "--labels",
                   self.labels, saying="--to vitrail --out augreg-vitrail")
        self.fails("calibrate", self.folder / "nothing", "--model", self.model)
        self.fails("calibrate", self.set, "--split", "all", "--model", self.model,
                   saying="--certainty probability")
        (self.set / "yak").mkdir()
        write_png(self.set / "yak" / "0.png")
        self.fails("calibrate", self.set, "--split", "all", "--model", self.model, saying="yak")
        config = json.loads((self.model / "config.json").read_text())
        config["rejection"] = {"threshold": 2, "accepted": 1}
        (self.model / "config.json").write_text(json.dumps(config))
        self.fails("classify", self.folder / "a.png", "--model", self.model,
                   saying="rejection.threshold")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
