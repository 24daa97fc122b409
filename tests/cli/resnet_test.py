#!/usr/bin/env python3
"""The ResNet baseline through every verb: what works on a model without blocks, and what says why
it does not. usage: resnet_test.py BINARY SOURCE_DIR"""
import json
import pathlib
import sys
import tempfile
import unittest

from command import vitrail, write_png

SMALL = ["--set", "resnet_blocks=1,1", "--set", "resnet_channels=8,16", "--set",
         "resnet_stem_channels=8", "--set", "embed_dim=16"]
DATA = "scenes:size=16,count=96,val=32,test=32"


class ResNet(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.place.name)
        cls.model = cls.folder / "run"
        cls.picture = cls.folder / "picture.png"
        write_png(cls.picture)
        cls.trained = vitrail("train", "--data", DATA, "--preset", "resnet20", *SMALL, "--epochs", 2,
                              "--batch", 16, "--out", cls.model)

    @classmethod
    def tearDownClass(cls):
        cls.place.cleanup()

    def runs(self, *arguments):
        result = vitrail(*arguments)
        self.assertEqual(result.status, 0, result.errors)
        return result

    def refuses(self, *arguments, saying):
        result = vitrail(*arguments)
        self.assertEqual(result.status, 1, result.errors)
        errors = [line for line in result.errors if line.startswith("vitrail: [")]
        self.assertEqual(len(errors), 1, result.errors)
        for words in saying:
            self.assertIn(words, errors[0])

    def test_trains_and_saves_its_configuration(self):
        self.assertEqual(self.trained.status, 0, self.trained.errors)
        config = json.loads((self.model / "train.json").read_text())
        self.assertEqual(config["model"]["patch_embedding"], "resnet")
        self.assertEqual(config["model"]["resnet_blocks"], [1, 1])
        self.assertEqual((config["optimizer"], config["momentum"]), ("sgd", 0.9))

    def test_answers_and_is_evaluated(self):
        line = self.runs("classify", "--model", self.model, self.picture, "--json").json()[0]
        self.assertGreater(len(line["top"]), 1)
        report = self.runs("eval", DATA, "--model", self.model, "--split", "test",
                           "--json").json()[0]
        self.assertEqual(report["count"], 32)
        self.runs("embed", "--model", self.model, self.picture, "--out", self.folder / "e.npy")
        self.runs("doctor", self.model)

    def test_inspect_counts_every_layer(self):
        report = self.runs("inspect", "--model", self.model, "--json").json()[0]
        layers = {layer["path"]: layer for layer in report["layers"]}
        backbone = "patch_embed.backbone."
        self.assertEqual(layers[backbone + "conv1"]["multiply_adds"], 16 * 16 * 27 * 8)
        self.assertEqual(layers[backbone + "layer1"]["multiply_adds"], 2 * 16 * 16 * 72 * 8)
        self.assertEqual(layers[backbone + "layer2"]["multiply_adds"],
                         8 * 8 * (72 * 16 + 144 * 16 + 8 * 16))
        self.assertEqual(sum(layer["parameters"] for layer in report["layers"]),
                         report["parameters"])
        self.assertEqual(sum(layer["multiply_adds"] for layer in report["layers"]),
                         report["multiply_adds"])

    def test_published_sizes_have_their_published_cost(self):
        for name, giga in (("resnet18", 1.814), ("resnet34", 3.664), ("resnet50", 4.089)):
            report = self.runs("inspect", name, "--json").json()[0]
            self.assertAlmostEqual(report["multiply_adds"] * 1e-9, giga, delta=0.001)

    def test_bench(self):
        report = self.runs("bench", "resnet20", "--runs", 2, "--json").json()[0]
        self.assertGreater(report["pictures_per_second"], 0)
        self.runs("bench", "resnet20", "--train", "--runs", 2, "--batch", 4, "--precision", "bf16",
                  "--activation-checkpointing")
        # What the layers say that they multiply is what the configuration says.
        for name in ("resnet20", "resnet50", "resnet_vit_nano", "vitc_nano_patch8"):
            report = self.runs("bench", name, "--profile", "--runs", 1, "--json").json()[0]
            self.assertEqual(sum(row.get("multiply_adds", 0)
                                 for row in report["profile"]["layers"]),
                             report["multiply_adds"], name)

    def test_finetunes_whole_or_its_head(self):
        for method in ("full", "probe", "auto"):
            self.runs("finetune", "--model", self.model, "--data", DATA, "--method", method,
                      "--epochs", 1, "--out", self.folder / method)
        for method in ("lora", "partial"):
            self.refuses("finetune", "--model", self.model, "--data", DATA, "--method", method,
                         "--out", self.folder / method, saying=["no transformer blocks", "full"])

    def test_what_needs_attention_says_so(self):
        self.refuses("explain", "--model", self.model, self.picture, "--output", self.folder,
                     saying=["no attention", "transformer blocks"])
        self.refuses("quantize", "--model", self.model, "--data", DATA, "--out",
                     self.folder / "int8", saying=["no transformer blocks"])
        self.refuses("embed", "--model", self.model, self.picture, "--layer", 0, "--out",
                     self.folder / "l.npy", saying=["no transformer blocks"])
        self.refuses("convert", "--model", self.model, "--to", "timm", "--out",
                     self.folder / "timm", saying=["residual network"])
        for method, words in (("mae", "stem"), ("dino", "class token")):
            self.refuses("train", "--data", DATA, "--arch", "resnet20", *SMALL, "--method", method,
                         "--epochs", 1, "--out", self.folder / method, saying=[words, "--arch"])

    def test_the_report_of_a_run_shows_pictures_without_maps(self):
        self.runs("report", self.model)
        self.assertTrue((self.model / "report.html").exists())


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
