"""timm: definitions of vision_transformer.py and vision_transformer_hybrid.py whose blocks, norms or
stems have other forms, shrunk."""

import re
from functools import partial

import timm
from timm.layers import GroupNormAct, HybridEmbed, StdConv2dSame
from timm.models.resnet import Bottleneck, ResNet
from timm.models.resnetv2 import ResNetV2, create_resnetv2_stem
from torch import nn

from .recorder import Case
from .timm_cases import LIBRARY, save_config


def _attentions(block):
    """The modules that hold attention's weights, in the order in which they run."""
    if hasattr(block, "attns"):
        return [branch.attn for branch in block.attns]
    return [block.attn if hasattr(block, "attn") else block]


RENAMED = {
    "in_norm": "norm1", "q_norm": "attn.q_norm", "k_norm": "attn.k_norm", "ls": "ls1",
    "sub_norm": "attn.sub_norm", "attn_out_proj": "attn.proj", "mlp_out_proj": "mlp.fc2",
    "mlp_bias": "mlp.fc1.bias", **{f"lambda_{k}": f"attn.lambda_{k}" for k in ("q1", "k1", "q2", "k2")},
}


def _parts_of_parallel_blocks(tensors):
    """What timm stores as one matrix, as the projections that it is made of."""
    parts = {}
    for name, tensor in tensors.items():
        match = re.fullmatch(r"(blocks\.\d+\.)(\w+)((?:\.\w+)*)", name)
        if not match:
            parts[name] = tensor
            continue
        block, module, rest = match.groups()
        if module == "in_proj":
            width = tensors[f"{block}in_proj.weight"].shape[1]
            hidden = tensor.shape[0] - 3 * width
            parts[f"{block}mlp.fc1{rest}"] = tensor[:hidden]
            parts[f"{block}attn.qkv{rest}"] = tensor[hidden:]
        elif module == "out_proj" and rest == ".weight":
            parts[f"{block}attn.proj.weight"] = tensor[:, :tensor.shape[0]]
            parts[f"{block}mlp.fc2.weight"] = tensor[:, tensor.shape[0]:]
        elif module == "out_proj":
            parts[f"{block}attn.proj.bias"] = tensor
        else:
            parts[block + RENAMED.get(module, module) + rest] = tensor
    return parts


def _case(name, architecture, attention=False, faint=False, picture=None, model=None, settings=None,
          weight_scale=1.0, **arguments):
    model = model or timm.create_model(architecture, pretrained=False, **arguments)
    for block in model.blocks:
        for layer in _attentions(block):
            layer.fused_attn = False
    if getattr(model, "attn_pool", None) is not None:
        model.attn_pool.fused_attn = False
    height, width = picture or model.patch_embed.img_size
    parallel = any(hasattr(block, "in_proj") for block in model.blocks)
    return Case(
        family="timm_blocks", name=name, library=LIBRARY, model=model,
        picture=(model.in_chans, height, width), blocks=lambda m: list(m.blocks),
        attention=(lambda m: [layer.attn_drop for block in m.blocks
                              for layer in _attentions(block)]) if attention else None,
        gradients_to_file=_parts_of_parallel_blocks if parallel else None,
        write_config=(lambda folder: None) if settings else lambda folder: save_config(model, folder),
        settings=settings or {}, faint=faint, weight_scale=weight_scale)


def _hybrid(name, backbone, **arguments):
    """A hybrid with a small residual network, which no definition has: the file says nothing but
    names and shapes."""
    sizes = dict(embed_dim=16, depth=1, num_heads=2, num_classes=5, mlp_ratio=2, patch_size=1)
    model = timm.models.vision_transformer.VisionTransformer(
        embed_layer=partial(HybridEmbed, backbone=backbone), **{**sizes, **arguments})
    settings = dict(num_heads="2", layer_norm_epsilon="1e-6", activation="gelu",
                    pooling="class_token", image_size=str(model.patch_embed.img_size[0]))
    if any(isinstance(m, nn.GroupNorm) for m in backbone.modules()):
        settings["resnet_norm_groups"] = "4"
    return _case(name, "", model=model, settings=settings)


def _residual_networks():
    filters = partial(StdConv2dSame, eps=1e-8)
    four_groups = dict(norm_layer=partial(GroupNormAct, num_groups=4), conv_layer=filters)
    stages = ResNetV2(layers=(2, 1), channels=(32, 32), num_classes=0, global_pool="", stem_chs=8,
                      preact=False, stem_type="same", **four_groups)
    yield _hybrid("standardised_stages", stages, img_size=30)
    stem = create_resnetv2_stem(3, out_chs=8, stem_type="same", preact=False, **four_groups)
    yield _hybrid("standardised_stem", stem, img_size=24, patch_size=3)
    deep = ResNet(Bottleneck, layers=(1, 1), channels=(4, 8), stem_width=4, stem_type="deep",
                  avg_down=True, num_classes=0, global_pool="")
    features = timm.models._features.FeatureListNet(deep, out_indices=(2,))
    yield _hybrid("deep_stem", features, img_size=20)


def cases():
    small = dict(embed_dim=16, depth=2, num_heads=2, num_classes=5, mlp_ratio=2, img_size=12,
                 patch_size=4)
    headless = {**small, "num_classes": 0}
    yield _case("rms_norm", "test_vit4", attention=True, faint=True, **small)
    yield _case("rms_norm_by_name", "vit_tiny_patch16_224", norm_layer="rmsnorm", qk_norm=True,
                scale_attn_norm=True, scale_mlp_norm=True, pre_norm=True, **small)
    yield _case("aimv2", "aimv2_large_patch14_224", attention=True, faint=True,
                **{**headless, "mlp_ratio": 2.75})
    yield _case("beit3", "beit3_base_patch16_224", faint=True, **small)
    yield _case("partial_patches", "vit_so400m_patch14_siglip_384",
                **{**headless, "img_size": 14})
    yield _case("parallel", "vit_pwee_patch16_reg1_gap_256", attention=True, faint=True, **small)
    yield _case("parallel_rms", "vit_base_patch16_xp_224", attention=True, **small)
    yield _case("branches", "vit_small_patch16_18x2_224", attention=True, **small)
    yield _case("differential", "vit_dwee_patch16_reg1_gap_256", attention=True, faint=True, **small)
    yield _case("differential_by_name", "vit_tiny_patch16_224", attn_layer="diff", qk_norm=True,
                scale_attn_norm=True, dynamic_img_size=True, picture=(16, 20), **small)
    yield _case("differential_parallel", "vit_dpwee_patch16_reg1_gap_256", attention=True, **small)
    yield from _residual_networks()
