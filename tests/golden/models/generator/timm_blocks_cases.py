"""timm: definitions of vision_transformer.py with blocks and norms of other forms, shrunk."""

from .recorder import Case
from .timm_cases import LIBRARY, save_config

import timm


def _attentions(block):
    """The modules that hold attention's weights, in the order in which they run."""
    return [block.attn]


def _case(name, architecture, attention=False, faint=False, picture=None, **arguments):
    model = timm.create_model(architecture, pretrained=False, **arguments)
    layers = [layer for block in model.blocks for layer in _attentions(block)]
    for layer in layers:
        layer.fused_attn = False
    if getattr(model, "attn_pool", None) is not None:
        model.attn_pool.fused_attn = False
    height, width = picture or model.patch_embed.img_size
    return Case(
        family="timm_blocks", name=name, library=LIBRARY, model=model,
        picture=(model.in_chans, height, width), blocks=lambda m: list(m.blocks),
        attention=(lambda m: [layer.attn_drop for block in m.blocks
                              for layer in _attentions(block)]) if attention else None,
        write_config=lambda folder: save_config(model, folder), faint=faint)


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
