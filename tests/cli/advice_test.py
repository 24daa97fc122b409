#!/usr/bin/env python3
"""Provokes every message that advises a command, a flag or a setting, and runs what it says. The
messages are collected from the sources: one that neither is run here nor stands on a list with its
reason fails. usage: advice_test.py BINARY SOURCE_DIR"""
import re
import shutil
import sys
import unittest

from command import SOURCE, write_png
from stand_ins import CLASSES, World, fill_classes

LITERAL = r'"(?:[^"\\\n]|\\.)*"'
ADVISES = r"(^|[^-\w])--[a-z]|vitrail [a-z]+|'\{\} (pull|models)\b|HF_[A-Z]+"

# Messages that name the flag that was wrong and what it takes; there is nothing else to run.
SAYS_WHAT_IS_WRONG = [
    "takes no --labels", "--train runs in f32 or bf16", "--memory takes a size", "--size takes a side",
    "--set takes KEY=VALUE", "--out takes a .npy", "--features asks nearest neighbours",
    "--pointing needs pictures", "--pointing takes one of", "--report and --mistakes show",
    "--rows takes LAYER", "--output names a folder", "belong to a single picture", "--rows belongs to",
    "--val-fraction, --seed and --group say what", "given twice, with @", "no file of {} matches",
    "takes an address that begins", "neither HF_HOME nor HOME", "the token (HF_TOKEN) has blanks",
    "the model has no head, so", "adapter: names a folder", "--blocks {} is outside", "--seed is {} in the run", "is not UTF-8",
    "names the folder of the run", "several classes a picture, and the other", "other classes than",
    "--set and --labels belong", "says another --val-fraction", "--out takes the pages of all",
    "the token of HF_TOKEN may not", "HF_HUB_OFFLINE forbids", "set HF_TOKEN to a token",
    "pull takes OWNER/NAME or a name", "architecture is '{}'", "family={} does not have",
    "architecture names definitions", "are of no known family", "numbers for {} channels",
    "takes numbers, not", "is a field of timm's preprocessing",
    "goes with --train", "with --data alone", "name a shell, or with --out",
]
# Advice that other tests follow, or that nobody can follow in a test.
ELSEWHERE = {
    "has tensors of {}, and names and shapes do not say which": "models/network_family_test says it",
    "these have such tensors": "models/network_family_test says it",
    "nothing shows how large this": "models/network_family_test says it",
    "several state dicts": "formats/pth_test reads such files by --set state_dict",
    "the state dict '{}' is read": "formats/pth_test reads such files by --set state_dict",
    "makes them more often": "mpi_test.py kills processes of runs with checkpoints",
    "nothing says what it means: {}": "tasks/answer_test opens such heads by the setting",
    "single label by sigmoid": "tasks/answer_test opens such heads by the setting",
    "under a name of your own": "models/family_closed_test gives timm's names",
    "or, of one of these, {}: {}": "models/family_open_test gives each name",
    "are not finite; see {}": "cli_test.py runs doctor on such weights",
    "steps in a row were not finite": "a run that a lower rate saves has to diverge first",
    "convmv": "a program of another package, which need not be here",
    "is not installed; name one with {}": "a program that was built here finds its bundled models",
    "mpirun started this": "tools/setup installs packages",
    "Each name stands wherever": "default_model_test.py runs each",
    "embed --model {} PICTURE": "follow_up_test.py types it",
    "to teach it classes": "follow_up_test.py types it",
    "--data folder:PICTURES --out": "follow_up_test.py types it",
    "is a run of vitrail finetune": "finetune_test.py resumes",
    "train --resume --out": "documents_test.py runs it",
    "preprocessing gives each picture": "real_checkpoints_test.py has such a model",
    "no transformer blocks to adapt": "finetune says the same before it comes to this",
    "its terms: {}": "needs the publisher's files; pull_test.py fetches them",
    "vitrail finetune ... --resume": "finetune_test.py interrupts and resumes",
    "tensorboard": "a program of another package, which need not be here",
}
# Literals that look like advice and are none: parts of scripts, names of sources.
NO_MESSAGE = ["Completion of vitrail", "compdef vitrail", "Help on a verb",
              "vitrail train", "; see {} {}--help", "the last good checkpoint is",
              "8 bits are no faster"]


def messages():
    """(file, literal) of all messages of the program that hold a flag or a command, by themselves or
    by core/advice.h, whose said() stands for a {} in them."""
    for folder in ("src", "apps"):
        for path in sorted((SOURCE / folder).glob("**/*.cpp")):
            text = re.sub(r"(?<!:)//[^\n]*", "", path.read_text())
            # What registers flags, and what is written into pages, advises nobody of an error.
            text = re.sub(r"\n(?:CLI::Option\* |void )add_\w+\([^;{]*\{.*?\n\}\n", "\n", text, flags=re.S)
            if path.name == "advice.cpp":  # the names themselves
                continue
            for statement in text.split(";\n"):
                said = re.search(r"\bsaid(_\w+)?\(", statement)
                for match in re.finditer(rf"{LITERAL}(?:\s*{LITERAL})*", statement):
                    literal = "".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', match[0]))
                    words = len(literal.split())
                    if words > 1 and (re.search(ADVISES, literal) or (said and words > 4)):
                        yield path.relative_to(SOURCE), literal


class Advice(unittest.TestCase):
    followed = []

    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.folder = cls.world.folder
        cls.world.must("vitrail train --data folder:photos --out runs/own --arch vit_lite_6_4 --set "
                       "depth=1 --set image_size=16 --epochs 1 --batch 4 -q")

    @classmethod
    def tearDownClass(cls):
        cls.world.close()

    def advised(self, provoke, saying, *follow, status=1):
        """`saying` stands in a message of the sources, which `provoke` prints, and what it advises
        works."""
        Advice.followed.append(saying)
        result = self.world.run(provoke)
        output = result.stderr + result.stdout
        self.assertEqual(result.returncode, status, (provoke, output))
        for part in re.split(r"\{[^}]*\}", saying):
            self.assertIn(part.replace("\\n", "\n").strip(), output)
        for command in follow:
            result = self.world.run(command)
            self.assertEqual(result.returncode, 0, (command, result.stderr))
        return output

    def make_foreign(self, name):
        """A set whose classes are not the model's."""
        fill_classes(self.folder / name, 2)
        for number, own in enumerate(CLASSES):
            (self.folder / name / own).rename(self.folder / name / f"other{number}")

    def test_of_usage(self):
        """Every error of usage says where to read on."""
        for wrong in ("vitrail clasify x", "vitrail data gte x", "vitrail eval --modle x",
                      "vitrail convert", "vitrail classify x --exif maybe"):
            result = self.world.run(wrong)
            self.assertEqual(result.returncode, 2)
            command = re.search(r"; see (vitrail .*--help)$", result.stderr.strip())[1]
            self.assertEqual(self.world.run(command).returncode, 0, command)
        self.advised("vitrail help classify --json", "all verbs at once: {} help --json",
                     "vitrail help --json", status=2)

    def test_of_what_a_verb_ends_with(self):
        self.advised("vitrail train --data folder:photos --out runs/a --epochs 1 --arch vit_lite_6_4",
                     "{} classify --model {} PICTURE", "vitrail classify --model runs/a PICTURE",
                     status=0)
        self.advised("vitrail finetune --model MODEL --data folder:photos --out runs/b --method probe",
                     "form) is in {}: {} classify --model {} PICTURE",
                     "vitrail classify --model runs/b PICTURE", status=0)
        self.advised("vitrail pull someone/tiny", "{} {} --model {} PICTURE",
                     "vitrail classify --model someone/tiny PICTURE", status=0)

    def test_of_the_page_of_a_run(self):
        """The commands to go on with that it lists."""
        self.world.must("vitrail report runs/own")
        page = (self.folder / "runs" / "own" / "report.html").read_text()
        told = re.findall(r"vitrail (?:classify|explain|eval|report) [^\"<\\]+", page)
        for saying in ("vitrail classify --model {} PICTURE", "vitrail explain --model {} PICTURE",
                       "vitrail eval DATA --model {} --report page.html", "vitrail report {}"):
            Advice.followed.append(saying)
            command = saying.replace("{}", "runs/own")
            self.assertIn(command, told)
            self.world.must(command)

    def test_of_models(self):
        self.advised("vitrail classify PICTURE --model MODEL --threshold 0.3",
                     "(--set multi_label=true says that it is)",
                     "vitrail classify PICTURE --model MODEL --threshold 0.3 --set multi_label=true")
        self.advised("vitrail classify PICTURE --model MODEL --set image_size=24",
                     "{4} {2}x{3} runs it at another size",
                     "vitrail classify PICTURE --model MODEL --size 24x24")
        bare = self.folder / "bare"
        bare.mkdir()
        shutil.copy(self.folder / "MODEL" / "model.safetensors", bare)
        asked = self.advised("vitrail classify PICTURE --model bare", "do not determine {}{}; say {}{}{}")
        values = {"num_heads": "2", "layer_norm_epsilon": "1e-6", "activation": "gelu",
                  "pooling": "class_token", "norm_placement": "pre", "position": "learned",
                  "image_size": "12", "mean": "0.5", "std": "0.5", "interpolation": "bicubic",
                  "crop_pct": "0.9"}
        said = re.findall(r"--set (\w+)=\.\.\.", asked)
        self.assertTrue(said)
        result = self.world.run("vitrail classify PICTURE --model bare " + " ".join(
            f"--set {name}={values[name]}" for name in said))
        self.assertEqual(result.returncode, 0, result.stderr)
        begin = "vitrail bench vit_tiny_patch16_224 --runs 1 --size "
        told = self.advised(begin + "800 --memory 10MB", "lower {} or {}, or allow it with {}",
                            begin + "32 --memory 10MB")
        self.world.must(begin + "800 " + re.search(r"--memory \S+GB", told)[0])
        self.advised("vitrail bench vit_tiny_patch16_224 --size 8192 --memory 900GB",
                     "lower {}, or allow it with {}",
                     "vitrail bench vit_tiny_patch16_224 --size 32 --slow --runs 1")

    def test_of_blocks_that_are_not_there(self):
        self.world.must("vitrail train --data folder:photos --out runs/conv --arch resnet20 --set "
                        "image_size=16 --set resnet_blocks=1,1,1 --epochs 1 --batch 4 -q")
        begin = "vitrail finetune --model runs/conv --data folder:photos --epochs 1 --batch 4 --out "
        self.advised(begin + "runs/c1 --method lora", "--method full trains it whole, --method probe its "
                     "head alone", begin + "runs/c2 --method full", begin + "runs/c3 --method probe")
        self.advised("vitrail embed PICTURE --model runs/conv --layer 0",
                     "its features are the ones without {}", "vitrail embed PICTURE --model runs/conv")

    def test_of_calibrating(self):
        told = self.advised("vitrail calibrate photos --model MODEL",
                            "write one: {} convert{} --to vitrail --out {}")
        convert = re.search(r"write one: (.*?)(; see|$)", told.strip().splitlines()[-1])[1]
        self.world.must(convert)
        self.world.must("vitrail calibrate photos --model " + convert.split("--out ")[1])
        self.world.must("vitrail convert --model MODEL --to vitrail --out own")
        self.advised("vitrail calibrate photos --model own --size 24",
                     "leave --size out, or see with --dry-run what it would be",
                     "vitrail calibrate photos --model own",
                     "vitrail calibrate photos --model own --size 24 --dry-run", status=2)
        missing = self.folder / "missing"
        fill_classes(missing / "train", 2)
        fill_classes(missing / "val", 2)
        shutil.rmtree(missing / "train" / "ant")
        self.advised("vitrail calibrate missing --model own",
                     "is unknown: --certainty probability needs no such pictures",
                     "vitrail calibrate missing --model own --certainty probability")
        self.world.must("vitrail convert --model MODEL --to vitrail --out several")
        self.advised("vitrail calibrate photos --model several --set multi_label=true",
                     "(classify --threshold)",
                     "vitrail classify PICTURE --model several --set multi_label=true --threshold 0.4")

    def test_of_judging(self):
        self.advised("vitrail eval photos --model MODEL --features --split all",
                     "judge them on --split val or test",
                     "vitrail eval photos --model MODEL --features --split val")
        self.advised("vitrail eval photos --model runs/own --val-fraction 0.3 --split val",
                     "leave --val-fraction, --seed and --group out",
                     "vitrail eval photos --model runs/own --split val", status=2)
        shutil.copytree(self.folder / "photos", self.folder / "others")
        self.world.must("vitrail train --data folder:others --val folder:photos --out runs/all --arch "
                        "vit_lite_6_4 --set depth=1 --set image_size=16 --epochs 1 --batch 4 -q")
        self.advised("vitrail eval folder:others --model runs/all --split val",
                     "(--split all judges on these, too)",
                     "vitrail eval folder:others --model runs/all --split all",
                     "vitrail eval folder:photos --model runs/all --split all")
        shutil.copytree(self.folder / "photos", self.folder / "tested" / "train")
        shutil.copytree(self.folder / "holiday", self.folder / "tested" / "test" / "ant")
        for name in CLASSES[1:]:
            shutil.copytree(self.folder / "holiday", self.folder / "tested" / "test" / name)
        self.world.must("vitrail train --data folder:tested --val folder:photos --out runs/t --arch "
                        "vit_lite_6_4 --set depth=1 --set image_size=16 --epochs 1 --batch 4 -q")
        self.advised("vitrail eval folder:tested --model runs/t --split val", ": --split test",
                     "vitrail eval folder:tested --model runs/t --split test")
        moved = self.folder / "moved"
        shutil.copytree(self.folder / "photos", moved)
        self.world.must("vitrail train --data folder:moved --out runs/m --arch vit_lite_6_4 --set "
                        "depth=1 --set image_size=16 --epochs 1 --batch 4 -q")
        next(moved.glob("ant/*.png")).unlink()
        self.advised("vitrail eval folder:moved --model runs/m --split val",
                     "or judge all of them with --split all",
                     "vitrail eval folder:moved --model runs/m --split all")
        self.make_foreign("foreign")
        (self.folder / "labels.txt").write_text("".join(f"other{i}\n" for i in range(5)))
        self.advised("vitrail eval foreign --model MODEL",
                     "rename them or give the model's labels with {}",
                     "vitrail eval foreign --model MODEL --labels labels.txt")

    def test_of_broken_pictures(self):
        broken = self.folder / "half"
        fill_classes(broken, 3)
        for name in CLASSES:
            (broken / name / f"{name}-0.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
        self.advised("vitrail eval half --model MODEL --split all", "and the limit is {} ({:g}%): {}",
                     "vitrail eval half --model MODEL --split all --max-broken 0.5")
        begin = "vitrail train --data folder:half --arch vit_lite_6_4 --epochs 1 --batch 4 --out "
        self.advised(begin + "runs/h1", "and the limit is {} ({:g}%): {}",
                     begin + "runs/h2 --max-broken 0.6")

    def test_of_quantizing(self):
        begin = "vitrail quantize --model MODEL --data photos --out int8 "
        self.advised(begin + "--keep blocks.9", "the model has no layer '{}'; {} lists them", "vitrail inspect MODEL")
        self.make_foreign("unknown")  # measured by how far the answers move, which is never nothing
        told = self.advised("vitrail quantize --model MODEL --data unknown --out int8 --max-drop 0",
                            "suffers most: keep it with --keep {}, or let --auto choose")
        layer = re.search(r"--keep (\S+),", told)[1]
        self.world.must(begin + f"--max-drop 100 --keep {layer}")
        self.world.must(begin + "--max-drop 100 --auto")
        self.advised("vitrail classify PICTURE --model MODEL --precision auto",
                     "8 bits only after {} has measured them",
                     "vitrail quantize --model MODEL --data photos --out measured --max-drop 100",
                     "vitrail classify PICTURE --model measured --precision auto", status=0)

    def test_of_runs(self):
        begin = "vitrail train --data folder:photos --arch vit_lite_6_4 --epochs 1 --batch 4 --out "
        self.world.must(begin + "runs/r1")
        self.advised(begin + "runs/r1", "continue it with {}, or choose another {}",
                     "vitrail train --resume --out runs/r1", begin + "runs/r2")
        finetune = "vitrail finetune --model MODEL --data folder:photos --epochs 1 --method full --out "
        self.world.must(finetune + "runs/f1")
        self.advised(finetune + "runs/f1", "continue it with --resume, or choose another --out",
                     finetune + "runs/f1 --resume", finetune + "runs/f2")
        self.advised("vitrail train --resume --out runs/none", "holds no run; --data begins one",
                     "vitrail train --resume --out runs/none --data folder:photos --arch vit_lite_6_4 "
                     "--epochs 1")
        self.advised("vitrail train --out runs/none2", "--data is missing: folder:DIR, fashion-mnist:DIR",
                     begin + "runs/none2")
        self.advised("vitrail train --data folder:photos", "--out is missing", begin + "runs/none3",
                     status=2)
        one = self.folder / "one" / "ant"
        one.mkdir(parents=True)
        for i in range(8):
            write_png(one / f"{i}.png", shade=i * 9)
        (self.folder / "one.csv").write_text(
            "path,label,split\n" + "".join(f"one/ant/{i}.png,ant,train\n" for i in range(6))
            + "one/ant/6.png,ant,val\none/ant/7.png,bee,val\n")
        self.advised("vitrail train --data csv:one.csv --out runs/one",
                     "({} mae and dino need no classes)",
                     "vitrail train --data csv:one.csv --out runs/one1 --method mae --arch "
                     "vit_tiny_patch16_224 --set depth=1 --set decoder_depth=1 --epochs 1 --batch 4")
        self.advised("vitrail classify PICTURE --model runs/one1",
                     "has no head and so no classes; {} gives its features",
                     "vitrail embed PICTURE --model runs/one1")
        self.advised("vitrail train --data folder:photos --method mae --arch cct_2_3x2 --out runs/x",
                     "({} vit_tiny_patch16_224, for instance)",
                     "vitrail train --data folder:photos --method mae --arch vit_tiny_patch16_224 --set "
                     "depth=1 --set image_size=32 --epochs 1 --batch 4 --out runs/x1")
        self.advised("vitrail train --data folder:photos --method dino --arch cct_2_3x2 --out runs/y",
                     "({} vit_lite_2_4, for instance)",
                     "vitrail train --data folder:photos --method dino --arch vit_lite_2_4 --epochs 1 "
                     "--batch 4 --out runs/y1")
        begin = "vitrail finetune --model MODEL --data folder:photos --method full --set "
        self.advised(begin + "warmup_epochs=21 --out runs/warm",
                     "--epochs says how many there are to be",
                     begin + "warmup_epochs=21 --epochs 22 --out runs/warm")
        twins = self.folder / "twins"
        fill_classes(twins, 1)
        for name in CLASSES:
            for copy in range(4):
                shutil.copy(twins / name / f"{name}-0.png", twins / name / f"shot{name}{copy}-x.png")
            (twins / name / f"{name}-0.png").unlink()
        self.advised("vitrail finetune --model MODEL --data folder:twins --method probe --out runs/w",
                     "(--group keeps what belongs together on one side)", status=0)
        fill_classes(self.folder / "grouped", 4)
        self.world.must("vitrail finetune --model MODEL --data folder:grouped --method probe --out "
                        "runs/w1 --group '-(\\d+)'")

    def test_of_models_with_names(self):
        begin = "mkdir -p apart && cd apart && HF_HOME=$PWD vitrail "  # where no folder has the name
        self.advised("vitrail classify PICTURE --model vit_tinny", "nor a model that '{} models' "
                     "lists{}", "vitrail models")
        self.advised(begin + "classify ../PICTURE", "is not here yet; with --yes it is fetched from {}",
                     begin + "classify ../PICTURE --yes", status=0)
        self.world.must("rm -rf apart")
        self.advised(begin + "finetune --data ../photos --out run --method probe",
                     "'{} pull {}' fetches it, and --model names another one ('{} models' "
                     "lists them)", begin + "pull vit_tiny",
                     begin + "finetune --data ../photos --out run --method probe")

    def test_of_hubs(self):
        hub = self.world.hubs["someone/tiny"]
        hub.files.update({"first.safetensors": hub.files["model.safetensors"],
                          "second.safetensors": hub.files["model.safetensors"]})
        weights = hub.files.pop("model.safetensors")
        try:
            self.advised("HF_HOME=other vitrail pull someone/tiny", "fetch one with --file and name its "
                         "path", "HF_HOME=other vitrail pull someone/tiny --file first.safetensors")
        finally:
            del hub.files["first.safetensors"], hub.files["second.safetensors"]
            hub.files["model.safetensors"] = weights


class Zz(unittest.TestCase):
    """Behind the others, since it looks at what they ran."""
    maxDiff = None

    def test_every_advice_is_run_or_has_a_reason(self):
        plain = lambda text: re.sub(r"\\n|\s+", " ", text)
        unknown, used = [], set()
        for path, literal in messages():
            known = [fragment for fragment in
                     [*Advice.followed, *SAYS_WHAT_IS_WRONG, *ELSEWHERE, *NO_MESSAGE]
                     if plain(fragment) in plain(literal)]
            used.update(known)
            if not known:
                unknown.append(f"{path}: {literal}")
        self.assertEqual(unknown, [], "advice that no test runs")
        stale = [fragment for fragment in [*SAYS_WHAT_IS_WRONG, *ELSEWHERE, *NO_MESSAGE]
                 if fragment not in used]
        self.assertEqual(stale, [], "no message holds these any more")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
