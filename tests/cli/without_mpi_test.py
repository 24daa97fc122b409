#!/usr/bin/env python3
"""Under mpirun, without MPI: what the command says where its module is missing or useless. Needs
neither MPI nor a build that has it.
usage: without_mpi_test.py BINARY SOURCE_DIR"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from command import BINARY

DATA = "scenes:size=32,count=24,val=8,test=8"


class WithoutMpiTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "bin").mkdir()
        self.program = self.folder / "bin" / "vitrail"
        shutil.copy(BINARY, self.program)  # without the module that may lie beside it

    def error(self, variable):
        process = subprocess.run(
            [self.program, "train", "--data", DATA, "--out", self.folder / "run"],
            capture_output=True, text=True, timeout=600, env=dict(os.environ, **{variable: "2"}))
        self.assertEqual(process.returncode, 1, process.stderr)
        self.assertEqual(process.stdout, "")
        said = [line for line in process.stderr.splitlines() if line.startswith("vitrail: [")]
        self.assertEqual(len(said), 1, process.stderr)
        self.assertIn("tools/setup --mpi", said[0])
        self.assertFalse((self.folder / "run" / "model.safetensors").exists())
        return said[0]

    def test_a_build_without_mpi_says_how_to_get_it(self):
        for variable in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE"):  # of Open MPI, of MPICH
            with self.subTest(variable):
                self.assertIn("built without MPI", self.error(variable))

    def test_a_module_that_cannot_be_loaded(self):
        for place in ("bin", "lib/vitrail"):
            with self.subTest(place):
                module = self.folder / place / "libvitrail_mpi.so"
                module.parent.mkdir(parents=True, exist_ok=True)
                module.write_bytes(b"no library")
                said = self.error("OMPI_COMM_WORLD_SIZE")
                module.unlink()
                self.assertIn("libvitrail_mpi.so cannot be loaded", said)

    def test_one_process_needs_no_module(self):
        process = subprocess.run([self.program, "train", "--data", DATA, "--out",
                                  self.folder / "run", "--arch", "vit_lite_7_4", "--epochs", "1",
                                  "--set", "depth=1", "--set", "embed_dim=32", "--set",
                                  "num_heads=2", "--set", "image_size=32"],
                                 capture_output=True, text=True, timeout=600,
                                 env=dict(os.environ, OMPI_COMM_WORLD_SIZE="1"))
        self.assertEqual(process.returncode, 0, process.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
