"""Vitrail's own format: compact models, residual networks, the teaching ViT, all options in pairs."""

import json

import torch

from .pairwise import pairwise
from .recorder import Case, depth_of
from .vitrail_model import Config, VisionTransformer


def _case(name, picture=None, attention=False, faint=False, **fields):
    config = Config(**fields)

    def write_config(folder):
        text = json.dumps({"model_type": "vitrail", "model": config_json(config)}, indent=2)
        (folder / "config.json").write_text(text + "\n")

    height, width = picture or (config.image_height, config.image_width)
    return Case(
        family="vitrail", name=name, library=f"torch {torch.__version__}",
        model=VisionTransformer(config), picture=(config.in_channels, height, width),
        blocks=lambda m: list(m.blocks),
        attention=(lambda m: [b.attn.rows for b in m.blocks]) if attention else None,
        write_config=write_config, faint=faint,
        weight_scale=0.7)  # blocks without norms would grow the stream until rounding drowns k


def config_json(config):
    """Every field that the model was built with; see src/models/vit_config.h."""
    fields = {name: getattr(config, name) for name in CONFIG_FIELDS}
    if config.tokenizer is not None:
        fields.update({f"tokenizer_{name}": value for name, value in vars(config.tokenizer).items()})
    if config.resnet is not None:
        fields.update({f"resnet_{name}": value for name, value in vars(config.resnet).items()})
    return fields


COMPACT = dict(norm_placement="cct", qkv_bias=False, layer_norm_epsilon=1e-5, embed_dim=12,
               num_heads=3, mlp_hidden_dim=12)
SEQUENCE = dict(pooling="sequence", class_token=False, position_prefix=0)


def _named():
    small = dict(image_height=8, image_width=8)
    tokenizer = dict(patch_embedding="tokenizer")
    yield _case("cct_3x1", attention=True, **COMPACT, **SEQUENCE, **small, **tokenizer,
                tokenizer=dict(layers=1))
    yield _case("cct_3x2_sine", **COMPACT, **SEQUENCE, **tokenizer, position="sinusoidal_1d",
                tokenizer=dict(layers=2, hidden_channels=10))
    yield _case("cct_7x2", **COMPACT, **SEQUENCE, **tokenizer, image_height=24, image_width=20,
                tokenizer=dict(layers=2, kernel=7, stride=2, padding=3, hidden_channels=6))
    yield _case("cvt", **COMPACT, **SEQUENCE)
    yield _case("vit_lite", attention=True, faint=True, **COMPACT)
    yield _case("vit_lite_sine", **COMPACT, position="sinusoidal_1d")
    yield _case("teaching", attention=True, in_channels=1, position="none", position_prefix=0,
                class_token=False, norm_placement="none", final_norm=False, activation="relu",
                pooling="mean", embed_dim=12, num_heads=3, mlp_hidden_dim=24)
    # Networks without blocks: small pictures; photographs, here of an odd size; bottlenecks.
    plain = dict(patch_embedding="resnet", layer_norm_epsilon=1e-5, depth=0, class_token=False,
                 position="none", position_prefix=0, final_norm=False, pooling="mean")
    yield _case("resnet", **plain, image_height=12, image_width=12, embed_dim=12,
                resnet=dict(stem_channels=4, stem_kernel=3, stem_stride=1, stem_pool=False,
                            blocks=[2, 1], channels=[4, 12], norm_groups=2))
    yield _case("resnet_pool", **plain, image_height=32, image_width=32, picture=(37, 29),
                embed_dim=16, faint=True,
                resnet=dict(stem_channels=4, blocks=[1, 1, 1], channels=[4, 8, 16], norm_groups=4))
    yield _case("resnet_bottleneck", **plain, in_channels=1, image_height=10, image_width=14,
                embed_dim=24, num_classes=0,
                resnet=dict(stem_channels=6, stem_kernel=5, stem_pool=False, bottleneck=True,
                            blocks=[1, 2], channels=[12, 24], norm_groups=3))
    yield _case("resnet_hybrid", attention=True, patch_embedding="resnet", image_height=12,
                image_width=16, picture=(16, 12), embed_dim=8, depth=1,
                resnet=dict(stem_channels=4, stem_kernel=3, stem_stride=1, stem_pool=False,
                            blocks=[1, 1, 1], channels=[4, 4, 8], norm_groups=2))
    yield _case("resnet_pooled", attention=True, patch_embedding="resnet", image_height=16,
                image_width=16, picture=(13, 18), embed_dim=8, depth=1, layer_norm_epsilon=1e-5,
                resnet=dict(stem_channels=4, stem_kernel=3, stem_stride=1, stem_pool=False,
                            pooled=True, blocks=[1, 0], channels=[4, 8], norm="batch"))
    yield _case("resnet_batch_norm", **plain, image_height=12, image_width=12, embed_dim=12,
                resnet=dict(stem_channels=4, stem_kernel=3, stem_stride=1, stem_pool=False,
                            blocks=[2, 1], channels=[4, 12], norm="batch"))


# image, patch, grid of the stored positions (0: the image's own), picture shown
GEOMETRY = {
    "square": ((8, 8), (4, 4), (0, 0), None),
    "rectangle": ((8, 12), (4, 2), (0, 0), None),
    "larger": ((8, 8), (4, 4), (0, 0), (16, 20)),
    "smaller": ((20, 16), (4, 4), (0, 0), (12, 8)),
    "stored": ((16, 12), (4, 4), (3, 5), None),
}
TOKENS = {  # class_token, distillation_token, register_tokens
    "none": (False, False, 0),
    "class_registers": (True, False, 3),
    "class_distillation": (True, True, 0),
}
FACTORS = {
    "geometry": list(GEOMETRY),
    "in_channels": [1, 3],
    "patch_embedding": ["convolution", "linear", "linear_normed", "tokenizer"],
    "patch_bias": [True, False],
    "heads": [(2, 0), (3, 6)],  # num_heads, head_dim
    "mlp": ["plain", "gated_packed", "gated_packed_gate_last", "gated_split"],
    "activation": ["gelu", "gelu_tanh", "quick_gelu", "relu", "silu"],
    "qkv_bias": [True, False],
    "projection_bias": [True, False],
    "mlp_bias": [True, False],
    "norms": ["none", "qk_norm", "attention_norm", "mlp_norm"],
    "norm_placement": ["pre", "post", "res_post", "none", "cct"],
    "layer_norm_epsilon": [1e-6, 1e-3],
    "layer_scale": [False, True],
    "tokens": list(TOKENS),
    "position": ["learned", "none", "sinusoidal_1d", "sincos_2d"],
    "position_resize": ["bicubic_antialias", "bicubic", "bicubic_offset", "bilinear"],
    "position_prefix": ["none", "class", "all"],
    "pre_norm": [False, True],
    "end_norm": ["final_norm", "fc_norm", "none"],
    "pooling": ["class_token", "mean", "distilled", "sequence", "map"],
    "num_classes": [5, 0],
    "head_bias": [True, False],
}


def _allowed(row):
    class_token, distillation, registers = TOKENS[row["tokens"]]
    prefix = class_token + distillation + registers
    if row["pooling"] == "class_token" and not class_token:
        return False
    if row["pooling"] == "distilled" and not distillation:
        return False
    if row["pooling"] == "sequence" and prefix:
        return False
    if row["pooling"] == "distilled" and row["end_norm"] == "fc_norm":
        return False
    if row["layer_scale"] and row["norm_placement"] == "res_post":
        return False
    if row["position_prefix"] == "class" and not class_token:
        return False
    if row["position_prefix"] == "all" and not prefix:
        return False
    if row["geometry"] == "stored" and row["position"] != "learned":
        return False
    return True


def _options(index, row):
    image, patch, grid, picture = GEOMETRY[row["geometry"]]
    class_token, distillation, registers = TOKENS[row["tokens"]]
    fields = dict(
        image_height=image[0], image_width=image[1], patch_height=patch[0], patch_width=patch[1],
        position_grid_height=grid[0], position_grid_width=grid[1], num_heads=row["heads"][0],
        head_dim=row["heads"][1], embed_dim=8, depth=depth_of(index),
        mlp_hidden_dim=11, class_token=class_token,
        distillation_token=distillation, register_tokens=registers,
        final_norm=row["end_norm"] == "final_norm", fc_norm=row["end_norm"] == "fc_norm",
        position_prefix={"none": 0, "class": 1, "all": class_token + distillation + registers}[
            row["position_prefix"]])
    for name in ("in_channels", "mlp", "activation", "qkv_bias", "projection_bias", "mlp_bias",
                 "norm_placement", "layer_norm_epsilon", "layer_scale", "position",
                 "position_resize", "pre_norm", "pooling", "num_classes", "head_bias"):
        fields[name] = row[name]
    if row["norms"] != "none":
        fields[row["norms"]] = True
    if row["pooling"] == "map":
        fields.update(pool_heads=4, pool_mlp_hidden_dim=9)
    if row["patch_embedding"] == "tokenizer":
        fields.update(patch_embedding="tokenizer",
                      tokenizer=dict(layers=1 + index % 2, hidden_channels=6,
                                     bias=row["patch_bias"], activation=row["activation"]))
    else:
        fields.update(patch_embedding=row["patch_embedding"].split("_")[0],
                      patch_norm=row["patch_embedding"] == "linear_normed",
                      patch_bias=row["patch_bias"])
    return _case(f"options_{index:02d}", picture, attention=index % 4 == 0,
                 faint=index % 3 == 1, **fields)


CONFIG_FIELDS = [
    "image_height", "image_width", "in_channels", "patch_embedding", "patch_height", "patch_width",
    "patch_bias", "patch_norm", "embed_dim", "depth", "num_heads", "head_dim", "mlp_hidden_dim",
    "mlp", "activation", "qkv_bias", "projection_bias", "mlp_bias", "qk_norm", "attention_norm",
    "mlp_norm", "norm_placement", "layer_norm_epsilon", "layer_scale", "class_token",
    "distillation_token", "register_tokens", "position", "position_prefix", "position_grid_height",
    "position_grid_width", "position_resize", "pre_norm", "final_norm", "fc_norm", "pooling",
    "pool_heads", "pool_mlp_hidden_dim", "num_classes", "head_bias"]


def cases():
    yield from _named()
    for index, row in enumerate(pairwise(FACTORS, _allowed, seed=6)):
        yield _options(index, row)
