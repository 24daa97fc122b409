#!/usr/bin/env python3
"""What an answer means, from one end to the other: models for several classes a picture are
trained, fine-tuned, judged, converted and asked. usage: answers_test.py BINARY SOURCE_DIR"""
import json
import random
import shutil
import sys
import unittest

from command import MODEL, SOURCE, CommandTest, vitrail, write_pixels, write_png

ANSWERS = SOURCE / "tests" / "golden" / "tasks" / "answers"


def average_precision(scored):
    """scored: (score, truth) of each picture; the definition, over distinct scores."""
    positives = sum(truth for _, truth in scored)
    result, before = 0, 0
    for score in sorted({score for score, _ in scored}, reverse=True):
        above = [truth for s, truth in scored if s >= score]
        recall = sum(above) / positives
        result += (recall - before) * sum(above) / len(above)
        before = recall
    return result


class Answers(CommandTest):
    def model(self, weights, problem=None):
        folder = self.folder / f"{weights}-{problem}"
        folder.mkdir()
        shutil.copy(ANSWERS / f"{weights}.safetensors", folder / "model.safetensors")
        shutil.copy(ANSWERS / "preprocessor_config.json", folder)
        for case in json.loads((ANSWERS / "answers.json").read_text()):
            if case["weights"] == weights and case["config"].get("problem_type") == problem:
                (folder / "config.json").write_text(json.dumps(case["config"]))
                self.scores = case["scores"]
        return folder

    def ask(self, model, *arguments, verb="classify"):
        return vitrail(verb, ANSWERS / "picture.png", "--model", model, *arguments)

    def test_lists_what_reaches_the_threshold(self):
        model = self.model("three", "multi_label_classification")
        line, = self.ask(model, "--json").json()
        self.assertEqual((line["answer"], line["multi_label"], line["threshold"], line["above"]),
                         ("sigmoid", True, 0.5, 2))
        self.assertEqual([top["index"] for top in line["top"]], [1, 0, 2])
        self.assertEqual([top["above"] for top in line["top"]], [True, True, False])
        for top in line["top"]:
            self.assertAlmostEqual(top["probability"], self.scores[top["index"]], places=5)
        text = self.ask(model).lines
        self.assertEqual(len(text), 3)
        self.assertIn("label 1", text[1])
        none = self.ask(model, "--threshold", 0.9).lines
        self.assertIn("none of my three classes: none reaches 90%", none[1])
        self.assertIn("79.49%", none[2])
        self.assertEqual(len(none), 3)
        self.assertIn("and 1 more", self.ask(model, "--top", 1).lines[2])
        page = self.folder / "page.html"
        line, = self.ask(model, "--json", "--page", page, verb="explain").json()
        self.assertEqual(line["above"], 2)
        self.assertIn("those that reach 50%", page.read_text())

    def test_one_label_is_a_probability_and_a_value_a_value(self):
        line, = self.ask(self.model("one"), "--json").json()
        self.assertAlmostEqual(line["top"][0]["probability"], self.scores[0], places=5)
        self.assertNotIn("threshold", line)
        model = self.model("three", "regression")
        line, = self.ask(model, "--json").json()
        self.assertEqual(line["answer"], "raw")
        for top in line["top"]:
            self.assertAlmostEqual(top["value"], self.scores[top["index"]], places=5)
            self.assertNotIn("probability", top)
        self.assertNotIn("%", "\n".join(self.ask(model).lines))
        page = self.folder / "page.html"
        self.ask(model, "--page", page, verb="explain")
        self.assertIn("Values of a regression", page.read_text())

    def test_is_said_by_doctor_and_inspect(self):
        model = self.model("three", "multi_label_classification")
        report, = vitrail("doctor", model, "--json").json()
        source, = [s for s in report["sources"] if s["field"] == "answer"]
        self.assertEqual(source["value"], "sigmoid")
        self.assertIn("problem_type", source["source"])
        self.assertIn("may show several", vitrail("inspect", model).out)
        config = vitrail("inspect", model, "--json").json()[0]["config"]
        self.assertEqual((config["answer"], config["multi_label"]), ("sigmoid", True))

    def test_refuses_what_it_cannot_mean(self):
        for model, arguments, word in [
                (self.model("three"), ("--threshold", 0.4), "multi_label=true"),
                (MODEL, ("--set", "answer=maybe"), "softmax, sigmoid, raw")]:
            result = self.ask(model, *arguments)
            self.assertNotEqual(result.status, 0)
            errors = [line for line in result.errors if not line.startswith("vitrail: note: ")]
            self.assertEqual(len(errors), 1, result.errors)
            self.assertIn(word, errors[0])

    def pictures(self, count=48):
        """Bands of light at the top, the left, or both, or none."""
        folder = self.folder / "pictures"
        folder.mkdir()
        rows = []
        for i in range(count):
            names = [name for bit, name in ((1, "top"), (2, "left")) if i & bit]
            write_bands(folder / f"{i:02}.png", "top" in names, "left" in names, i)
            rows.append(f"{i:02}.png,{'|'.join(names)},{'val' if i % 6 > 3 else 'train'}")
        (folder / "list.csv").write_text("path,labels,split\n" + "\n".join(rows) + "\n")
        return f"csv:{folder / 'list.csv'}", folder

    def truth(self, folder, file):
        for row in (folder / "list.csv").read_text().splitlines():
            if row.startswith(file.split("/")[-1]):
                return set(filter(None, row.split(",")[1].split("|")))

    def judge(self, model, spec, folder):
        report, = vitrail("eval", spec, "--model", model, "--split", "all", "--json").json()
        files = sorted(folder.glob("*.png"))
        lines = vitrail("classify", *files, "--model", model, "--json").json()
        exact, scored = 0, {"top": [], "left": []}
        for line in lines:
            truth = self.truth(folder, line["file"])
            exact += {t["label"] for t in line["top"] if t["above"]} == truth
            for top in line["top"]:
                scored[top["label"]].append((top["logit"], top["label"] in truth))
        self.assertEqual(report["count"], len(files))
        self.assertAlmostEqual(report["exact_match"], exact / len(files))
        precisions = {name: average_precision(values) for name, values in scored.items()}
        for entry in report["classes"]:
            self.assertAlmostEqual(entry["average_precision"], precisions[entry["name"]])
        self.assertAlmostEqual(report["map"], sum(precisions.values()) / 2)
        return report

    def test_finetune_learns_and_keeps_several_classes(self):
        spec, folder = self.pictures()
        for method in ("probe", "lora"):
            out = self.folder / method
            result = vitrail("finetune", "--model", MODEL, "--data", spec, "--out", out,
                             "--method", method, "--epochs", 2, "--batch", 8, "--json")
            self.assertEqual(result.status, 0, result.errors)
            summary = result.json()[-1]
            self.assertIn("map", summary["validation"])
            self.assertIn("exact_match", summary["validation"])
            report = self.judge(out, spec, folder)
            self.assertGreater(report["map"], 0.9)
            converted = self.folder / f"{method}-hf"
            self.assertEqual(vitrail("convert", "--model", out, "--to", "hf", "--out",
                                     converted).status, 0)
            config = json.loads((converted / "config.json").read_text())
            self.assertEqual(config["problem_type"], "multi_label_classification")
            self.assertAlmostEqual(self.judge(converted, spec, folder)["map"], report["map"])
        adapter = f"adapter={self.folder / 'lora' / 'adapter'}"
        if (self.folder / "lora" / "adapter").exists():
            line, = vitrail("classify", folder / "03.png", "--model", MODEL, "--set", adapter,
                            "--json").json()
            self.assertTrue(line["multi_label"])

    def test_train_learns_several_classes_and_resumes(self):
        spec, folder = self.pictures()
        out = self.folder / "run"
        result = vitrail("train", "--data", spec, "--out", out, "--epochs", 2, "--batch", 8,
                         "--set", "image_size=16", "--set", "patch_size=8", "--arch",
                         "vit_lite_7_4", "--set", "depth=1", "--json")
        self.assertEqual(result.status, 0, result.errors)
        self.assertIn("map", result.json()[-1]["validation"])
        self.judge(out, spec, folder)
        self.assertTrue((out / "report.html").exists())
        refused = vitrail("train", "--data", spec, "--out", self.folder / "wrong", "--set",
                          "loss=cross_entropy")
        self.assertIn("loss=bce", refused.errors[-1])

    def test_questions_that_do_not_fit_are_refused(self):
        spec, folder = self.pictures(8)
        single = self.folder / "single"
        for name in ("label 0", "label 1"):
            (single / name).mkdir(parents=True)
            for i in range(3):  # some are held out
                write_png(single / name / f"{i}.png", shade=40 * i + 7 * int(name[-1]))
        several = self.model("three", "multi_label_classification")
        regression = self.model("three", "regression")
        for arguments, words in [
                (("eval", single, "--model", several), "one class a picture"),
                (("eval", spec, "--model", self.model("three"), "--split", "all"),
                 "several classes a picture"),
                (("eval", single, "--model", regression), "values of a regression"),
                (("calibrate", single, "--model", several, "--split", "all", "--dry-run",
                  "--certainty", "probability"), "asks about each class"),
                (("train", "--data", spec, "--method", "mae", "--out", self.folder / "mae"),
                 "nearest neighbours"),
                (("train", "--data", f"folder:{single}", "--out", self.folder / "raw", "--set",
                  "answer=raw"), "learns classes alone"),
                (("train", "--data", f"folder:{single}", "--out", self.folder / "soft",
                  "--teacher", several), "")]:
            result = vitrail(*arguments)
            self.assertNotEqual(result.status, 0, arguments)
            self.assertIn(words, result.errors[-1])


def write_bands(path, top, left, seed):
    noise = random.Random(seed)

    def pixel(x, y):
        above, beside = top and y < 4, left and x < 4
        return [40 + 90 * (above + beside) + noise.randrange(20), 40 + 200 * above,
                40 + 200 * beside]

    write_pixels(path, 12, 12, pixel)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
