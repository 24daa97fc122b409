"""Models of timm and transformers saved whole by torch.save(model), and their answers to one input.

usage: python -m generator.whole_modules     (from tests/golden/models)
Writes whole/NAME.pth and whole/answers.safetensors: NAME.input and NAME.logits, in float64 rounded.
"""

import copy
import sys
from functools import partial
from pathlib import Path

import timm
import torch
import transformers
from safetensors.torch import save_file
from torch import nn

from .recorder import randomise

ROOT = Path(__file__).resolve().parents[1] / "whole"
SMALL = dict(img_size=16, patch_size=4, embed_dim=16, depth=2, num_heads=4, num_classes=5, mlp_ratio=2)


def timm_models():
    make = timm.create_model
    yield "timm_token", make("vit_tiny_patch16_224", **SMALL)
    yield "timm_average", make("vit_base_patch16_224", global_pool="avg", **SMALL)
    yield "timm_average_all", make("vit_base_patch16_224", global_pool="avg", pool_include_prefix=True, fc_norm=False, **SMALL)
    yield "timm_map_all", make("test_vit3", **SMALL)
    yield "timm_distilled", make("deit_tiny_distilled_patch16_224", **SMALL)
    yield "timm_quick_gelu", make("vit_base_patch32_clip_quickgelu_224", **SMALL)
    yield "timm_registers", make("vit_small_patch14_reg4_dinov2", **{**SMALL, "num_classes": 0})
    # No definition of timm's has these, and no name says them.
    odd = timm.models.vision_transformer.VisionTransformer(
        act_layer=nn.ReLU, norm_layer=partial(nn.LayerNorm, eps=1e-3), qkv_bias=False, **SMALL)
    yield "timm_by_hand", odd
    uneven = make("vit_tiny_patch16_224", **SMALL)
    uneven.blocks[1].attn.num_heads = 2
    uneven.blocks[1].attn.head_dim = 8
    uneven.blocks[1].attn.scale = 8**-0.5
    yield "refused_uneven_heads", uneven
    scaled = make("vit_tiny_patch16_224", **SMALL)
    for block in scaled.blocks:
        block.attn.scale = 1.0
        block.attn.fused_attn = False
    yield "refused_scale", scaled
    yield "timm_branches", make("vit_tiny_patch16_224", block_fn=timm.models.vision_transformer.ParallelThingsBlock, **SMALL)
    other = make("vit_tiny_patch16_224", **SMALL)
    for block in other.blocks:
        block.mlp.act = nn.Softsign()
    yield "refused_activation", other


def hf_models():
    small = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=4, image_size=16, patch_size=4, num_labels=5)
    torch.manual_seed(0)
    vit = transformers.ViTConfig(**small, intermediate_size=32, hidden_act="quick_gelu", layer_norm_eps=1e-5)
    yield "hf_vit", transformers.ViTForImageClassification(vit)
    deit = transformers.DeiTConfig(**small, intermediate_size=32)
    yield "hf_deit", transformers.DeiTForImageClassificationWithTeacher(deit)
    dino = transformers.Dinov2Config(**small, mlp_ratio=2)
    yield "hf_dinov2", transformers.Dinov2ForImageClassification(dino)
    labels = {0: "ape", 1: "bee", 2: "cat", 3: "dog", 4: "eel"}
    registers = transformers.Dinov2WithRegistersConfig(**{**small, "num_labels": 5}, mlp_ratio=2, num_register_tokens=2, id2label=labels)
    yield "hf_dinov2_registers", transformers.Dinov2WithRegistersForImageClassification(registers)


def main():
    ROOT.mkdir(exist_ok=True)
    answers = {}
    for index, (name, model) in enumerate([*timm_models(), *hf_models()]):
        randomise(model, name, faint=True)
        model.eval()
        torch.save(model, ROOT / f"{name}.pth")
        if name.startswith("refused"):
            continue
        picture = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(index))
        with torch.no_grad():
            answer = copy.deepcopy(model).double()(picture.double())
        logits = answer if isinstance(answer, torch.Tensor) else answer.logits
        answers[f"{name}.input"] = picture
        answers[f"{name}.logits"] = logits.float()
    save_file(answers, ROOT / "answers.safetensors")


if __name__ == "__main__":
    sys.exit(main())
