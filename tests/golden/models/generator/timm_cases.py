"""timm: VisionTransformer with its options in pairs, and the published architectures, shrunk."""

import json

import timm
import torch
from timm.layers import SwiGLU, SwiGLUPacked
from timm.models._hub import save_config_for_hf

from . import jax_arrays
from .pairwise import pairwise
from .recorder import Case, depth_of

LIBRARY = f"timm {timm.__version__}"
MLP_LAYERS = {"swiglu": SwiGLU, "swiglu_packed": SwiGLUPacked}

# (img_size, patch_size, picture shown): the picture differs where positions are interpolated.
GEOMETRY = {
    "rectangle": ((8, 16), 4, None),
    "patch_4x8": ((16, 16), (4, 8), None),
    "larger": ((8, 8), 4, (12, 20)),
    "smaller": ((16, 24), 4, (12, 8)),
}

FACTORS = {
    "geometry": list(GEOMETRY),
    "in_chans": [1, 3, 4],
    "class_token": [True, False],
    "reg_tokens": [0, 2],
    "no_embed_class": [False, True],
    "global_pool": ["token", "avg", "map"],
    "pool_include_prefix": [False, True],
    "norm": ["default", "fc_norm", "no_fc_norm", "none"],
    "pre_norm": [False, True],
    "qkv_bias": [True, False],
    "qk_norm": [False, True],
    "scale_norms": [False, True],
    "proj_bias": [True, False],
    "init_values": [None, 0.1],
    "mlp": ["gelu", "gelu_tanh", "quick_gelu", "silu", "swiglu", "swiglu_packed"],
    "pos_embed": ["learn", "none"],
    "num_classes": [5, 0],
    "width": [(12, 3, 1.5), (8, 2, 2.0), (10, 1, 1.7)],  # embed_dim, num_heads, mlp_ratio
}


def _allowed(row):
    if row["global_pool"] == "token" and not row["class_token"]:
        return False
    # Only averages look at the flag with a meaning of their own: the class token is a prefix.
    if row["pool_include_prefix"] and (row["global_pool"] != "avg" or not row["class_token"]):
        return False
    return True


def save_config(model, folder, arguments=None):
    path = folder / "config.json"
    save_config_for_hf(model, path, model_args=arguments or {})
    return path


def _case(name, architecture, picture=None, family="timm", attention=False, faint=False,
          **arguments):
    model = timm.create_model(architecture, pretrained=False, **arguments)
    for block in model.blocks:
        block.attn.fused_attn = False
    if getattr(model, "attn_pool", None) is not None:
        model.attn_pool.fused_attn = False
    height, width = picture or model.patch_embed.img_size
    channels = model.patch_embed.proj.in_channels

    def write_config(folder):
        # A class is not JSON; timm itself would have to be told again. Names and shapes tell it.
        plain = {"mlp_layer": "", "act_layer": "silu"} if "mlp_layer" in arguments else {}
        path = save_config(model, folder, plain)
        config = json.loads(path.read_text())
        config.get("model_args", {}).pop("mlp_layer", None)
        path.write_text(json.dumps(config, indent=2) + "\n")

    return Case(
        family=family, name=name, library=LIBRARY, model=model, picture=(channels, height, width),
        blocks=lambda m: list(m.blocks),
        attention=(lambda m: [b.attn.attn_drop for b in m.blocks]) if attention else None,
        write_config=write_config, faint=faint)


def _options(index, row):
    img_size, patch_size, picture = GEOMETRY[row["geometry"]]
    embed_dim, num_heads, mlp_ratio = row["width"]
    arguments = dict(
        img_size=img_size, patch_size=patch_size, embed_dim=embed_dim, num_heads=num_heads,
        mlp_ratio=mlp_ratio, depth=depth_of(index), dynamic_img_size=picture is not None)
    for key in ("in_chans", "class_token", "reg_tokens", "no_embed_class", "global_pool",
                "pool_include_prefix", "pre_norm", "qkv_bias", "qk_norm", "proj_bias",
                "init_values", "pos_embed", "num_classes"):
        arguments[key] = row[key]
    if row["scale_norms"]:
        arguments.update(scale_attn_norm=True, scale_mlp_norm=True)
    arguments.update({"default": {}, "fc_norm": {"fc_norm": True}, "no_fc_norm": {"fc_norm": False},
                      "none": {"final_norm": False}}[row["norm"]])
    if row["mlp"] in MLP_LAYERS:
        arguments.update(mlp_layer=MLP_LAYERS[row["mlp"]], act_layer=torch.nn.SiLU)
        if row["mlp"] == "swiglu_packed":  # counts both halves
            arguments["mlp_ratio"] = 2 * round(embed_dim * mlp_ratio) / embed_dim
    else:
        arguments["act_layer"] = row["mlp"]
    return _case(f"options_{index:02d}", "vit_tiny_patch16_224", picture, attention=index % 4 == 0,
                 **arguments)


def _published():
    small = dict(embed_dim=16, depth=2, num_heads=2, num_classes=5, mlp_ratio=2, img_size=12,
                 patch_size=4)
    headless = {**small, "num_classes": 0}
    yield _case("augreg", "vit_base_patch16_224", attention=True, faint=True, **small)
    yield _case("heads_of_table", "vit_tiny_patch16_224", img_size=16, patch_size=8, embed_dim=12, depth=2,
                num_classes=5)
    yield _case("clip_quickgelu", "vit_base_patch32_clip_quickgelu_224", faint=True, **small)
    yield _case("siglip", "vit_base_patch16_siglip_224", **headless)
    # Attention pooling over every token: of a definition that says it, of arguments that do.
    yield _case("map_over_registers", "test_vit3", **{**small, "embed_dim": 24, "num_heads": 3})
    yield _case("map_over_class_token", "vit_tiny_patch16_224", global_pool="map",
                pool_include_prefix=True, **small)
    yield _case("dinov2", "vit_small_patch14_dinov2", **headless)
    yield _case("dinov2_reg4", "vit_small_patch14_reg4_dinov2", **headless)
    yield _case("dinov2_giant", "vit_giant_patch14_dinov2",
                **{**headless, "embed_dim": 12, "mlp_ratio": 2.66667 * 2})
    deit3 = "deit3_small_patch16_224"
    yield _case("deit3", deit3, faint=True, **small)
    raw = _case("deit3_raw_names", deit3, faint=True, **small)
    raw.to_file = lambda tensors: {
        name.replace("ls1.gamma", "gamma_1").replace("ls2.gamma", "gamma_2"): tensor
        for name, tensor in tensors.items()
    }
    yield raw
    distilled = "deit_tiny_distilled_patch16_224"
    yield _case("deit_distilled", distilled, attention=True, **small)
    yield _case("deit_distilled_no_head", distilled, **headless)
    yield _case("deit_distilled_larger", distilled, picture=(20, 16), dynamic_img_size=True,
                **small)


def cases():
    for index, row in enumerate(pairwise(FACTORS, _allowed, seed=1)):
        yield _options(index, row)
    yield from _published()
    yield from jax_arrays.cases()
