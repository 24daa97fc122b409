#!/usr/bin/env python3
"""Runs every verb with --json on tiny inputs and holds what it prints to the schemas of docs/json:
closed ones, so that a field that is not documented fails. usage: json_test.py BINARY SOURCE_DIR"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

try:
    from jsonschema import Draft202012Validator
except ImportError:
    sys.exit("json_test: needs Debian's python3-jsonschema, which tools/setup --test installs")

from command import (SHARED_DATA, SOURCE, CommandTest, model_files, vitrail,
                     write_png, write_safetensors)
from hub_server import Hub, Server

SCHEMAS = SOURCE / "docs" / "json"
FASHION = SHARED_DATA / "fashion-mnist"
COMMON = "common.schema.json"
CLASSES = ["ant", "bee", "cat", "dog", "elk"]


def read_schema(name):
    """With the shared parts inside, where its references then lead."""
    text = (SCHEMAS / f"{name}.schema.json").read_text()
    schema = json.loads(text.replace(COMMON + "#", "#"))
    shared = json.loads((SCHEMAS / COMMON).read_text().replace(COMMON + "#", "#"))
    return {**schema, "$defs": shared["$defs"]}


def forms_of(schema):
    """The schemas of the objects that a verb may print."""
    return [{**form, "$defs": schema["$defs"]} for form in schema.get("oneOf", [schema])]


def parts_of(schema, place=""):
    """(place, schema) of all parts of a schema, itself among them."""
    yield place, schema
    for name in ("properties", "$defs"):
        for key, part in schema.get(name, {}).items():
            yield from parts_of(part, f"{place}/{key}")
    for name in ("oneOf", "anyOf"):
        for part in schema.get(name, []):
            yield from parts_of(part, place)
    if "items" in schema:
        yield from parts_of(schema["items"], place)


class Schemas(unittest.TestCase):
    def test_they_are_schemas_and_closed(self):
        for path in SCHEMAS.glob("*.json"):
            schema = json.loads(path.read_text())
            Draft202012Validator.check_schema(schema)
            for place, part in parts_of(schema):
                with self.subTest(path.name + place):
                    if "properties" in part:
                        self.assertIs(part.get("additionalProperties"), False)
                        self.assertLessEqual(set(part["required"]), set(part["properties"]))
                        for name, field in part["properties"].items():
                            if not place.startswith("/config"):
                                self.assertTrue(field.get("description"), name)

    def test_every_verb_with_json_has_one(self):
        verbs = vitrail("help", "--json").json()[0]["verbs"]
        with_json = {verb["name"].replace(" ", "-") for verb in verbs
                     if any("--json" in option["names"] for option in verb["options"])}
        with_json.add("embed")  # whose lines need no flag
        schemas = {path.name.removesuffix(".schema.json") for path in SCHEMAS.glob("*.json")}
        self.assertEqual(with_json, schemas - {"common"})

    def test_the_document_is_what_they_say(self):
        subprocess.run([sys.executable, SOURCE / "tools" / "json_docs", "--check"], check=True)


class Verbs(CommandTest):
    """Each test runs all forms of its verb."""

    def setUp(self):
        super().setUp()
        self.seen = {}
        self.set = self.folder / "set"
        for split, count in (("train", 6), ("val", 2)):
            for number, name in enumerate(CLASSES):
                (self.set / split / name).mkdir(parents=True)
                for i in range(count):
                    write_png(self.set / split / name / f"{i}.png",
                              shade=50 * number + 3 * i + (7 if split == "val" else 0))
        self.picture = self.set / "val" / "ant" / "0.png"
        self.broken = self.folder / "broken.png"
        self.broken.write_bytes(b"no picture")
        self.model = self.copy_model()
        (self.model / "labels.txt").write_text("\n".join(CLASSES) + "\n")

    def prints(self, schema, *arguments, status=0, environment=None):
        result = vitrail(*arguments, environment=environment)
        self.assertEqual(result.status, status, (arguments, result.errors))
        self.assertTrue(result.lines, arguments)
        whole = read_schema(schema)
        for line in result.json():
            fitting = [i for i, form in enumerate(forms_of(whole))
                       if Draft202012Validator(form).is_valid(line)]
            if len(fitting) != 1:
                errors = [error.message for form in forms_of(whole)
                          for error in Draft202012Validator(form).iter_errors(line)]
                self.fail(f"{arguments}: {json.dumps(line)[:2000]} fits {len(fitting)} forms of "
                          f"{schema}: {errors[:8]}")
            self.seen.setdefault(schema, set()).add(fitting[0])
        return result.json()

    def tearDown(self):
        for schema, seen in self.seen.items():
            self.assertEqual(seen, set(range(len(forms_of(read_schema(schema))))),
                             f"a form of {schema} is not among the tests")

    def own_model(self):
        own = self.folder / "own"
        if not own.exists():
            vitrail("convert", "--model", self.model, "--to", "vitrail", "--out", own)
        return own

    def test_classify_and_embed(self):
        self.prints("classify", "classify", self.picture, self.broken, "--model", self.model,
                    "--json", status=1)
        for meaning in ("answer=raw", "answer=sigmoid", "multi_label=true"):
            self.prints("classify", "classify", self.picture, self.broken, "--model", self.model,
                        "--set", meaning, "--json", status=1)
        for kind in ("class", "mean", "patches"):
            self.prints("embed", "embed", self.picture, self.broken, "--model", self.model,
                        "--kind", kind, status=1)

    def test_explain(self):
        for more in ([], ["--set", "multi_label=true"], ["--rows", "0:1:2", "--rows", "1:0:0"]):
            self.prints("explain", "explain", self.picture, self.broken, "--model", self.model,
                        "--output", self.folder / "out", "--json", *more, status=1)

    def test_eval(self):
        self.prints("eval", "eval", self.set, "--model", self.model, "--json", "--mistakes", 3)
        self.prints("eval", "eval", "--data", f"folder:{self.set}", "--model", self.model, "--json",
                    "--features")
        self.prints("eval", "eval", "scenes", "--model", "scenes", "--split", "val", "--limit", 8,
                    "--json", "--pointing")
        table = self.folder / "several.csv"
        table.write_text("path,labels\nset/val/ant/0.png,ant|bee\nset/val/cat/1.png,cat\n")
        self.prints("eval", "eval", f"csv:{table}", "--model", self.model, "--set",
                    "multi_label=true", "--json")

    def test_calibrate_and_what_follows(self):
        own = self.own_model()
        for certainty in ("probability", "typicality"):
            self.prints("calibrate", "calibrate", self.set, "--model", own, "--certainty", certainty,
                        "--others", self.picture, "--json")
        self.prints("classify", "classify", self.picture, self.broken, "--model", own, "--json",
                    status=1)
        self.prints("explain", "explain", self.picture, self.broken, "--model", own, "--output",
                    self.folder / "out", "--json", status=1)
        self.prints("eval", "eval", self.set, "--model", own, "--json")
        self.seen.pop("eval")  # whose other forms have a test of their own

    def test_train_and_report(self):
        run = self.folder / "run"
        tiny = ["--arch", "vit_lite_6_4", "--set", "depth=1", "--set", "embed_dim=16", "--set",
                "num_heads=1", "--batch", 6, "--epochs", 1]
        self.prints("train", "train", "--data", self.set, "--out", run, *tiny, "--json")
        shutil.move(self.set / "val", self.set / "test")
        self.prints("train", "train", "--data", self.set, "--out", self.folder / "tested", *tiny,
                    "--json")
        table = self.folder / "several.csv"
        table.write_text("path,labels,split\n" + "".join(
            f"set/{folder}/{name}/{i}.png,{name}|{CLASSES[i]},{split}\n"
            for folder, split, count in (("train", "train", 5), ("test", "val", 2))
            for name in CLASSES for i in range(count)))
        self.prints("train", "train", "--data", f"csv:{table}", "--out", self.folder / "several",
                    *tiny, "--json")
        self.prints("report", "report", run, "--records-only", "--json")

    def test_finetune(self):
        self.prints("finetune", "finetune", "--model", self.model, "--data", self.set, "--out",
                    self.folder / "probe", "--method", "probe", "--json")
        shutil.copytree(self.set / "val", self.set / "test")
        self.prints("finetune", "finetune", "--model", self.model, "--data", self.set, "--out",
                    self.folder / "full", "--method", "full", "--epochs", 1, "--json")

    def test_models_as_files(self):
        self.prints("inspect", "inspect", self.model, "--json")
        self.prints("inspect", "inspect", "vit_tiny_patch16_224", "--json")
        self.prints("doctor", "doctor", self.model, "--json")
        reference = self.folder / "reference.safetensors"
        write_safetensors(reference, {"input": ((1, 3, 12, 12), [0.1] * 432),
                                      "blocks.0": ((1, 10, 16), [0.0] * 160),
                                      "blocks.7": ((1, 1), [0.0]), "other": ((1,), [0.0])})
        self.prints("doctor", "doctor", self.model, "--against", reference, "--json", status=1)
        self.prints("convert", "convert", "--model", self.model, "--to", "hf", "--out",
                    self.folder / "hf", "--json")
        self.prints("quantize", "quantize", "--model", self.model, "--data", self.set, "--out",
                    self.folder / "int8", "--max-drop", 100, "--json")
        self.prints("quantize", "quantize", "--model", self.model, "--set", "answer=raw", "--data",
                    self.set, "--out", self.folder / "values", "--max-drop", 100, "--json")

    def test_data(self):
        self.prints("data-render", "data", "render", "--out", self.folder / "scene.png", "--size",
                    32, "--objects", 3, "--json")
        (self.set / "train" / "ant" / "notes.txt").write_text("no picture")
        described = self.prints("data-describe", "data", "describe", self.set, "--json")
        self.assertTrue(described[0]["left_out"])
        self.prints("data-describe", "data", "describe", "--data", "scenes:count=3,size=16",
                    "--json")
        self.prints("data-preview", "data", "preview", self.set, "--out", self.folder / "sheet.png",
                    "--count", 2, "--versions", 2, "--json")

    def test_what_is_fetched(self):
        hub = Hub(model_files())
        self.addCleanup(hub.close)
        environment = dict(os.environ, HF_ENDPOINT=hub.address, HF_HOME=str(self.folder / "hub"))
        self.prints("pull", "pull", hub.name, "--json", environment=environment)
        if FASHION.is_dir():  # the publishers' hashes are pinned
            publisher = Server(lambda request: request.reply_file(
                (FASHION / request.path.split("/")[-1]).read_bytes()))
            self.addCleanup(publisher.close)
            self.prints("data-get", "data", "get", "fashion-mnist", "--from", publisher.address,
                        "--out", self.folder / "fashion", "--json")

    def test_bench(self):
        once = ["--runs", 1, "--threads", 1, "--json"]
        self.prints("bench", "bench", self.model, *once)
        for precision in ("f32", "bf16", "int8", "auto"):
            self.prints("bench", "bench", self.model, *once, "--profile", "--precision", precision)
        self.prints("bench", "bench", self.model, *once, "--train")
        self.prints("bench", "bench", "--model", self.model, *once, "--pictures", self.set)
        self.prints("bench", "bench", "vit_lite_6_4", *once, "--data", self.set, "--batch", 2,
                    "--set", "image_size=16")
        self.prints("bench", "bench", "--peak", "--threads", 1, "--json")

    def test_what_the_program_says_of_itself(self):
        self.prints("help", "help", "--json")
        self.prints("version", "version", "--json")
        self.prints("models", "models", "--json")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
