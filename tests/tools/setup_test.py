#!/usr/bin/env python3
"""Which packages tools/setup asks for, by purpose and by system. Installs nothing."""
import pathlib
import subprocess
import sys
import unittest

SETUP = pathlib.Path(__file__).resolve().parents[2] / "tools" / "setup"
SYSTEMS = ["debian-12", "debian-13", "ubuntu-22.04", "ubuntu-24.04"]
MPI = {"libopenmpi-dev", "openmpi-bin"}


def run(*arguments):
    return subprocess.run([SETUP, *arguments], capture_output=True, text=True, timeout=60)


def packages(*arguments):
    result = run(*arguments, "--list")
    if result.returncode != 0:
        raise AssertionError(result.stderr)
    return result.stdout.split()


class SetupTest(unittest.TestCase):
    def test_mpi_only_when_asked_for(self):
        for purpose in ("--run", "--test", "--sanitizers", "--bench"):
            with self.subTest(purpose):
                without = packages(purpose)
                self.assertEqual(MPI & set(without), set())
                self.assertEqual(packages(purpose, "--mpi"), without + ["libopenmpi-dev",
                                                                        "openmpi-bin"])
                self.assertEqual(sorted(packages("--mpi", purpose)), sorted(packages(purpose, "--mpi")))

    def test_a_purpose_holds_the_lesser_ones(self):
        for system in SYSTEMS:
            with self.subTest(system):
                of = {purpose: set(packages(f"--{purpose}", "--system", system))
                      for purpose in ("run", "test", "sanitizers", "bench")}
                self.assertLess(of["run"], of["test"])
                self.assertLess(of["test"], of["sanitizers"])
                self.assertLess(of["test"], of["bench"])
                self.assertEqual(of["run"], set(packages("--system", system)))

    def test_names_that_differ(self):
        self.assertIn("libclang-rt-14-dev", packages("--sanitizers", "--system", "debian-12"))
        self.assertIn("libclang-rt-19-dev", packages("--sanitizers", "--system", "debian-13"))
        for system in SYSTEMS:
            with self.subTest(system):
                listed = packages("--test", "--system", system)
                self.assertEqual(len(listed), len(set(listed)))
                # HEVC is a plugin from libheif 1.16 on; Ubuntu's Chromium is no package.
                self.assertEqual("libheif-plugin-libde265" in listed,
                                 system in ("debian-13", "ubuntu-24.04"))
                self.assertEqual("chromium" in listed, system.startswith("debian"))

    def test_what_is_wrong_is_said_in_a_line(self):
        for arguments, expected in ((["--list", "--system", "plan9"], "debian-13"),
                                    (["--system", "debian-13"], "--list"),
                                    (["--list", "--system"], "needs a name"),
                                    (["--fast"], "--help")):
            with self.subTest(arguments):
                result = run(*arguments)
                self.assertEqual(result.returncode, 2)
                self.assertEqual(result.stdout, "")
                self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
                self.assertIn(expected, result.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
