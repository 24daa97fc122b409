"""What verbs say of the data that they leave out, and --strict."""
import sys
import unittest

from command import CommandTest, vitrail, write_png


class LeftOut(CommandTest):
    def setUp(self):
        super().setUp()
        self.data = self.folder / "data"
        for split, name, count in (("train", "dark", 12), ("train", "light", 12),
                                   ("valid", "dark", 3), ("valid", "light", 3)):
            folder = self.data / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                write_png(folder / f"{i}.png", 14, 14, shade=i + 120 * (name == "light"))
        (self.data / "test").mkdir()
        for i in range(5):
            write_png(self.data / "test" / f"{i}.png", 14, 14)
        (self.data / "train" / "dark" / "old.psd").write_bytes(b"8BPS")
        self.model = self.copy_model()

    LINE = ("takes 30 pictures of 2 classes (train 24, val 6); leaves out 1 picture in a format "
            "that is not read (train/dark/old.psd), 5 pictures of splits without class folders "
            "(test/)")

    def verbs(self):
        data = f"folder:{self.data}"
        run = self.folder / "run"
        return [("data", "describe", data),
                ("data", "preview", "--data", data, "--out", self.folder / "sheet.png"),
                ("eval", data, "--model", self.model),
                ("calibrate", data, "--model", self.model, "--dry-run"),
                ("quantize", "--data", data, "--model", self.model, "--out", self.folder / "q"),
                ("finetune", "--data", data, "--model", self.model, "--out", run, "--method",
                 "probe"),
                ("train", "--data", data, "--arch", "vit_lite_7_4", "--out", self.folder / "t",
                 "--set", "image_size=16", "--epochs", "1")]

    def test_every_verb_says_it_once(self):
        for verb in self.verbs():
            result = vitrail(*verb)
            said = [line for line in result.errors if "leaves out" in line]
            self.assertEqual(len(said), 1, (verb, result.errors))
            self.assertIn(self.LINE, said[0])

    def test_strict_makes_it_an_error(self):
        for verb in self.verbs():
            self.fails(*verb, "--strict", saying=self.LINE)
        self.fails("classify", self.data, "--model", self.model, "--strict",
                   saying="takes 35 pictures; leaves out 1 picture in a format that is not read")

    def test_strict_is_silent_of_a_whole_set(self):
        (self.data / "train" / "dark" / "old.psd").unlink()
        for picture in (self.data / "test").iterdir():
            picture.unlink()
        (self.data / "test").rmdir()
        result = vitrail("data", "describe", f"folder:{self.data}", "--strict")
        self.assertEqual((result.status, result.errors), (0, []))

    def test_json_lists_it(self):
        result = vitrail("data", "describe", f"folder:{self.data}", "--json")
        described, = result.json()
        self.assertEqual([part["split"] for part in described["splits"]], ["train", "val"])
        self.assertEqual(described["left_out"], [
            {"data": f"folder:{self.data}", "what": "picture in a format that is not read", "count": 1,
             "examples": ["train/dark/old.psd"]},
            {"data": f"folder:{self.data}", "what": "pictures of splits without class folders", "count": 5,
             "examples": ["test/"]}])
        self.assertEqual(described["notes"], [])
        self.assertEqual([part["count"] for part in described["splits"]], [24, 6])
        labels = self.folder / "labels.txt"
        labels.write_text("dark\nlight\nc\nd\ne\n")
        judged, = vitrail("eval", f"folder:{self.data}", "--model", self.model, "--labels", labels,
                          "--json").json()
        self.assertEqual(judged["left_out"], described["left_out"])

    def test_what_lies_in_a_split_is_counted_whole(self):
        for picture in (self.data / "valid").rglob("*.png"):
            picture.unlink()
        described, = vitrail("data", "describe", f"folder:{self.data}", "--json").json()
        self.assertEqual([(part["split"], part["count"]) for part in described["splits"]],
                         [("train", 24)])

    def test_a_name_cannot_forge_a_line(self):
        (self.data / "train" / "dark" / "x\nvitrail: all is well\x1b[2J.psd").write_bytes(b"8BPS")
        result = vitrail("data", "describe", f"folder:{self.data}")
        self.assertEqual(len(result.errors), 1, result.errors)
        self.assertNotIn("\x1b", result.errors[0])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
