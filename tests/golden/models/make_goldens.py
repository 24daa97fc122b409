#!/usr/bin/env python3
"""Writes the golden folders beside this script. See README.md.

usage: make_goldens.py [FAMILY ...]     a family for each generator/FAMILY_cases.py
"""

import importlib
import os
import shutil
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch  # noqa: E402

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from generator.recorder import record  # noqa: E402


def cases_of(family):
    return importlib.import_module(f"generator.{family}_cases").cases()


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    families = sorted(path.name.removesuffix("_cases.py")
                      for path in ROOT.glob("generator/*_cases.py"))
    for family in sys.argv[1:] or families:
        if family not in families:
            sys.exit(f"[make_goldens] there is no family {family}; there are {', '.join(families)}")
        shutil.rmtree(ROOT / family, ignore_errors=True)
        names = set()
        for case in cases_of(family):
            assert case.name not in names, case.name
            names.add(case.name)
            print(f"{family}/{case.name}: float32 error {record(case, ROOT):.1e}", flush=True)
        print(f"{family}: {len(names)} cases")


if __name__ == "__main__":
    main()
