#!/usr/bin/env python3
"""./demo: what it makes of its arguments, with stand-ins for what installs, builds and answers.
usage: demo_test.py SOURCE_DIR"""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(sys.argv[1])
COMMON = """
say() { printf '%s\\n' "$*" >&2; }
build() { echo "build $*" >>calls; }
"""
RECORD = """#!/usr/bin/env bash
echo "$(basename "$0") $*" >>calls
"""


class Demo(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.tree = pathlib.Path(folder.name).resolve() / "tree"
        self.user = pathlib.Path(folder.name).resolve() / "user"
        (self.tree / "tools").mkdir(parents=True)
        (self.tree / "build" / "release").mkdir(parents=True)
        self.user.mkdir()
        shutil.copy(SOURCE / "demo", self.tree)
        (self.tree / "tools" / "common.sh").write_text(COMMON)
        for program in ("tools/setup", "build/release/vitrail"):
            (self.tree / program).write_text(RECORD)
            (self.tree / program).chmod(0o755)
        (self.user / "photo.jpg").write_text("")
        (self.user / "model").mkdir()

    def demo(self, *arguments):
        """(status, calls, stderr)"""
        calls = self.tree / "calls"
        calls.unlink(missing_ok=True)
        process = subprocess.run([self.tree / "demo", *arguments], cwd=self.user, text=True,
                                 capture_output=True, timeout=60)
        return (process.returncode, calls.read_text().splitlines() if calls.exists() else [],
                process.stderr)

    def explained(self, *arguments):
        status, calls, errors = self.demo(*arguments)
        self.assertEqual(status, 0, errors)
        explain, = [line for line in calls if line.startswith("vitrail explain ")]
        return explain.removeprefix("vitrail explain ").removesuffix(" --output build/demo")

    def test_without_a_picture_a_scene_is_rendered(self):
        words = self.explained()
        self.assertIn("--model scenes", words)
        self.assertIn("--mask", words)

    def test_a_picture_is_explained_with_the_default_model(self):
        for name in ("photo.jpg", self.user / "photo.jpg"):
            self.assertEqual(self.explained(str(name)), str(self.user / "photo.jpg"))
        self.assertEqual(self.explained("photo.jpg", "--yes"), f"{self.user / 'photo.jpg'} --yes")

    def test_a_model_is_a_path_or_a_name(self):
        for typed, meant in (("model", self.user / "model"), ("./model", f"{self.user}/./model"),
                             ("vit_small", "vit_small"), ("google/vit-base", "google/vit-base"),
                             ("owner/name@v1.0", "owner/name@v1.0")):
            self.assertEqual(self.explained("photo.jpg", typed),
                             f"{self.user / 'photo.jpg'} --model {meant}")

    def test_what_is_not_there_is_refused_before_anything_is_built(self):
        for arguments in (("none.jpg",), ("photo.jpg", "./none"), ("photo.jpg", "/none"),
                          ("photo.jpg", "a/b/c"), ("photo.jpg", "--what"), ("a", "b", "c")):
            status, calls, errors = self.demo(*arguments)
            self.assertNotEqual(status, 0, arguments)
            self.assertEqual(calls, [])
            self.assertTrue(errors)

    def test_the_command_alone_is_built(self):
        """What an installation needs beside it is built when it is installed (tests/install)."""
        _, calls, _ = self.demo()
        built, = [line.split() for line in calls if line.startswith("build ")]
        self.assertEqual(built[-1], "vitrail")
        self.assertNotIn("vitrail_library", built)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
