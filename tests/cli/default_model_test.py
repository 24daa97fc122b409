#!/usr/bin/env python3
"""What is taken where no --model is given: asked for, fetched once, then from the cache; and what
happens where it is not to be had. The names of the catalogue. All against a hub on this machine.
usage: default_model_test.py BINARY SOURCE_DIR"""
import json
import os
import pty
import resource
import shlex
import shutil
import subprocess
import sys
import unittest

from command import BINARY, shown_on, write_png
from hub_case import MODEL, HubTest, model_files, nobody
from hub_server import hang

DEFAULT = "vit_tiny"
REPOSITORY = "timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k"


class DefaultModel(HubTest):
    def setUp(self):
        super().setUp()
        for name in "ab":
            write_png(self.folder / f"{name}.png", shade=ord(name))
        # A stand-in for the bundled model, which takes longer.
        shutil.copytree(MODEL, self.folder / "models" / "photos")
        (self.folder / "models" / "photos" / "labels.txt").write_text("ant\nbee\ncat\ndog\nelk\n")
        self.environment["VITRAIL_MODELS"] = str(self.folder / "models")
        self.served = self.hub(model_files(), name=REPOSITORY)

    def at_terminal(self, answer, *arguments, **variables):
        """(status, stdout, what stderr showed) of a command whose question is answered."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen([os.path.abspath(BINARY), *map(str, arguments)], cwd=self.folder,
                                   stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, text=True,
                                   env=dict(self.environment, **variables))
        os.close(theirs)
        answered = []

        def see(shown):
            if not answered and b"[Y/n] " in shown:
                answered.append(os.write(ours, answer))

        shown = shown_on(ours, see)
        out = process.communicate(timeout=800)[0]
        os.close(ours)
        return process.returncode, out, shown.decode()

    def from_hub(self, result):
        self.assertEqual(result.status, 0, result.errors)
        self.assertEqual({line["model"] for line in result.json()}, {DEFAULT}, result.errors)

    def stands_in(self, result, saying):
        """The bundled model answered, and it was said why and what that is worth."""
        self.assertEqual(result.status, 0, result.errors)
        self.assertEqual({line["model"] for line in result.json()}, {"photos"})
        said = [line for line in result.errors if not line.startswith("vitrail: note: fetching ")]
        self.assertEqual(len(said), 2, result.errors)
        why, worth = said
        self.assertIn(saying, why)
        self.assertIn(DEFAULT, why)
        self.assertRegex(worth, "the small bundled model 'photos' answers instead: it knows only "
                                "airplane, .*truck.*half.*demonstration")

    def test_it_is_fetched_once_and_then_comes_from_the_cache(self):
        for verb in ("classify", "explain"):
            with self.subTest(verb):
                shutil.rmtree(self.cache, ignore_errors=True)
                first = self.run_vitrail(verb, "a.png", "--yes", "--json")
                self.from_hub(first)
                self.assertTrue(any(f"fetching {DEFAULT} ({REPOSITORY})" in line
                                    for line in first.errors), first.errors)
                asked = len(self.served.server.log)
                self.from_hub(self.run_vitrail(verb, "a.png", "--json"))
                self.from_hub(self.run_vitrail(verb, "a.png", "--json", HF_HUB_OFFLINE="1"))
                self.from_hub(self.run_vitrail(verb, "a.png", "--json", HF_ENDPOINT=nobody()))
                self.assertEqual(len(self.served.server.log), asked, "the cache is enough")

    def test_the_first_line_names_it(self):
        self.run_vitrail("pull", DEFAULT)
        for verb in ("classify", "explain"):
            result = self.run_vitrail(verb, "a.png", "b.png")
            self.assertEqual(result.lines[0], f"model {DEFAULT} ({REPOSITORY})")
            self.assertEqual(sum(line.startswith("model ") for line in result.lines), 1)
            named = self.run_vitrail(verb, "a.png", "--model", DEFAULT)
            self.assertEqual(named.lines[0], "a.png")

    def test_the_cache_speaks_no_further_word(self):
        config = json.loads(self.served.files["config.json"])
        config["label_names"] = ["ant", "bee", "cat", "dog", "elk"]
        self.served.files["config.json"] = json.dumps(config).encode()
        self.run_vitrail("pull", DEFAULT)
        self.assertEqual(self.run_vitrail("classify", "a.png").errors, [])

    def test_without_a_terminal_nothing_is_fetched_unless_agreed(self):
        for verb in ("classify", "explain"):
            self.stands_in(self.run_vitrail(verb, "a.png", "b.png", "--json"), "--yes")
        self.assertEqual(self.served.server.log, [])
        why = self.run_vitrail("classify", "a.png").errors[0]
        self.assertIn("22.9 MB", why)
        self.assertIn("Apache-2.0", why)
        self.assertEqual(self.run_vitrail("classify", "a.png").lines[0], "model photos")

    def test_a_question_at_a_terminal(self):
        for answer, agreed in ((b"n\n", False), (b"no\n", False), (b"\x04", False),
                               (b"what?\nn\n", False), (b"\n", True), (b"Yes\n", True)):
            with self.subTest(answer):
                shutil.rmtree(self.cache, ignore_errors=True)
                del self.served.server.log[:]
                status, out, shown = self.at_terminal(answer, "classify", "a.png", "--json")
                self.assertEqual(status, 0, shown)
                self.assertEqual(json.loads(out)["model"], DEFAULT if agreed else "photos")
                self.assertIn(REPOSITORY, shown)
                self.assertEqual(bool(self.served.server.log), agreed)
                self.assertEqual("demonstration" in shown, not agreed)
        status, out, shown = self.at_terminal(b"", "classify", "a.png", "--json")
        self.assertNotIn("[Y/n]", shown, "it is in the cache")
        shutil.rmtree(self.cache)
        status, out, shown = self.at_terminal(b"", "classify", "a.png", "--json", "--yes")
        self.assertNotIn("[Y/n]", shown)
        self.assertEqual(json.loads(out)["model"], DEFAULT)

    def test_where_it_is_not_to_be_had(self):
        weights = "model.safetensors"
        (self.folder / "photos").mkdir()  # of somebody's pictures, and no model

        def ask(**variables):
            return self.run_vitrail("classify", "a.png", "--json", "--yes", **variables)

        self.stands_in(ask(HF_ENDPOINT=nobody()), "cannot be reached")
        self.stands_in(ask(HF_HUB_OFFLINE="1"), "HF_HUB_OFFLINE")
        self.stands_in(ask(TRANSFORMERS_OFFLINE="1"), "HF_HUB_OFFLINE")
        self.stands_in(ask(HF_ENDPOINT="ftp://x"), "HF_ENDPOINT")
        (self.folder / "file").write_text("")
        self.stands_in(ask(HF_HUB_CACHE=str(self.folder / "file" / "cache")), "cannot be created")
        for status, words in ((404, "has no"), (503, "a server error (503)")):
            self.served.api_status = status
            self.stands_in(ask(), words)
        self.served.api_status = 200
        self.served.serve[weights] = lambda request, content: request.reply_file(b"x" * len(content))
        self.stands_in(ask(), "is not what was published")
        self.served.serve[weights] = (
            lambda request, content: request.reply_file(content, stop_after=0)
            if request.headers.get("Range") else request.reply_file(content, stop_after=1000))
        self.stands_in(ask(), "bytes are kept")
        self.served.serve[weights] = hang
        self.stands_in(ask(HF_HUB_DOWNLOAD_TIMEOUT="1"), "does not answer")
        self.served.serve.clear()
        self.from_hub(ask())  # and goes on from what was kept

    def test_a_full_disk(self):
        def small_files():
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

        process = subprocess.run([os.path.abspath(BINARY), "classify", "a.png", "--json", "--yes"],
                                 capture_output=True, text=True, cwd=self.folder, timeout=800,
                                 env=self.environment, preexec_fn=small_files)
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertEqual(json.loads(process.stdout)["model"], "photos")
        self.assertIn("could not be fetched", process.stderr)
        self.from_hub(self.run_vitrail("classify", "a.png", "--json", "--yes"))

    def refuses(self, *arguments, saying):
        result = self.run_vitrail(*arguments)
        self.assertEqual(result.status, 1, (arguments, result.errors))
        self.assertEqual(len(result.errors), 1, result.errors)
        self.assertIn(saying, result.errors[0])
        self.assertEqual(result.out, "")
        return result.errors[0]

    def test_what_works_from_a_model_takes_no_other_in_its_place(self):
        for label in ("one", "two"):
            (self.folder / "data" / label).mkdir(parents=True)
            for i in range(8):
                write_png(self.folder / "data" / label / f"{i}.png",
                          shade=i + 100 * (label == "two"))
        finetune = ["finetune", "--data", "folder:data", "--out", "run", "--method", "probe"]
        for command in (finetune, ["embed", "a.png"], ["eval", "folder:data"], ["doctor"],
                        ["convert", "--to", "hf", "--out", "converted"]):
            with self.subTest(command[0]):
                self.refuses(*command, saying="--yes")
        self.assertFalse((self.folder / "run").exists())
        advice = self.refuses(*finetune, saying=" pull vit_tiny'")
        pull = shlex.split(advice.split("'")[1])
        self.assertEqual(self.run_vitrail(*pull[1:]).status, 0)
        result = self.run_vitrail(*finetune, "--json")
        self.assertEqual(result.status, 0, result.errors)
        base = json.loads((self.folder / "run" / "finetune.json").read_text())["base"]
        self.assertEqual(base, REPOSITORY)
        asked_for = self.run_vitrail("finetune", "--data", "folder:data", "--out", "toy",
                                     "--method", "probe", "--model", "photos")
        self.assertEqual(asked_for.status, 0, asked_for.errors)


class Catalogue(HubTest):
    def test_it_is_listed(self):
        rows = self.run_vitrail("models", "--json").json()
        self.assertEqual([row["name"] for row in rows if row["default"]], [DEFAULT])
        text = self.run_vitrail("models").out
        for row in rows:
            self.assertIn(row["name"], text)
            self.assertIn(row["licence"], text)
            self.assertEqual(row["bytes"], 4 * row["weights"])
            self.assertEqual(row["place"] == "bundled", row["repository"] is None)
            if row["repository"]:
                self.assertIn(row["repository"], text)
                self.assertEqual(row["place"], "hub")

    def test_bundled_models_are_what_it_says(self):
        for row in self.run_vitrail("models", "--json").json():
            if row["place"] != "bundled":
                continue
            found = self.run_vitrail("inspect", row["name"], "--json").json()[0]
            self.assertEqual(found["parameters"], row["weights"])
            self.assertEqual(found["config"]["num_classes"], row["classes"])

    def test_transformers_dinov2_has_one_token_more_than_the_original(self):
        """The one that hides patches in training, which is in its files."""
        rows = {row["name"]: row for row in self.run_vitrail("models", "--json").json()}
        for name, original in (("dinov2_small", "dinov2_vits14"), ("dinov2_base", "dinov2_vitb14")):
            found = self.run_vitrail("inspect", original, "--json").json()[0]
            self.assertEqual(found["parameters"] + found["config"]["embed_dim"],
                             rows[name]["weights"])
            self.assertEqual((rows[name]["licence"], rows[name]["classes"]), ("Apache-2.0", 0))

    def test_timms_definitions_have_so_many_weights(self):
        for row in self.run_vitrail("models", "--json").json():
            if not (row["repository"] or "").startswith("timm/"):
                continue
            architecture = row["repository"].removeprefix("timm/").split(".")[0]
            found = self.run_vitrail("inspect", architecture, "--json").json()[0]
            self.assertEqual(found["parameters"], row["weights"])
            self.assertEqual(found["config"]["num_classes"], row["classes"])

    def test_every_name_works_wherever_a_model_is_named(self):
        write_png(self.folder / "a.png")
        for row in self.run_vitrail("models", "--json").json():
            if not row["repository"]:
                continue
            with self.subTest(row["name"]):
                hub = self.hub(model_files(), name=row["repository"])
                for command in (["classify", "a.png", "--model", row["name"]],
                                ["inspect", row["name"]], ["doctor", row["name"]],
                                ["embed", "a.png", "--model", row["name"]]):
                    result = self.run_vitrail(*command, "--json")
                    self.assertEqual(result.status, 0, result.errors)
                self.assertEqual(len([path for path in hub.server.paths("GET")
                                      if path.startswith("/api/")]), 1)
                places = {entry["name"]: entry["place"]
                          for entry in self.run_vitrail("models", "--json").json()}
                self.assertEqual(places[row["name"]], "here")
                self.assertEqual(self.run_vitrail("pull", row["name"]).status, 0)

    def test_a_mistyped_name(self):
        write_png(self.folder / "a.png")
        for typed, meant in (("vit_tinny", "vit_tiny"), ("ViT-small", "vit_small"),
                             ("dinov2-smal", "dinov2_small"), ("photo", "photos")):
            result = self.run_vitrail("classify", "a.png", "--model", typed)
            self.assertEqual(result.status, 1)
            self.assertEqual(len(result.errors), 1, result.errors)
            self.assertIn(f"did you mean '{meant}'?", result.errors[0])
        result = self.run_vitrail("pull", "vit_tinny")
        self.assertEqual(result.status, 2)
        self.assertIn("did you mean 'vit_tiny'?", result.errors[0])
        result = self.run_vitrail("classify", "a.png", "--model", "nothing-like-it")
        self.assertIn(" models' lists", result.errors[0])
        self.assertNotIn("did you mean", result.errors[0])

    def test_files_count_before_names(self):
        write_png(self.folder / "a.png")
        shutil.copytree(MODEL, self.folder / "vit_tiny")
        self.environment["HF_ENDPOINT"] = nobody()
        self.assertEqual(self.run_vitrail("classify", "a.png", "--model", "vit_tiny").status, 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
