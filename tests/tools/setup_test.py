#!/usr/bin/env python3
"""Which packages tools/setup asks for, by purpose and by system. Installs nothing."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
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

    def test_who_may_not_use_sudo_is_told_what_root_has_to_install(self):
        """With stand-ins for what installs; nobody is who runs it, for root needs no sudo."""
        refusal = "ann is not in the sudoers file."
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            for name, does in (("dpkg-query", "exit 1"), ("apt-get", "exit 1"), ("apt-cache", ""),
                               ("sudo", f"echo '{refusal}' >&2; exit 1")):
                program = pathlib.Path(folder, name)
                program.write_text(f"#!/bin/sh\n{does}\n")
                program.chmod(0o755)
            shutil.copy(SETUP, folder)
            result = subprocess.run([pathlib.Path(folder, "setup"), "--run"],
                                    capture_output=True, text=True, timeout=60, cwd="/",
                                    stdin=subprocess.DEVNULL,
                                    env={"PATH": f"{folder}:{os.environ['PATH']}"},
                                    user=65534 if os.geteuid() == 0 else None)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        self.assertIn(refusal, result.stderr)
        self.assertIn("run as root", result.stderr)
        self.assertIn("apt-get install g++ cmake", result.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
