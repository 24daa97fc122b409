#!/usr/bin/env python3
"""What verbs print to go on with runs as it is printed: each command is typed into a shell, its
stand-ins replaced by what they stand for. usage: follow_up_test.py BINARY SOURCE_DIR"""
import json
import re
import shutil
import subprocess
import sys
import unittest

from command import BINARY, MODEL, Result, read_safetensors, write_png, write_safetensors
from hub_case import HubTest, model_files

TINY = ["--set", "image_size=16", "--set", "patch_size=8", "--set", "embed_dim=16", "--set",
        "depth=1", "--set", "num_heads=2", "--batch", "8", "--threads", "1", "--epochs", "1"]


class FollowUp(HubTest):
    def setUp(self):
        super().setUp()
        self.picture = self.folder / "data" / "dark" / "0.png"
        for label, shade in (("dark", 0), ("light", 140)):
            (self.folder / "data" / label).mkdir(parents=True)
            for i in range(12):
                write_png(self.folder / "data" / label / f"{i}.png", shade=shade + i)

    def succeeds(self, *arguments):
        result = self.run_vitrail(*arguments)
        self.assertEqual(result.status, 0, result.errors)
        return result

    def types(self, command, **stand_ins):
        """What was printed, in a shell that finds `vitrail`."""
        for name, value in dict({"PICTURES": "data", "PICTURE": str(self.picture)},
                                **stand_ins).items():
            command = command.replace(name, value)
        path = f"{self.folder / 'bin'}:{self.environment['PATH']}"
        if not (self.folder / "bin").exists():
            (self.folder / "bin").mkdir()
            (self.folder / "bin" / "vitrail").symlink_to(BINARY)
        result = Result(subprocess.run(["bash", "-c", command], capture_output=True, text=True,
                                       cwd=self.folder, timeout=800,
                                       env=dict(self.environment, PATH=path)))
        self.assertEqual(result.status, 0, (command, result.errors))
        return result

    def on_page(self, page, title):
        """The command beside this title on a page."""
        text = (self.folder / page).read_text()
        found = re.search(re.escape(json.dumps(title)) + r',("(?:[^"\\]|\\.)*")', text)
        self.assertIsNotNone(found, f"{title} is not on {page}")
        return json.loads(found.group(1))

    def test_after_learning_without_labels(self):
        for method in ("dino", "mae"):
            with self.subTest(method):
                out = f"runs/my {method}"
                result = self.succeeds("train", "--data", "folder:data", "--method", method,
                                       "--arch", "vit_lite_2_4", "--out", out, *TINY)
                embed, = [line.split(": ", 1)[1] for line in result.lines if " embed " in line]
                teach, = [line.split(": ", 1)[1] for line in result.lines if " finetune " in line]
                self.assertTrue(self.types(embed).json())
                self.types(teach)
                answer = self.succeeds("classify", "--model", out + "-classes", self.picture)
                self.assertIn("dark", answer.out)
                shutil.rmtree(self.folder / (out + "-classes"))
                self.types(self.on_page(out + "/report.html", "Teach it classes"))
                self.types(self.on_page(out + "/report.html", "Its features of pictures"))
                self.types(self.on_page(out + "/report.html", "See where attention goes"))

    def test_after_learning_with_labels(self):
        result = self.succeeds("train", "--data", "folder:data", "--out", "runs/plain", *TINY)
        classify, = [line.split(": ", 1)[1] for line in result.lines if " classify " in line]
        self.assertIn("dark", self.types(classify).out)
        for title in ("Classify a picture", "See where attention goes",
                      "Write this page again"):
            self.types(self.on_page("runs/plain/report.html", title))
        self.types(self.on_page("runs/plain/report.html", "Evaluate it on other pictures"),
                   DATA="folder:data")

    def test_a_threshold_for_a_fine_tuned_model(self):
        self.succeeds("finetune", "--model", MODEL, "--data", "folder:data", "--out", "run",
                      "--method", "probe")
        calibrate = ["calibrate", "folder:data", "--accept", 0.9, "--certainty", "probability"]
        refused = self.run_vitrail(*calibrate, "--model", "run")
        self.assertEqual(refused.status, 1)
        self.types(refused.errors[-1].split("write one: ")[1])
        self.succeeds(*calibrate, "--model", "run-vitrail")
        # A threshold is no other size's.
        other = self.run_vitrail(*calibrate, "--model", "run-vitrail", "--size", 20)
        self.assertEqual(other.status, 2)
        self.assertIn("leave --size out", other.errors[-1])
        self.succeeds(*calibrate, "--model", "run-vitrail", "--size", 20, "--dry-run")

    def test_a_page_of_an_evaluation_keeps_how_the_model_was_asked(self):
        labels = self.folder / "my labels.txt"
        labels.write_text("dark\nlight\nred\ngreen\nblue\n")
        self.succeeds("eval", "folder:data", "--model", MODEL, "--size", 20, "--labels", labels,
                      "--report", "page.html")
        command = self.on_page("page.html", "See where attention goes")
        self.assertIn("--size 20", command)
        self.assertIn("dark", self.types(command).out)

    def test_after_a_pull(self):
        files = model_files()
        self.hub(files, name="someone/tiny")
        self.assertIn("%", self.types(self.succeeds("pull", "someone/tiny").lines[-1]).out)
        config = json.loads(files["config.json"])
        config["num_classes"] = 0
        for part in ("pretrained_cfg", "model_args"):
            config.get(part, {})["num_classes"] = 0
        body = {name: value for name, value in read_safetensors(MODEL / "model.safetensors").items()
                if not name.startswith("head.")}
        write_safetensors(self.folder / "body.safetensors", body)
        self.hub({"config.json": json.dumps(config).encode(),
                  "model.safetensors": (self.folder / "body.safetensors").read_bytes()},
                 name="someone/body")
        self.assertTrue(self.types(self.succeeds("pull", "someone/body").lines[-1]).json())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
