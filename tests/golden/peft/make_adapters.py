#!/usr/bin/env python3
"""Writes the goldens of LoRA adapters beside this script: BASE/model.safetensors with config.json,
BASE/CASE/ as PEFT's save_pretrained writes an adapter, and BASE/golden.safetensors with `input` and
what PEFT answers once it has loaded each adapter again, `logits.CASE`.

usage: make_adapters.py       needs torch, timm, transformers, peft, safetensors
(made with peft 0.21.2, timm 1.0.31, transformers 5.24, torch 2.15)
"""
import copy
import json
import os
import shutil
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import timm  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from peft import LoraConfig, PeftModel, get_peft_model  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

ROOT = Path(__file__).resolve().parent


@torch.no_grad()
def scatter(model, seed, only=lambda name: True):
    """Visible values everywhere, so that what is dropped or misplaced shows."""
    generator = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        if not only(name):
            continue
        noise = torch.randn(p.shape, generator=generator)
        if p.ndim >= 2 and "token" not in name and "pos" not in name:
            p.copy_(noise / max(1, p[0].numel()) ** 0.5)
        elif name.endswith("weight") or "magnitude" in name:
            p.copy_(p + 0.2 * noise if "magnitude" in name else 1 + 0.3 * noise)
        else:
            p.copy_(0.3 * noise)
    return model.eval()


def is_adapter(name):
    return "lora_" in name or "modules_to_save" in name


# What is trained in each case; everything that training would move is moved.
TIMM = {
    "plain": dict(target_modules=["qkv", "fc1"], modules_to_save=["head"]),
    "rank_stabilised": dict(target_modules=["qkv"], use_rslora=True, modules_to_save=["head"]),
    "patterns": dict(target_modules=["qkv", "attn.proj", "fc2"],
                     alpha_pattern={"blocks.0.attn.qkv": 16, r".*\.fc2": 3},
                     rank_pattern={"blocks.[1-9].attn.proj": 3, "fc2": 1},
                     modules_to_save=["head"]),
    "magnitudes": dict(target_modules=["qkv", "fc2"], use_dora=True, modules_to_save=["head"]),
    "bias_all": dict(target_modules=["blocks.0.attn.qkv"], bias="all", modules_to_save=["head"]),
    "bias_lora_only": dict(target_modules=["fc1"], bias="lora_only"),
    "product_bias": dict(target_modules=["fc1", "attn.proj"], lora_bias=True),
    "saved_norm": dict(target_modules=["qkv"], modules_to_save=["head", "norm"]),
    "saved_block": dict(target_modules=["qkv"], modules_to_save=["blocks.1.mlp"]),
    "no_head": dict(target_modules=["qkv"]),
    "convolution": dict(target_modules=["patch_embed.proj", "qkv"]),
    "everything": dict(target_modules="all-linear"),
    "expression": dict(target_modules=r"blocks\.\d\.(attn\.qkv|mlp\.fc[12])"),
    "excluded": dict(target_modules=["qkv", "fc1"], exclude_modules=["blocks.0.mlp.fc1"]),
    "one_layer": dict(target_modules=["qkv"], layers_to_transform=[1], layers_pattern="blocks"),
    "orthogonal": dict(target_modules=["qkv"], init_lora_weights="orthogonal"),
    "flag_without_effect": dict(target_modules=["qkv"], fan_in_fan_out=True),
}
HF = {
    "plain": dict(target_modules=["q_proj", "v_proj"], modules_to_save=["classifier"]),
    "all_parts": dict(target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2"],
                      use_dora=True, bias="lora_only", modules_to_save=["classifier"]),
    "no_head": dict(target_modules=["v_proj"], lora_bias=True),
    "pattern": dict(target_modules=["q_proj", "v_proj"], alpha_pattern={"layers.1.*.v_proj": 9}),
}
DINO = {
    "new_head": dict(target_modules=["q_proj", "v_proj"], modules_to_save=["classifier"]),
    "saved_norm": dict(target_modules=["fc1"], modules_to_save=["classifier", "layernorm"]),
}
SWIN = {
    "plain": dict(target_modules=["qkv", "fc1"], modules_to_save=["head.fc"]),
    "no_head": dict(target_modules=["attn.proj", "reduction"]),
}
# Names of transformers before 5.9, which adapters on the hub have.
OLDER = [("vit.layers.", "vit.encoder.layer."), ("attention.q_proj", "attention.attention.query"),
         ("attention.k_proj", "attention.attention.key"),
         ("attention.v_proj", "attention.attention.value"), ("q_proj", "query"),
         ("k_proj", "key"), ("v_proj", "value")]


def record(name, base, cases, image, alpha=8, r=2):
    folder = ROOT / name
    generator = torch.Generator().manual_seed(7)
    pictures = torch.randn(2, 3, image, image, generator=generator)
    golden = {"input": pictures}

    def answer(model):
        with torch.no_grad():
            out = model.double()(pictures.double())
        return (out if torch.is_tensor(out) else out.logits).float()

    for seed, (case, options) in enumerate(cases.items()):
        config = LoraConfig(r=options.pop("r", r), lora_alpha=alpha, **options)
        model = get_peft_model(copy.deepcopy(base), config)
        scatter(model, 100 + seed, lambda n: is_adapter(n) or (
            n.endswith("bias") and (config.bias == "all" or
                                    (config.bias == "lora_only" and "base_layer" in n))))
        model.save_pretrained(folder / case)
        (folder / case / "README.md").unlink(missing_ok=True)
        again = PeftModel.from_pretrained(copy.deepcopy(base), folder / case).eval()
        golden[f"logits.{case}"] = answer(again)
        assert (golden[f"logits.{case}"] - answer(model.eval())).abs().max() < 1e-5, case
    return folder, golden


def timm_base():
    args = dict(img_size=16, patch_size=4, embed_dim=24, depth=2, num_heads=2)
    model = scatter(timm.create_model("vit_tiny_patch16_224", num_classes=5, **args), 1)
    folder = ROOT / "timm"
    folder.mkdir(parents=True)
    save_file(model.state_dict(), folder / "model.safetensors")
    config = {"architecture": "vit_tiny_patch16_224", "num_classes": 5, "num_features": 24,
              "global_pool": "token", "model_args": args,
              "pretrained_cfg": {"input_size": [3, 16, 16], "mean": [0.5] * 3, "std": [0.5] * 3,
                                 "crop_pct": 1.0, "interpolation": "bicubic", "num_classes": 5}}
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    return model


def swin_base():
    args = dict(img_size=32, patch_size=2, window_size=4, embed_dim=8, depths=[1, 2],
                num_heads=[1, 2], drop_path_rate=0.0)
    model = scatter(timm.create_model("swin_tiny_patch4_window7_224", num_classes=5, **args), 3)
    folder = ROOT / "timm_swin"
    folder.mkdir(parents=True)
    save_file(model.state_dict(), folder / "model.safetensors")
    config = {"architecture": "swin_tiny_patch4_window7_224", "num_classes": 5,
              "num_features": 16, "global_pool": "avg", "model_args": args,
              "pretrained_cfg": {"input_size": [3, 32, 32], "mean": [0.5] * 3, "std": [0.5] * 3,
                                 "crop_pct": 1.0, "interpolation": "bicubic", "num_classes": 5,
                                 "first_conv": "patch_embed.proj", "classifier": "head.fc"}}
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    return model


def hf_base(name, kind, **more):
    config = getattr(transformers, kind + "Config")(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=16, patch_size=4,
        num_labels=5, **more)
    model = scatter(getattr(transformers, kind + "ForImageClassification")(config), 2)
    model.save_pretrained(ROOT / name)
    return model


def older_names(folder, golden):
    """The adapter `plain` under the names that earlier releases gave its modules."""
    shutil.copytree(folder / "plain", folder / "older_names")

    def older(text):
        for new, old in OLDER:
            text = text.replace(new, old)
        return text

    path = folder / "older_names" / "adapter_model.safetensors"
    save_file({older(k): v for k, v in load_file(path).items()}, path, {"format": "pt"})
    path = folder / "older_names" / "adapter_config.json"
    path.write_text(older(path.read_text()))
    golden["logits.older_names"] = golden["logits.plain"].clone()


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    for name in ("timm", "timm_swin", "hf_vit", "hf_deit", "hf_dinov2"):
        shutil.rmtree(ROOT / name, ignore_errors=True)

    folder, golden = record("timm", timm_base(), TIMM, 16)
    # The file of PEFT before safetensors.
    shutil.copytree(folder / "plain", folder / "torch_file")
    torch.save(load_file(folder / "plain" / "adapter_model.safetensors"),
               folder / "torch_file" / "adapter_model.bin")
    (folder / "torch_file" / "adapter_model.safetensors").unlink()
    golden["logits.torch_file"] = golden["logits.plain"].clone()
    save_file(golden, folder / "golden.safetensors")

    folder, golden = record("timm_swin", swin_base(), SWIN, 32)
    save_file(golden, folder / "golden.safetensors")

    base = hf_base("hf_vit", "ViT", intermediate_size=48)
    folder, golden = record("hf_vit", base, HF, 16)
    older_names(folder, golden)
    save_file(golden, folder / "golden.safetensors")

    base = hf_base("hf_deit", "DeiT", intermediate_size=48)
    folder, golden = record("hf_deit", base, {"plain": HF["no_head"] | {"lora_bias": False}}, 16)
    save_file(golden, folder / "golden.safetensors")

    # As people fine-tune DINOv2: the file is the backbone's alone, the adapter brings the head.
    base = hf_base("hf_dinov2", "Dinov2", mlp_ratio=2)
    base.dinov2.save_pretrained(ROOT / "hf_dinov2")
    folder, golden = record("hf_dinov2", base, DINO, 16)
    save_file(golden, folder / "golden.safetensors")


if __name__ == "__main__":
    main()
