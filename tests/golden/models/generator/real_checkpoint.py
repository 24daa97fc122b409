"""Attention of a real ViT-Ti/16 by timm, unfused, in float64: rows of every layer and head, rollout.

usage: python -m generator.real_checkpoint FOLDER     (from tests/golden/models)
FOLDER holds model.safetensors and golden_4images.safetensors; the first of its pictures is taken.
"""

import sys
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file, save_file

QUERIES = [0, 57, 196]  # the class token, a patch, the last patch


def attention_maps(model, pixels):
    """[layers, heads, N, N]."""
    maps = []
    for block in model.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda _m, _i, rows: maps.append(rows[0]))
    with torch.no_grad():
        logits = model(pixels)
    return logits, torch.stack(maps)


def rollout(maps, fuse):
    """Abnar and Zuidema: the product of (A + I) / 2 with rows normalised; the class token's row."""
    result = torch.eye(maps.shape[-1], dtype=maps.dtype)
    for layer in maps:
        step = (fuse(layer) + torch.eye(layer.shape[-1], dtype=maps.dtype)) / 2
        result = step / step.sum(dim=-1, keepdim=True) @ result
    return result[0]


def main():
    source = Path(sys.argv[1])
    pixels = load_file(source / "golden_4images.safetensors")["input"][:1]
    model = timm.create_model("vit_tiny_patch16_224", pretrained=False).eval()
    model.load_state_dict(load_file(source / "model.safetensors"))
    logits, maps = attention_maps(model.double(), pixels.double())
    fusions = {
        "mean": lambda a: a.mean(dim=0), "max": lambda a: a.amax(dim=0),
        "min": lambda a: a.amin(dim=0),
    }
    tensors = {"logits": logits[0], "queries": torch.tensor(QUERIES),
               "rows": maps[:, :, QUERIES]}
    tensors.update({f"rollout.{name}": rollout(maps, fuse) for name, fuse in fusions.items()})
    folder = Path(__file__).resolve().parent.parent / "real"
    folder.mkdir(exist_ok=True)
    path = folder / "vit_tiny_attention.safetensors"
    save_file({n: t.contiguous() if t.dtype == torch.int64 else t.float().contiguous()
               for n, t in tensors.items()}, path)
    path.chmod(0o644)


if __name__ == "__main__":
    main()
