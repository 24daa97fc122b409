"""timm's files and those of its training script: wrappers, averages, precisions, forms of torch.save."""
import torch
from safetensors.torch import save_file

from common import folder, seed_of
from conventions.shared import (ARGS, ask_file, optimizer_state, prefixed, timm_reference, tiny,
                                wanted)

ARCH = ["--set", "architecture=vit_tiny_patch16_224"]


def cases():
    group = "timm files"
    ways = {
        "state_dict": lambda m, e: m.state_dict(),
        "state_dict+args": lambda m, e: {"epoch": 1, "arch": "vit_tiny_patch16_224",
                                         "state_dict": m.state_dict(), "args": ARGS,
                                         "optimizer": optimizer_state(m), "version": 2,
                                         "metric": 71.2},
        "state_dict+ema": lambda m, e: {"state_dict": m.state_dict(),
                                        "state_dict_ema": e.state_dict(), "args": ARGS},
        "model+model_ema": lambda m, e: {"model": m.state_dict(), "model_ema": e.state_dict(),
                                         "optimizer": optimizer_state(m), "epoch": 3,
                                         "lr_scheduler": {"a": 1}, "scaler": {"scale": 1.0},
                                         "args": ARGS},
        "model_only": lambda m, e: {"model": m.state_dict()},
        "module_prefix": lambda m, e: {"state_dict": prefixed(m.state_dict(), "module.")},
        "orig_mod_prefix": lambda m, e: prefixed(m.state_dict(), "_orig_mod."),
        "module_orig_mod": lambda m, e: {"model": prefixed(m.state_dict(), "module._orig_mod.")},
        "orig_mod_module": lambda m, e: {"model": prefixed(m.state_dict(), "_orig_mod.module.")},
        "model_prefix": lambda m, e: {"state_dict": prefixed(m.state_dict(), "model.")},
        "whole_module": lambda m, e: m,
        "float16": lambda m, e: {n: t.half() for n, t in m.state_dict().items()},
        "float64": lambda m, e: {n: t.double() for n, t in m.state_dict().items()},
        "mmpretrain": lambda m, e: {"meta": {"epoch": 3}, "state_dict": prefixed(
            m.state_dict(), "backbone.")},
    }
    for way, make in ways.items():
        case = f"timm/{way}"
        if not wanted(case):
            continue
        with folder(case) as path:
            model, ema = tiny(seed_of(case)), tiny(seed_of(case) + 1)
            if way == "float16":
                model = model.half().float()
            torch.save(make(model, ema), path / "checkpoint.pth")
            uses_ema = way in ("state_dict+ema", "model+model_ema")  # timm's own use_ema=True
            reference, _ = timm_reference(ema if uses_ema else model)
            ask_file(case, group, path / "checkpoint.pth", ARCH, reference)
    case = "timm/legacy_serialization"
    if wanted(case):
        with folder(case) as path:
            model = tiny(seed_of(case))
            torch.save(model.state_dict(), path / "m.pth", _use_new_zipfile_serialization=False)
            ask_file(case, group, path / "m.pth", ARCH, timm_reference(model)[0])
    case = "timm/safetensors_alone"
    if wanted(case):
        with folder(case) as path:
            model = tiny(seed_of(case))
            save_file(model.state_dict(), path / "m.safetensors")
            ask_file(case, group, path / "m.safetensors", ARCH, timm_reference(model)[0])
