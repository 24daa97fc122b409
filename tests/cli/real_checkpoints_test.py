#!/usr/bin/env python3
"""Real weights and photographs, beside what PyTorch answered: skipped without them.
usage: real_checkpoints_test.py BINARY SOURCE_DIR"""
import collections
import contextlib
import csv
import json
import os
import pathlib
import sys
import tarfile
import tempfile
import unittest

from command import SOURCE, read_safetensors, vitrail
from hub_case import clean_environment
from hub_server import Hub

DATA = pathlib.Path(os.environ.get("VITRAIL_SHARED_DATA", SOURCE.parent / "shared" / "data"))


class RealCheckpoints(unittest.TestCase):
    def test_five_hundred_photographs(self):
        result = vitrail("classify", "--model", DATA / "vit-tiny-imagenet", DATA / "imagenet-sample",
                         "--json", "--top", 1000)
        self.assertEqual(result.status, 0, result.errors)
        answers = {pathlib.Path(line["file"]).name: line["top"] for line in result.json()}
        with open(DATA / "imagenet-sample-reference.csv") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(len(answers), len(rows))
        shape, logits = read_safetensors(DATA / "imagenet-sample-reference-logits.safetensors")[
            "logits"]
        largest, decided = 0.0, 0
        for number, row in enumerate(rows):
            reference = logits[number * shape[1]:(number + 1) * shape[1]]
            top = answers[row["file"]]
            for entry in top:
                largest = max(largest, abs(entry["logit"] - reference[entry["index"]]))
            for k in range(1, 6):
                ours = next(e["logit"] for e in top if e["index"] == int(row[f"top{k}"]))
                self.assertLessEqual(abs(ours - float(row[f"logit{k}"])), 5e-3, row["file"])
            if float(row["logit1"]) - float(row["logit2"]) > 0.02:
                decided += 1
                self.assertEqual(top[0]["index"], int(row["top1"]), row["file"])
        print(f"{decided} of {len(rows)} pictures decided, all as PyTorch; "
              f"largest difference of a logit {largest:.1e}")
        self.assertGreater(decided, 480)
        self.assertLessEqual(largest, 5e-3)

    def test_the_default_model_from_a_hub(self):
        """The hub is this machine; the repository's name is the default model's."""
        files = {path.name: path.read_bytes() for path in (DATA / "vit-tiny-imagenet").iterdir()
                 if not path.name.startswith("golden")}
        with tempfile.TemporaryDirectory() as home, contextlib.closing(
                Hub(files, name="timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k")) as hub:
            environment = dict(clean_environment(home), HF_ENDPOINT=hub.address)
            with open(DATA / "imagenet-sample-reference.csv") as file:
                truth = {row["file"]: int(row["class"]) for row in csv.DictReader(file)}
            result = vitrail("classify", DATA / "imagenet-sample", "--yes", "--json",
                             environment=environment)
            self.assertEqual(result.status, 0, result.errors)
            lines = result.json()
            self.assertEqual({line["model"] for line in lines}, {"vit_tiny"})
            right = sum(line["top"][0]["index"] == truth[pathlib.Path(line["file"]).name]
                        for line in lines)
            print(f"the default model, from a hub: {right} of {len(lines)} right")
            self.assertEqual(len(lines), 500)
            self.assertAlmostEqual(right / len(lines), 0.810, delta=0.002)
            asked = len(hub.server.log)
            again = vitrail("classify", DATA / "imagenet-sample" / list(truth)[0],
                            environment=environment)
            self.assertEqual(again.errors, [])
            self.assertTrue(again.lines[0].startswith("model vit_tiny "))
            self.assertEqual(len(hub.server.log), asked)

    def test_the_default_model_names_imagenets_classes(self):
        """timm's repositories hold no names; those of the tag's data are known."""
        with open(DATA / "vit-tiny-imagenet" / "imagenet_classes.json") as file:
            known = {entry["index"]: entry["name"] for entry in json.load(file)}
        with tempfile.TemporaryDirectory() as folder:
            model = pathlib.Path(folder)
            config = json.loads((DATA / "vit-tiny-imagenet" / "config.json").read_text())
            config["pretrained_cfg"]["tag"] = "augreg_in21k_ft_in1k"
            (model / "config.json").write_text(json.dumps(config))
            (model / "model.safetensors").symlink_to(DATA / "vit-tiny-imagenet" / "model.safetensors")
            picture = sorted((DATA / "imagenet-sample").iterdir())[0]
            line, = vitrail("classify", picture, "--model", model, "--top", 1000, "--json").json()
        names = {entry["index"]: entry["label"] for entry in line["top"]}
        self.assertEqual(len(set(names.values())), 1000)
        # Others chose another of WordNet's words here and there.
        same = sum(names[index] == name for index, name in known.items())
        print(f"{same} of 1000 classes have the names of imagenet_classes.json")
        self.assertGreater(same, 900)

    def test_offline_the_bundled_model_answers(self):
        with tempfile.TemporaryDirectory() as home:
            result = vitrail("classify", DATA / "imagenet-sample", "--json",
                             environment=dict(clean_environment(home), HF_HUB_OFFLINE="1"))
        self.assertEqual(result.status, 0)
        self.assertEqual({line["model"] for line in result.json()}, {"photos"})
        self.assertIn("demonstration", result.errors[-1])

    def test_smaller_precisions_answer_alike(self):
        with open(DATA / "imagenet-sample-reference.csv") as file:
            truth = {row["file"]: int(row["class"]) for row in csv.DictReader(file)}
        answers = {}
        for precision in ("f32", "bf16", "int8"):
            result = vitrail("classify", "--model", DATA / "vit-tiny-imagenet",
                             DATA / "imagenet-sample", "--precision", precision, "--json", "--top",
                             1000)
            self.assertEqual(result.status, 0, result.errors)
            answers[precision] = {pathlib.Path(line["file"]).name: line["top"]
                                  for line in result.json()}
        before = answers["f32"]
        right = {precision: sum(top[0]["index"] == truth[file] for file, top in tops.items())
                 for precision, tops in answers.items()}
        for precision, least_agreement, largest_error in (("bf16", 0.99, 2e-2), ("int8", 0.96, 0.3)):
            after = answers[precision]
            same = sum(before[file][0]["index"] == top[0]["index"] for file, top in after.items())
            difference = size = 0.0
            for file, top in after.items():
                reference = {entry["index"]: entry["logit"] for entry in before[file]}
                mean = sum(reference.values()) / len(reference)
                difference += sum((e["logit"] - reference[e["index"]]) ** 2 for e in top)
                size += sum((value - mean) ** 2 for value in reference.values())
            error = (difference / size) ** 0.5
            print(f"{precision}: the same top-1 on {same} of {len(after)}, {right[precision]} right "
                  f"(f32 {right['f32']}), logits apart by {error:.1e} of their spread")
            self.assertGreaterEqual(same, least_agreement * len(after))
            self.assertLessEqual(error, largest_error)
            self.assertLessEqual(right["f32"] - right[precision], 0.01 * len(after))

    def test_accuracy_on_photographs(self):
        result = vitrail("eval", f"flat:{DATA / 'imagenet-sample'}", "--model",
                         DATA / "vit-tiny-imagenet", "--json")
        self.assertEqual(result.status, 0, result.errors)
        report, = result.json()
        self.assertEqual(report["count"], 500)
        self.assertAlmostEqual(report["top1"], 0.810, delta=0.002)
        self.assertAlmostEqual(report["top5"], 0.948, delta=0.002)

    def test_reference_activations(self):
        model = DATA / "vit-tiny-imagenet"
        result = vitrail("doctor", model, "--against", model / "golden_4images.safetensors",
                         "--tolerance", 1e-5)
        self.assertEqual(result.status, 0, result.out)

    def test_mnist(self):
        settings = ["activation=relu", "num_heads=4", "pooling=class_token", "mean=0.1307",
                    "std=0.3081", "interpolation=bilinear", "crop_pct=1.0"]
        flags = [part for setting in settings for part in ("--set", setting)]
        result = vitrail("eval", f"mnist:{DATA / 'mnist'}", "--split", "test", "--limit", 3000,
                         "--model", DATA / "vit-mnist", "--json", *flags)
        self.assertEqual(result.status, 0, result.errors)
        report, = result.json()
        self.assertEqual(report["count"], 3000)
        self.assertAlmostEqual(report["top1"], 0.9577, delta=0.0004)

    def test_the_bundled_model_of_photographs(self):
        with tempfile.TemporaryDirectory() as folder:
            # A hundred test pictures of each class.
            taken = collections.Counter()
            with tarfile.open(DATA / "cifar10.tar.gz") as archive:
                for member in archive:
                    path = pathlib.PurePosixPath(member.name)
                    split, name = path.parts[-3:-1] if len(path.parts) > 2 else ("", "")
                    if member.isfile() and split == "test" and taken[name] < 100:
                        taken[name] += 1
                        target = pathlib.Path(folder, name, path.name)
                        target.parent.mkdir(exist_ok=True)
                        target.write_bytes(archive.extractfile(member).read())
            self.assertEqual(list(taken.values()), [100] * 10)
            report, = vitrail("eval", f"folder:{folder}", "--model", "photos", "--json").json()
        self.assertEqual(report["count"], 1000)
        self.assertGreaterEqual(report["top1"], 0.86)
        self.assertLess(report["none"], 125)
        strange = vitrail("classify", DATA / "imagenet-sample", "--model", "photos",
                          "--json").json()
        self.assertGreater(sum(line["none"] for line in strange), 230)


if __name__ == "__main__":
    if not (DATA / "vit-tiny-imagenet").is_dir():
        print(f"skipped: there are no real checkpoints in {DATA}")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0]])
