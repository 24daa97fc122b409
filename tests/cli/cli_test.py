#!/usr/bin/env python3
"""Every verb on tiny models: what it prints, and how it fails: one line, an exit status, and
nothing left half-written. usage: cli_test.py BINARY SOURCE_DIR"""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import unittest

from command import (BINARY, GOLDENS, MODEL, CommandTest, read_safetensors, vitrail, write_png,
                     write_safetensors)

VERBS = ["classify", "embed", "explain", "train", "finetune", "eval", "report", "inspect", "doctor",
         "convert", "quantize", "data", "bench", "models", "pull", "calibrate"]


class Usage(CommandTest):
    def test_help_has_an_example(self):
        result = vitrail("--help")
        self.assertEqual(result.status, 0)
        for verb in VERBS:
            self.assertIn(verb, result.out)
            with self.subTest(verb):
                text = vitrail(verb, "--help")
                self.assertEqual(text.status, 0)
                self.assertIn(f"vitrail {verb}", text.out)
                self.assertIn("Example", text.out)
        self.assertRegex(vitrail("--version").out, r"^vitrail \d+\.\d+")

    def test_bad_usage_is_2(self):
        picture = self.folder / "a.png"
        self.fails(status=2)
        self.fails("paint", status=2)
        self.fails("classify", status=2, saying="pictures")
        self.fails("classify", picture, "--bogus", status=2, saying="--bogus")
        self.fails("classify", picture, "--top", "many", status=2)
        self.fails("classify", picture, "--batch", 0, status=2)
        self.fails("classify", picture, "--threads", -1, status=2)
        self.fails("classify", picture, "--set", "num_heads", status=2, saying="KEY=VALUE")
        self.fails("classify", picture, "--exif", "sometimes", status=2)
        self.fails("embed", picture, "--model", MODEL, "--out", "x.csv", status=2, saying=".npy")
        self.fails("bench", MODEL, "--size", "big", status=2, saying="--size")
        self.fails("eval", status=2)


class Classify(CommandTest):
    def test_json_is_one_object_a_line_in_order(self):
        result = vitrail("classify", "--model", MODEL, self.folder / "c.png", self.folder / "a.png",
                         "--json", "--top", 3)
        self.assertEqual(result.status, 0)
        lines = result.json()
        self.assertEqual([pathlib.Path(line["file"]).name for line in lines], ["c.png", "a.png"])
        for line in lines:
            self.assertEqual(len(line["top"]), 3)
            logits = [entry["logit"] for entry in line["top"]]
            self.assertEqual(logits, sorted(logits, reverse=True))
            for entry in line["top"]:
                self.assertEqual(list(entry), ["index", "label", "probability", "logit"])
                self.assertIsNone(entry["label"])

    def test_default_top_is_five_and_probabilities_sum_to_one(self):
        line = vitrail("classify", "--model", MODEL, self.folder / "a.png", "--json").json()[0]
        self.assertEqual(len(line["top"]), 5)
        self.assertAlmostEqual(sum(entry["probability"] for entry in line["top"]), 1, places=9)

    def test_folders_are_walked_sorted(self):
        (self.folder / "deep").mkdir()
        write_png(self.folder / "deep" / "d.PNG")
        (self.folder / "notes.txt").write_text("no picture")
        result = vitrail("classify", "--model", MODEL, self.folder, "--json")
        self.assertEqual([pathlib.Path(line["file"]).name for line in result.json()],
                         ["a.png", "b.png", "c.png", "d.PNG"])

    def test_an_unreadable_picture_leaves_the_others(self):
        (self.folder / "b.png").write_bytes(b"this is no picture")
        result = vitrail("classify", "--model", MODEL, self.folder, "--json", "--batch", 2)
        self.assertEqual(result.status, 1)
        a, b, c = result.json()
        self.assertIn("top", a)
        self.assertEqual(set(b), {"file", "error"})
        self.assertIn("b.png", b["error"])
        self.assertIn("top", c)
        missing = vitrail("classify", "--model", MODEL, self.folder / "none.png",
                          self.folder / "a.png", "--json")
        self.assertEqual(missing.status, 1)
        self.assertEqual([set(line) for line in missing.json()],
                         [{"file", "error"}, {"file", "answer", "top"}])
        text = vitrail("classify", "--model", MODEL, self.folder / "b.png", self.folder / "a.png")
        self.assertEqual(text.status, 1)
        self.assertIn("a.png", text.out)
        self.assertTrue(any(line.startswith("vitrail: [picture]") for line in text.errors))

    def test_a_picture_on_standard_input(self):
        picture = (self.folder / "a.png").read_bytes()

        def piped(*arguments, data=picture):
            return subprocess.run([BINARY, *map(str, arguments)], input=data, capture_output=True)

        named = vitrail("classify", "--model", MODEL, self.folder / "a.png", "--json").json()[0]
        process = piped("classify", "-", "--model", MODEL, "--json")
        self.assertEqual(process.returncode, 0, process.stderr)
        answer = json.loads(process.stdout)
        self.assertEqual((answer["file"], answer["top"]), ("-", named["top"]))
        # Beside files and twice: read once.
        process = piped("embed", self.folder / "b.png", "-", "-", "--model", MODEL)
        self.assertEqual([json.loads(line)["file"] for line in process.stdout.splitlines()],
                         [str(self.folder / "b.png"), "-", "-"])
        process = piped("explain", "-", "--model", MODEL, "--output", self.folder / "out")
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertTrue((self.folder / "out" / "stdin-explained.html").is_file())
        for data, saying in ((b"", b"nothing came there"), (b"no picture", b"no picture of a known")):
            process = piped("classify", "-", "--model", MODEL, data=data)
            self.assertEqual(process.returncode, 1)
            self.assertIn(saying, process.stderr)

    def test_a_pass_beyond_memory_or_patience_is_refused_at_once(self):
        self.fails("classify", "--model", MODEL, self.folder / "a.png", "--memory", "lots",
                   status=2, saying="--memory takes a size such as 512MB or 16GB")
        self.fails("bench", "--model", "vit_base_patch16_224", "--size", 8192,
                   "--memory", "1GB", "--batch", 1, saying="allow it with --memory")
        self.fails("bench", "--model", "vit_tiny_patch16_224", "--size", 8192,
                   "--memory", "900GB", "--batch", 1, saying="allow it with --slow")

    def test_bits_do_not_depend_on_threads_and_batch(self):
        runs = [vitrail("classify", "--model", MODEL, self.folder, "--json", "--threads", threads,
                        "--batch", batch).out for threads in (1, 2) for batch in (1, 8)]
        self.assertTrue(runs[0])
        self.assertEqual(len(set(runs)), 1)

    @unittest.skipUnless(pathlib.Path("/dev/full").is_char_device(), "there is no /dev/full")
    def test_results_that_reach_no_file_are_no_success(self):
        for form in ([], ["--json"]):
            with open("/dev/full", "w") as full:
                process = subprocess.run([BINARY, "classify", "--model", MODEL,
                                          self.folder / "a.png", *form], stdout=full,
                                         stderr=subprocess.PIPE, text=True)
            self.assertEqual(process.returncode, 1)
            self.assertIn("vitrail: [output]", process.stderr)

    def test_labels(self):
        labels = self.folder / "labels.json"
        labels.write_text(json.dumps({str(i): [f"n0000000{i}", f"name {i}"] for i in range(5)}))
        line = vitrail("classify", "--model", MODEL, "--labels", labels, self.folder / "a.png",
                       "--json").json()[0]
        for entry in line["top"]:
            self.assertEqual(entry["label"], f"name {entry['index']}")
        labels.write_text("one\ntwo\n")
        self.fails("classify", "--model", MODEL, "--labels", labels, self.folder / "a.png",
                   saying="2 classes, and the model has 5")

    def test_the_bundled_model_says_what_it_knows(self):
        shutil.copytree(MODEL, self.folder / "models" / "photos")
        (self.folder / "models" / "photos" / "labels.txt").write_text("ant\nbee\ncat\ndog\nelk\n")
        environment = dict(os.environ, VITRAIL_MODELS=str(self.folder / "models"))
        result = vitrail("classify", self.folder / "a.png", "--model", "photos", "--json",
                         environment=environment)
        self.assertEqual(result.status, 0, result.errors)
        self.assertIn("ant, bee, cat, dog, elk", "\n".join(result.errors))


class BadModels(CommandTest):
    def classify(self, model, saying=""):
        self.fails("classify", "--model", model, self.folder / "a.png", saying=saying)

    def test_missing_empty_and_wrong_files(self):
        self.classify(self.folder / "nothing", "no such file")
        empty = self.folder / "empty.safetensors"
        empty.write_bytes(b"")
        self.classify(empty, "empty.safetensors")
        self.classify(self.folder / "a.png")  # a picture is no model
        (self.folder / "hollow").mkdir()
        self.classify(self.folder / "hollow")

    def test_truncated_weights(self):
        model = self.copy_model()
        weights = model / "model.safetensors"
        whole = weights.read_bytes()
        for size in (4, 100, len(whole) // 2, len(whole) - 1):
            weights.write_bytes(whole[:size])
            self.classify(model, "model.safetensors")

    def test_hostile_header(self):
        model = self.copy_model()
        (model / "model.safetensors").write_bytes(struct.pack("<Q", 2**63) + b"{}")
        self.classify(model, "model.safetensors")

    def test_a_model_of_no_known_family(self):
        path = self.folder / "other.safetensors"
        write_safetensors(path, {"conv1.weight": ((2, 2), (1, 2, 3, 4))})
        self.classify(path)

    def change_weights(self, change):
        model = self.copy_model()
        tensors = read_safetensors(model / "model.safetensors")
        change(tensors)
        write_safetensors(model / "model.safetensors", tensors)
        return model

    def test_nan_weights(self):
        def poison(tensors):
            shape, values = tensors["blocks.1.mlp.fc1.weight"]
            tensors["blocks.1.mlp.fc1.weight"] = (shape, (float("nan"),) + values[1:])
        self.classify(self.change_weights(poison), "blocks.1.mlp.fc1.weight")

    def test_a_tensor_missing_unknown_or_of_another_shape(self):
        self.classify(self.change_weights(lambda t: t.pop("blocks.1.norm2.bias")),
                      "blocks.1.norm2.bias")
        shutil.rmtree(self.folder / "model")
        self.classify(self.change_weights(lambda t: t.update({"blocks.1.extra": ((1,), (0,))})),
                      "blocks.1.extra")
        shutil.rmtree(self.folder / "model")
        self.classify(self.change_weights(lambda t: t.update({"norm.bias": ((2,), (0, 0))})),
                      "norm.bias")

    def test_broken_config(self):
        model = self.copy_model()
        for text in ("", "{", "[" * 100_000, '{"architecture": 7}'):
            (model / "config.json").write_text(text)
            self.classify(model)

    def test_what_a_checkpoint_does_not_say_is_refused_by_name(self):
        model = self.copy_model()
        (model / "config.json").unlink()
        self.classify(model, "--set num_heads=")

    def test_unknown_setting(self):
        self.fails("classify", "--model", MODEL, "--set", "colour=blue", self.folder / "a.png",
                   saying="colour")


class Embed(CommandTest):
    def test_every_form_of_output_agrees(self):
        lines = vitrail("embed", self.folder, "--model", MODEL).json()
        self.assertEqual(len(lines), 3)
        flat = [value for line in lines for value in line["embedding"]]
        self.assertEqual(len(flat), 3 * 16)
        out = self.folder / "features.safetensors"
        self.assertEqual(vitrail("embed", self.folder, "--model", MODEL, "--out", out).status, 0)
        shape, values = read_safetensors(out)["embeddings"]
        self.assertEqual((shape, list(values)), ([3, 16], flat))
        out = self.folder / "features.npy"
        self.assertEqual(vitrail("embed", self.folder, "--model", MODEL, "--out", out).status, 0)
        data = out.read_bytes()
        self.assertEqual(data[:6], b"\x93NUMPY")
        self.assertIn(b"(3, 16)", data[:128])
        self.assertEqual(list(struct.unpack("<48f", data[-192:])), flat)

    def test_kinds_and_layers(self):
        def embedding(*arguments):
            return vitrail("embed", self.folder / "a.png", "--model", MODEL,
                           *arguments).json()[0]["embedding"]
        grid = embedding("--kind", "patches")
        self.assertEqual((len(grid), len(grid[0]), len(grid[0][0])), (3, 3, 16))
        mean = embedding("--kind", "mean")
        for d in range(16):
            self.assertAlmostEqual(sum(grid[y][x][d] for y in range(3) for x in range(3)) / 9,
                                   mean[d], places=5)
        self.assertEqual(embedding("--layer", 1), embedding("--layer", -1))
        self.assertNotEqual(embedding("--layer", 0), embedding("--layer", 1))
        self.fails("embed", self.folder / "a.png", "--model", MODEL, "--layer", 2,
                   saying="blocks 0 to 1")

    def test_nothing_is_written_when_something_fails(self):
        (self.folder / "b.png").write_bytes(b"no")
        out = self.folder / "features.npy"
        result = vitrail("embed", self.folder, "--model", MODEL, "--out", out)
        self.assertEqual(result.status, 1)
        self.assertFalse(out.exists())
        self.fails("embed", self.folder / "a.png", "--model", MODEL, "--out",
                   self.folder / "no" / "such" / "folder.npy")


class Report(CommandTest):
    def test_refuses_what_is_no_run(self):
        self.fails("report", self.folder, saying="holds no run")
        (self.folder / "train.json").write_text("{")
        self.fails("report", self.folder, saying="train.json")
        self.assertFalse((self.folder / "report.html").exists())

    def test_a_run_with_its_records_alone(self):
        (self.folder / "train.json").write_text('{"epochs": 2, "data": "folder:/gone"}')
        (self.folder / "metrics.jsonl").write_text('{"kind":"step","step":1,"loss":2}\n')
        page = self.folder / "page.html"
        answer, = vitrail("report", self.folder, "--out", page, "--json").json()
        self.assertEqual(answer["page"], str(page))
        self.assertIn("Pictures are missing here", page.read_text())
        self.assertEqual(vitrail("report", self.folder, "--records-only").lines,
                         [str(self.folder / "report.html")])


class Inspect(CommandTest):
    def test_published_architectures(self):
        report, = vitrail("inspect", "vit_tiny_patch16_224", "--json").json()
        self.assertEqual(report["parameters"], 5_717_416)
        self.assertEqual(report["tokens"], 197)
        self.assertEqual(sum(layer["multiply_adds"] for layer in report["layers"]),
                         report["multiply_adds"])
        self.assertEqual(report["weight_bytes"], 4 * 5_717_416)
        self.assertGreater(report["working_bytes"], 197 * 192 * 4)
        larger, = vitrail("inspect", "vit_tiny_patch16_224", "--json", "--size", "224x448").json()
        self.assertEqual(larger["tokens"], 393)
        self.assertGreater(larger["working_bytes"], report["working_bytes"])
        self.assertIn("blocks.11.mlp", vitrail("inspect", "vit_tiny_patch16_224").out)
        self.fails("inspect", "vit_enormous", saying="vit_enormous")
        self.fails("inspect", "vit_tiny_patch16_224", "--size", 225)

    def test_bench(self):
        report, = vitrail("bench", MODEL, "--json", "--runs", 3, "--batch", 2).json()
        self.assertEqual((report["runs"], report["batch"], report["height"]), (3, 2, 12))
        for key in ("milliseconds", "pictures_per_second", "gflops", "peak_memory_bytes"):
            self.assertGreater(report[key], 0)
        self.assertEqual(vitrail("bench", MODEL, "--runs", 1, "--probe").status, 0)


class Doctor(CommandTest):
    def test_names_the_family_and_the_sources(self):
        report, = vitrail("doctor", MODEL, "--json").json()
        self.assertEqual(report["family"], "timm")
        sources = {entry["field"]: entry["source"] for entry in report["sources"]}
        self.assertIn("config.json", sources["num_heads"])
        self.assertIn("preprocess", sources)
        self.assertIn("family timm", vitrail("doctor", "--model", MODEL).out)

    def test_against_a_reference(self):
        golden = MODEL / "golden.safetensors"
        result = vitrail("doctor", MODEL, "--against", golden, "--json")
        self.assertEqual(result.status, 0, result.out)
        comparison = result.json()[0]["against"]
        self.assertIsNone(comparison["first_divergence"])
        self.assertEqual([layer["name"] for layer in comparison["layers"]],
                         ["block.0", "block.1", "logits"])

    def test_the_first_layer_that_diverges_is_named(self):
        tensors = read_safetensors(MODEL / "golden.safetensors")
        kept = {name: tensors[name] for name in ("input", "block.0", "block.1", "logits")}
        shape, values = kept["block.1"]
        kept["block.1"] = (shape, (values[0] + 0.5,) + values[1:])
        reference = self.folder / "reference.safetensors"
        write_safetensors(reference, kept)
        result = vitrail("doctor", MODEL, "--against", reference)
        self.assertEqual(result.status, 1)
        self.assertIn("the first layer that diverges is block.1", result.out)
        write_safetensors(reference, {"logits": kept["logits"]})
        self.fails("doctor", MODEL, "--against", reference, saying="input")


class Convert(CommandTest):
    def test_another_familys_names_give_the_same_answers(self):
        before = vitrail("classify", "--model", MODEL, self.folder / "a.png", "--json").json()[0]
        for family in ("hf", "vitrail", "timm"):
            out = self.folder / family
            result = vitrail("convert", "--model", MODEL, "--to", family, "--out", out)
            self.assertEqual(result.status, 0, result.errors)
            after = vitrail("classify", "--model", out, self.folder / "a.png", "--json").json()[0]
            for ours, theirs in zip(before["top"], after["top"]):
                self.assertEqual(ours["index"], theirs["index"])
                self.assertAlmostEqual(ours["logit"], theirs["logit"], places=4)

    def test_unknown_family_and_unwritable_folder(self):
        self.fails("convert", "--model", MODEL, "--to", "keras", "--out", self.folder / "x")
        self.fails("convert", "--model", MODEL, "--to", "hf", "--out", self.folder / "a.png" / "x")


class Quantize(CommandTest):
    def unknown_pictures(self):
        for name in "ab":
            (self.folder / "set" / name).mkdir(parents=True)
            shutil.copy(self.folder / f"{name}.png", self.folder / "set" / name)
        return self.folder / "set"

    def test_the_written_model_is_smaller_and_answers_alike(self):
        out = self.folder / "int8"
        report = vitrail("quantize", "--model", "scenes", "--data", "scenes:test=20,seed=5",
                         "--split", "test", "--out", out, "--max-drop", "5", "--keep",
                         "blocks.0=f32", "--json").json()[0]
        self.assertEqual(report["measure"], "top1")
        self.assertEqual(report["pictures"], 20)
        self.assertTrue(all(layer["precision"] == "int8" for layer in report["layers"]))
        self.assertFalse(any(layer["path"].startswith("blocks.0.") for layer in report["layers"]))
        stored = read_safetensors(out / "model.safetensors")
        self.assertIn("blocks.1.attn.qkv.weight_scale", stored)
        self.assertNotIn("blocks.0.attn.qkv.weight_scale", stored)
        vitrail("data", "render", "--seed", "5", "--index", "3", "--size", "128", "--out",
                self.folder / "scene.png")
        for extra in ([], ["--precision", "f32"], ["--precision", "bf16"]):
            before = vitrail("classify", "--model", "scenes", self.folder / "scene.png",
                             "--json").json()[0]["top"]
            after = vitrail("classify", "--model", out, self.folder / "scene.png", "--json",
                            *extra).json()[0]["top"]
            self.assertEqual(before[0]["label"], after[0]["label"])
            self.assertAlmostEqual(before[0]["probability"], after[0]["probability"], delta=0.1)

    def test_too_great_a_loss_writes_nothing(self):
        out = self.folder / "int8"
        arguments = ["quantize", "--model", "photos", "--data", self.unknown_pictures(), "--out",
                     out]
        self.fails(*arguments, "--max-drop", "0", saying="Nothing was written")
        self.assertFalse(out.exists())
        self.fails(*arguments, "--keep", "blocks.99", saying="blocks.99")
        self.fails(*arguments, "--keep", "head=fp16", saying="fp16")

    def test_precision_of_a_plain_model(self):
        answers = [vitrail("classify", "--model", MODEL, self.folder / "a.png", "--precision",
                           precision, "--json").json()[0]["top"]
                   for precision in ("f32", "bf16", "int8")]
        logits = [{entry["index"]: entry["logit"] for entry in top} for top in answers]
        largest = max(abs(value) for value in logits[0].values())
        for other in logits[1:]:
            self.assertNotEqual(other, logits[0])
            for index, value in logits[0].items():
                self.assertAlmostEqual(other[index], value, delta=0.1 * largest)


class Train(CommandTest):
    DATA = "scenes:size=16,count=32,val=8,test=8"
    SMALL = ("--set", "image_size=16", "--set", "embed_dim=16", "--set", "depth=1", "--set",
             "num_heads=2", "--epochs", 1, "--batch", 8, "--threads", 1)

    def test_presets_are_listed_and_used(self):
        listed = vitrail("train", "--preset", "list")
        self.assertEqual(listed.status, 0)
        for name in ("cct_2_3x2", "cct_7_3x1", "vit_lite_7_4", "cvt_7_4", "deit_tiny", "finetune"):
            self.assertIn(name, listed.out)
        out = self.folder / "run"
        result = vitrail("train", "--data", self.DATA, "--preset", "cct_2_3x2", "--out", out,
                         *self.SMALL, "--warmup", 0, "--set", "cooldown_epochs=0",
                         "--set", "ema_decay=0.9", "--accumulate", 2, "--json")
        self.assertEqual(result.status, 0, result.errors)
        self.assertEqual(result.json()[0]["steps"], 4)
        config = json.loads((out / "train.json").read_text())
        self.assertEqual((config["weight_decay"], config["accumulate"]), (0.06, 2))
        self.assertEqual(config["model"]["pooling"], "sequence")
        self.fails("train", "--data", self.DATA, "--preset", "cct_9", "--out", out / "b",
                   saying="cct_7_3x1")

    def test_pointing_says_what_the_model_learned_from(self):
        out = self.folder / "pointed"
        trained = vitrail("train", "--data", self.DATA, "--out", out, *self.SMALL)
        self.assertEqual(trained.status, 0, trained.errors)
        for split, learned, of in (("train", 32, 32), ("test", 0, 8)):
            judged = vitrail("eval", self.DATA, "--model", out, "--pointing", "--split", split,
                             "--json")
            self.assertEqual(judged.status, 0, judged.errors)
            self.assertEqual(judged.json()[0]["trained_on"], {"pictures": learned, "of": of})

    def test_what_cannot_be(self):
        self.fails("train", "--data", self.DATA, status=2, saying="--out")
        out = self.folder / "bad"
        for setting, saying in (("optimizer=lion", "muon"), ("schedule=stairs", "one_cycle"),
                                ("loss=hinge", "bce"), ("freeze=block.*", "block.*"),
                                ("method=guess", "supervised"), ("accumulate=3", "accumulate")):
            self.fails("train", "--data", self.DATA, "--out", out, *self.SMALL, "--set", setting,
                       saying=saying)


class Data(CommandTest):
    def test_renders_with_ground_truth(self):
        out, mask = self.folder / "scene.png", self.folder / "mask.png"
        result = vitrail("data", "render", "--index", 7, "--size", 48, "--out", out, "--mask", mask,
                         "--json")
        self.assertEqual(result.status, 0, result.errors)
        scene, = result.json()
        for file, colour in ((out, 2), (mask, 0)):
            data = file.read_bytes()
            self.assertEqual(struct.unpack(">IIBB", data[16:26]), (48, 48, 8, colour))
        self.assertIn(scene["class"], scene["caption"])
        self.assertEqual(len(scene["objects"][0]["box"]), 4)
        again = self.folder / "again.png"
        vitrail("data", "render", "--index", 7, "--size", 48, "--out", again)
        self.assertEqual(again.read_bytes(), out.read_bytes())
        self.fails("data", "render", "--out", self.folder / "none" / "x.png")
        self.fails("data", "render", "--out", out, "--size", 2, status=2)

    def test_previews(self):
        for name in ("a", "b"):
            for index in range(2):
                vitrail("data", "render", "--index", index, "--size", 32, "--out",
                        self.made(name) / f"{index}.png")
        out, again = self.folder / "sheet.png", self.folder / "again.png"
        arguments = ("data", "preview", "--data", self.folder / "set", "--count", 2, "--split", "all",
                     "--versions", 3, "--set", "auto_augment=3a", "--set", "image_size=32")
        self.assertIn("2 pictures", vitrail(*arguments, "--out", out).out)
        vitrail(*arguments, "--out", again)
        self.assertEqual(out.read_bytes(), again.read_bytes())
        vitrail(*arguments, "--set", "seed=3", "--out", again)
        self.assertNotEqual(out.read_bytes(), again.read_bytes())
        self.fails(*arguments, "--set", "auto_augment=4a", "--out", self.folder / "none.png")
        self.assertFalse((self.folder / "none.png").exists())

    def made(self, name):
        folder = self.folder / "set" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def test_describes(self):
        for name in ("ant", "bee"):
            (self.folder / "set" / name).mkdir(parents=True)
            write_png(self.folder / "set" / name / "1.png")
        report, = vitrail("data", "describe", self.folder / "set", "--json").json()
        self.assertEqual(report["splits"][0]["classes"],
                         [{"name": "ant", "count": 1}, {"name": "bee", "count": 1}])
        self.fails("data", "describe", f"mnist:{self.folder}")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
