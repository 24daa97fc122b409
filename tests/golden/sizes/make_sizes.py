#!/usr/bin/env python3
"""Writes the goldens of other picture sizes beside this script: CASE/model.safetensors with
config.json, and CASE/golden.safetensors with `input.HxW` and `logits.HxW` of the family's own way to
take pictures of another size: timm's dynamic_img_size, transformers' interpolate_pos_encoding.

usage: make_sizes.py       needs torch, timm, transformers, safetensors
(made with timm 1.0.31, transformers 5.24, torch 2.15)
"""
import json
import os
import shutil
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import timm  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

ROOT = Path(__file__).resolve().parent
# 16x16 has as many patches as 8x32 and 32x8, whose positions are stretched all the same.
WHOLE = [(16, 16), (8, 32), (32, 8), (12, 12), (20, 28), (28, 20), (40, 36)]
PARTIAL = [(17, 23), (19, 16), (16, 18), (31, 9)]  # transformers' convolution leaves the rest out


@torch.no_grad()
def scatter(model, seed):
    generator = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        if "gamma" in name or "lambda" in name:
            p.copy_(0.7 + 0.2 * noise)
        elif p.ndim >= 2 and "token" not in name and "pos" not in name:
            p.copy_(noise / max(1, p[0].numel()) ** 0.5)
        elif name.endswith("weight"):
            p.copy_(1 + 0.3 * noise)
        else:
            p.copy_(0.5 * noise)
    return model.eval()


def record(folder, answer, sizes):
    generator = torch.Generator().manual_seed(7)
    golden = {}
    for height, width in sizes:
        pictures = torch.randn(1, 3, height, width, generator=generator)
        with torch.no_grad():
            golden[f"input.{height}x{width}"] = pictures
            golden[f"logits.{height}x{width}"] = answer(pictures).contiguous()
    save_file(golden, folder / "golden.safetensors")


def timm_case(name, sizes, architecture="vit_tiny_patch16_224", **args):
    shutil.rmtree(ROOT / name, ignore_errors=True)
    folder = ROOT / name
    folder.mkdir()
    args = dict(dict(img_size=16, patch_size=4, embed_dim=24, depth=2, num_heads=2), **args)
    model = scatter(timm.create_model(architecture, num_classes=5, **args), 1)
    save_file(model.state_dict(), folder / "model.safetensors")
    side = args["img_size"]
    config = {"architecture": architecture, "num_classes": 5, "global_pool": "token",
              "model_args": args,
              "pretrained_cfg": {"input_size": [3, side, side], "mean": [0.5] * 3,
                                 "std": [0.5] * 3, "crop_pct": 0.9, "interpolation": "bicubic",
                                 "num_classes": 5}}
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    dynamic = timm.create_model(architecture, num_classes=5, **args,
                                dynamic_img_size=sizes is not None)
    dynamic.load_state_dict(model.state_dict())
    record(folder, dynamic.eval(), sizes or [(side, side)])


def hf_case(name, kind, **more):
    shutil.rmtree(ROOT / name, ignore_errors=True)
    config = getattr(transformers, kind + "Config")(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=16, patch_size=4,
        num_labels=5, **more)
    model = scatter(getattr(transformers, kind + "ForImageClassification")(config), 2)
    model.save_pretrained(ROOT / name)
    always = kind.startswith("Dinov2")  # its positions are stretched without being asked
    options = {} if always else {"interpolate_pos_encoding": True}
    record(ROOT / name, lambda x: model(x, **options).logits, WHOLE + PARTIAL)


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    timm_case("timm_class_token", WHOLE)
    timm_case("timm_registers", WHOLE, reg_tokens=2, no_embed_class=True)
    # Patches that do not fill the model's own picture, as SigLIP's so400m at 384 with 14 has it.
    timm_case("timm_partial_patches", None, img_size=23, patch_size=6)
    hf_case("hf_vit", "ViT", intermediate_size=48)
    hf_case("hf_deit", "DeiT", intermediate_size=48)
    hf_case("hf_dinov2", "Dinov2", mlp_ratio=2)
    hf_case("hf_dinov2_registers", "Dinov2WithRegisters", mlp_ratio=2, num_register_tokens=2)


if __name__ == "__main__":
    main()
