#!/usr/bin/env python3
"""Writes the golden folders beside this script. See README.md.

usage: make_goldens.py [FAMILY ...]     families: timm hf dinov2 vit_pytorch vitrail
"""

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
    if family == "timm":
        from generator.timm_cases import cases
    elif family == "hf":
        from generator import hf_cases, hf_tower_cases
        return [*hf_cases.cases(), *hf_tower_cases.cases()]
    elif family == "dinov2":
        from generator.dinov2_cases import cases
    elif family == "vit_pytorch":
        from generator.vit_pytorch_cases import cases
    elif family == "vitrail":
        from generator.vitrail_cases import cases
    else:
        sys.exit(f"[make_goldens] unknown family {family}")
    return cases()


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for family in sys.argv[1:] or ["timm", "hf", "dinov2", "vit_pytorch", "vitrail"]:
        shutil.rmtree(ROOT / family, ignore_errors=True)
        names = set()
        for case in cases_of(family):
            assert case.name not in names, case.name
            names.add(case.name)
            print(f"{family}/{case.name}: float32 error {record(case, ROOT):.1e}", flush=True)
        print(f"{family}: {len(names)} cases")


if __name__ == "__main__":
    main()
