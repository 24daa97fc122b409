#!/usr/bin/env python3
"""How the command takes arguments: help, version, what is refused and what it is taken for, --set,
--data and --quiet, over all verbs. usage: usage_test.py BINARY SOURCE_DIR"""
import json
import shlex
import sys
import unittest

from command import BINARY, MODEL, CommandTest, vitrail, write_png

PROGRAM = shlex.quote(BINARY)
VERBS = {verb["name"]: verb for verb in vitrail("help", "--json").json()[0]["verbs"]}


def flags_of(verb):
    return [name for option in VERBS[verb]["options"] for name in option["names"]
            if name.startswith("--")]


def option_of(verb, flag):
    return next((option for option in VERBS[verb]["options"] if flag in option["names"]), None)


class Help(CommandTest):
    def test_help_is_a_verb_and_a_flag(self):
        self.assertEqual(vitrail("help").out, vitrail("--help").out)
        for verb in VERBS:
            words = verb.split()
            asked = vitrail("help", *words)
            self.assertEqual((asked.status, asked.errors), (0, []), verb)
            self.assertEqual(asked.out, vitrail(*words, "--help").out, verb)
            self.assertIn(f"vitrail {verb} [OPTIONS]", asked.out)
            self.assertIn("Example:\n  vitrail", asked.out)
        self.assertIn("describe", vitrail("help", "data").out)
        self.fails("help", "clasify", status=2, saying="did you mean 'classify'?")
        self.fails("help", "data", "gett", status=2, saying="there is no verb 'data gett'; did you "
                                                            "mean 'get'?")

    def test_version_is_a_verb_and_a_flag(self):
        version = vitrail("version")
        self.assertRegex(version.out, r"^vitrail \d+\.\d+\.\d+\n$")
        self.assertEqual(version.out, vitrail("--version").out)
        self.assertEqual(version.out, f"vitrail {vitrail('version', '--json').json()[0]['version']}\n")

    def test_every_flag_is_described(self):
        for name, verb in VERBS.items():
            self.assertTrue(verb["description"], name)
            for option in verb["options"]:
                with self.subTest(f"{name} {option['names'][0]}"):
                    self.assertGreater(len(option["description"]), 8)

    def test_what_a_program_reads_has_json_and_all_can_be_quiet(self):
        for name in VERBS:
            self.assertIsNotNone(option_of(name, "--quiet"), name)
            if name not in ("completions", "man"):  # which are for other programs as they are
                self.assertIsNotNone(option_of(name, "--json"), name)


def mistyped(word):
    """Brothers of a word: a letter missing, two swapped, one too many, one replaced."""
    middle = len(word) // 2
    return {word[:middle] + word[middle + 1:], word[:middle] + word[middle - 1] + word[middle:],
            word[:middle - 1] + word[middle] + word[middle - 1] + word[middle + 1:],
            word[:middle] + "q" + word[middle + 1:]} - {word}


class Typos(CommandTest):
    def test_of_every_verb(self):
        verbs = {verb.split()[0] for verb in VERBS} - {"data"}
        for verb in verbs:
            for word in mistyped(verb) - verbs:
                if len(word) > 3:
                    self.fails(word, self.folder / "a.png", "--model", MODEL, status=2,
                               saying=f"there is no verb '{word}'; did you mean '{verb}'?; see "
                                      f"{PROGRAM} --help")
        self.fails("frobnicate", status=2, saying="there is no verb 'frobnicate'; there are classify")
        self.fails(status=2, saying="a verb is missing; there are classify")
        self.fails("data", status=2, saying="a verb is missing after data")
        self.fails("data", "previw", status=2, saying="'data previw'; did you mean 'preview'?; see "
                                                      f"{PROGRAM} data --help")
        # A verb that comes too late is not what is wrong.
        self.fails("paint", "classify", self.folder / "a.png", status=2, saying="verb 'paint'")

    def test_of_every_flag(self):
        for verb in VERBS:
            flags = flags_of(verb)
            for flag in flags:
                if len(flag) < 7:
                    continue
                word = flag[:-2] + flag[-1] + flag[-2]  # the last two swapped
                if word in flags or word == flag:
                    continue
                self.fails(*verb.split(), word, status=2,
                           saying=f"{verb} takes no {word}; did you mean '{flag}'?; see "
                                  f"{PROGRAM} {verb} --help")
        self.fails("classify", self.folder / "a.png", "--modle=x", status=2,
                   saying="classify takes no --modle; did you mean '--model'?")
        self.fails("--versoin", status=2, saying="vitrail takes no --versoin; did you mean "
                                                 "'--version'?")
        self.fails("inspect", "vit_tiny_patch16_224", "again", status=2,
                   saying="inspect takes no further 'again'")

    def test_of_every_word_that_a_flag_takes(self):
        for verb, described in VERBS.items():
            for option in described["options"]:
                for word in option["words"]:
                    if len(word) < 4 or option["positional"]:
                        continue
                    typo = word[:-1] + "qq"
                    result = vitrail(*verb.split(), option["names"][0], typo)
                    self.assertEqual(result.status, 2)
                    self.assertIn(f"there is no '{typo}'", result.errors[-1])
                    self.assertIn(f"see {PROGRAM} {verb} --help", result.errors[-1])
        self.fails("classify", self.folder / "a.png", "--exif", "aply", status=2,
                   saying="did you mean 'apply'?")

    def test_of_names_of_other_things(self):
        picture, model = self.folder / "a.png", ("--model", MODEL)
        self.fails("train", "--data", "fashon-mnist:x", "--out", self.folder / "run",
                   saying="did you mean 'fashion-mnist'?")
        self.fails("eval", self.folder / "nowhere", *model, saying="no such folder")
        self.fails("train", "--data", "scenes", "--preset", "resnt20", "--out", self.folder / "run",
                   saying="did you mean 'resnet20'?")
        self.fails("train", "--data", "scenes", "--arch", "vit_lite_7_5", "--out",
                   self.folder / "run", saying="did you mean 'vit_lite_7_4'?")
        self.fails("data", "get", "cifar-10", saying="did you mean 'cifar10'?")
        for verb, rest in (("bench", ()), ("bench", ("--train",)), ("inspect", ()),
                           ("bench", ("--pictures", picture))):
            for typed, meant in (("vit_bse_patch16_224", "vit_base_patch16_224"),
                                 ("vit_lite_7_5", "vit_lite_7_4"), ("resnt20", "resnet20"),
                                 ("vit_tinny", "vit_tiny")):
                self.fails(verb, typed, *rest, saying=f"did you mean '{meant}'?")
        self.fails("inspect", MODEL, "--set", "architecture=vit_bse_patch16_224",
                   saying="did you mean 'vit_base_patch16_224'?")
        self.fails("convert", *model, "--to", "tim", "--out", self.folder / "out",
                   saying="did you mean 'timm'?")
        self.fails("classify", picture, *model, "--set", "family=hf_vitt",
                   saying="did you mean 'hf_vit'?")
        self.assertFalse((self.folder / "run").exists())


class Settings(CommandTest):
    """--set means the same in every verb that has it."""

    def arguments(self, verb):
        """What the verb needs beside --set."""
        given = [*verb.split()]
        for option in VERBS[verb]["options"]:
            if option["required"]:
                given += ([] if option["positional"] else [option["names"][0]]) + [
                    self.folder / "a.png" if option["names"][0] == "pictures" else "scenes"]
        return given

    def test_wrong_ones_are_refused_before_anything_is_read(self):
        verbs = [verb for verb in VERBS if option_of(verb, "--set")]
        self.assertGreater(len(verbs), 12)
        for verb in verbs:
            given = self.arguments(verb)
            self.fails(*given, "--set", "num_heds=4", status=2,
                       saying=f"there is no field 'num_heds'; did you mean 'num_heads'?; see "
                              f"{PROGRAM} {verb} --help")
            self.fails(*given, "--set", "num_heads", status=2, saying="KEY=VALUE")
            self.fails(*given, "--set", "=4", status=2, saying="KEY=VALUE")

    def test_which_fields_a_verb_takes(self):
        training = ("learning_rat=1", "learning_rate")
        for verb in ("train", "data preview", "finetune", "bench"):
            self.fails(*self.arguments(verb), "--set", training[0], status=2,
                       saying=f"did you mean '{training[1]}'?")
            self.fails(*self.arguments(verb), "--set", "epochs=many", status=2, saying="a number")
        for verb in ("classify", "eval", "explain"):
            self.fails(*self.arguments(verb), "--set", "learning_rate=1", status=2,
                       saying="there is no field 'learning_rate'")
        self.fails("bench", MODEL, "--set", "epochs=3", status=2, saying="with --data alone")

    def test_one_set_for_the_model_and_its_training(self):
        data = self.folder / "data"
        for part, count in (("train", 4), ("val", 2)):
            for number, name in enumerate("xy"):
                (data / part / name).mkdir(parents=True)
                for i in range(count):
                    write_png(data / part / name / f"{i}.png", shade=90 * number + i)
        model = self.copy_model()
        (model / "config.json").unlink()  # what it said has to be said by hand
        said = [word for setting in (
            "num_heads=2", "eps=1e-6", "activation=gelu", "pooling=class_token", "image_size=12",
            "norm_placement=pre", "position=learned", "answer=softmax", "mean=0.5", "std=0.5",
            "interpolation=bicubic", "crop_pct=0.9") for word in ("--set", setting)]
        run = self.folder / "run"
        result = vitrail("finetune", "--model", model, *said, "--data", data, "--out", run,
                         "--method", "full", "--epochs", 1, "--set", "clip_norm=5",
                         "--set", "drop_path=0.25", "--json")
        self.assertEqual(result.status, 0, result.errors)
        config = json.loads((run / "train.json").read_text())
        self.assertEqual((config["clip_norm"], config["model"]["drop_path"]), (5, 0.25))
        self.assertEqual(config["model"]["num_heads"], 2)
        self.assertEqual(config["pictures"]["normalize"]["mean"], [0.5, 0.5, 0.5])


class Data(CommandTest):
    """--data takes the same in every verb that has it, and by place where a verb is about a set."""

    def test_all_verbs_name_the_same_forms(self):
        texts = {}
        for verb in VERBS:
            option = option_of(verb, "--data")
            if option:
                texts[verb] = option["description"].split(": ", 1)[1]
        self.assertEqual(len(set(texts.values())), 1, texts)
        for verb in ("eval", "calibrate", "train", "finetune", "quantize", "bench", "report",
                     "data describe", "data preview"):
            self.assertIn(verb, texts)

    def test_forms(self):
        folder = self.folder / "set"
        for name in ("ant", "bee", "cat", "dog", "elk"):
            (folder / name).mkdir(parents=True)
            write_png(folder / name / "0.png")
        flat = self.folder / "flat"
        flat.mkdir()
        for name in ("ant", "bee", "cat", "dog", "elk"):
            write_png(flat / f"{name}_0.png")
        model = self.copy_model()
        (model / "labels.txt").write_text("ant\nbee\ncat\ndog\nelk\n")

        def judged(*arguments):
            result = vitrail("eval", *arguments, "--model", model, "--split", "all", "--json")
            self.assertEqual(result.status, 0, result.errors)
            return result.json()[0]["count"]

        for form in (folder, f"folder:{folder}", flat, f"flat:{flat}"):
            self.assertEqual(judged(form), 5)
            self.assertEqual(judged("--data", form), 5)
        self.fails("eval", "--model", model, status=2, saying="data")


class Quiet(CommandTest):
    def test_nothing_but_answers_and_errors(self):
        loud = vitrail("classify", self.folder / "a.png", "--model", MODEL)
        quiet = vitrail("classify", self.folder / "a.png", "--model", MODEL, "--quiet")
        self.assertTrue(loud.errors)
        self.assertEqual((quiet.out, quiet.errors), (loud.out, []))
        self.assertEqual(vitrail("classify", "-q", self.folder / "a.png", "--model", MODEL).errors,
                         [])
        data = self.folder / "data"
        for name in "xy":
            (data / name).mkdir(parents=True)
            for i in range(6):
                write_png(data / name / f"{i}.png", shade=ord(name) * 9 + i)
            (data / name / "notes.txt").write_text("no picture")
        run = self.folder / "run"
        result = vitrail("finetune", "--model", MODEL, "--data", data, "--out", run, "--method",
                         "full", "--epochs", 2, "--batch", 4, "--quiet")
        self.assertEqual((result.status, result.errors), (0, []))
        self.assertIn("validation accuracy", result.out)
        result = vitrail("train", "--data", data, "--out", self.folder / "trained", "--arch",
                         "vit_lite_6_4", "--set", "depth=1", "--epochs", 1, "--batch", 4, "-q")
        self.assertEqual((result.status, result.errors), (0, []))

    def test_errors_are_not_silenced(self):
        self.fails("classify", self.folder / "none.png", "--model", self.folder / "none", "-q",
                   saying="no such file")
        (self.folder / "b.png").write_bytes(b"no picture")
        result = vitrail("classify", self.folder / "b.png", "--model", MODEL, "--quiet")
        self.assertEqual((result.status, len(result.errors)), (1, 1))


class BeforeTheWork(CommandTest):
    """What would be refused at the end is refused at the beginning."""

    def setUp(self):
        super().setUp()
        self.data = self.folder / "data"
        for name in "xy":
            (self.data / name).mkdir(parents=True)
            for i in range(6):
                write_png(self.data / name / f"{i}.png", shade=ord(name) * 9 + i)
        self.nowhere = self.folder / "no" / "such" / "folder"

    def refuses(self, *arguments, saying, status=1):
        """No word of work: neither progress nor what finetune says of its pictures."""
        result = vitrail(*arguments)
        self.assertEqual(result.status, status, result.errors)
        self.assertIn(saying, result.errors[-1])
        self.assertEqual([line for line in result.errors[:-1]
                          if not line.startswith("vitrail: ")], [])
        self.assertEqual(result.out, "")

    def test_places_to_write_to(self):
        picture, model = self.folder / "a.png", ("--model", MODEL)
        page = self.nowhere / "page.html"
        self.refuses("eval", self.data, *model, "--set", "answer=softmax", "--report", page,
                     saying=str(page))
        self.refuses("embed", picture, *model, "--out", self.nowhere / "x.npy", saying="x.npy")
        self.refuses("explain", picture, *model, "--page", page, saying=str(page))
        self.refuses("explain", picture, *model, "--overlay", self.nowhere / "x.png",
                     saying="x.png")
        self.refuses("bench", MODEL, "--output", self.nowhere / "x.npy", saying="x.npy")
        self.refuses("data", "preview", self.data, "--out", self.nowhere / "x.png", saying="x.png")

    def test_finetune(self):
        begin = ("finetune", "--model", MODEL, "--data", self.data, "--out", self.folder / "run")
        self.refuses(*begin, "--to", "tim", saying="did you mean 'timm'?")
        self.refuses(*begin, "--set", "label_smoothing=7", saying="label_smoothing is 7")
        self.refuses(*begin, "--set", "optimizer=adam", saying="there are adamw")
        self.refuses(*begin, "--set", "batch_size=some", saying="a number", status=2)
        self.refuses(*begin, "--set", "warmup_epochs=21", saying="do not fit into 20 epochs")
        short = ("--method", "full", "--minutes", 1e-9)
        self.refuses(*begin, *short, "--set", "warmup_epochs=5", saying="do not fit into 4 epochs")
        self.refuses(*begin, *short, "--set", "warmup_epochs=2", "--set", "cooldown_epochs=3",
                     saying="do not fit into 4 epochs")
        self.refuses(*begin, "--epochs", 2, "--set", "warmup_epochs=3",
                     saying="do not fit into 2 epochs")
        self.refuses(*begin, "--rank", 0, saying="--rank", status=2)
        self.refuses(*begin, "--lr", -1, saying="--lr", status=2)
        self.refuses(*begin, "--layer-decay", 2, saying="--layer-decay", status=2)
        self.assertFalse((self.folder / "run" / "finetune.json").exists())

    def test_pictures_that_are_looked_at_last(self):
        own = self.folder / "own"
        vitrail("convert", "--model", MODEL, "--to", "vitrail", "--out", own)
        (self.folder / "empty").mkdir()
        self.refuses("calibrate", self.data, "--model", own, "--others", self.folder / "empty",
                     saying="holds no pictures")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
