"""timm: Eva, Beit and VisionTransformerRelPos, whose positions are in attention, shrunk."""

import timm

from .recorder import Case
from .timm_cases import LIBRARY, save_config


def _case(name, architecture, attention=False, faint=False, picture=None, **arguments):
    if picture is not None:
        arguments["dynamic_img_size"] = True
    model = timm.create_model(architecture, pretrained=False, **arguments)
    for block in model.blocks:
        block.attn.fused_attn = False
    if getattr(model, "attn_pool", None) is not None:
        model.attn_pool.fused_attn = False
    height, width = picture or model.patch_embed.img_size
    return Case(
        family="timm_positions", name=name, library=LIBRARY, model=model,
        picture=(model.in_chans, height, width), blocks=lambda m: list(m.blocks),
        attention=(lambda m: [b.attn.attn_drop for b in m.blocks]) if attention else None,
        write_config=lambda folder: save_config(model, folder), faint=faint)


def _eva():
    small = dict(embed_dim=16, depth=2, num_heads=2, num_classes=5, mlp_ratio=2, img_size=12,
                 patch_size=4)
    one = {**small, "depth": 1}
    headless = {**small, "num_classes": 0}
    yield _case("eva02", "eva02_tiny_patch14_224", attention=True, faint=True, **small)
    yield _case("eva02_larger", "eva02_base_patch14_224", picture=(20, 16), **small)
    yield _case("eva02_clip", "eva02_base_patch16_clip_224", attention=True, **one)
    yield _case("eva02_enormous", "eva02_enormous_patch14_clip_224", faint=True, **one)
    yield _case("eva_giant", "eva_giant_patch14_224", attention=True, **one)
    yield _case("rope_axial", "vit_small_patch16_rope_224", attention=True, faint=True, **small)
    yield _case("rope_ape_larger", "vit_small_patch16_rope_ape_224", picture=(8, 20), **one)
    yield _case("rope_mixed", "vit_small_patch16_rope_mixed_224", attention=True, **small)
    yield _case("rope_mixed_by_row", "vit_small_patch16_rope_mixed_ape_224", picture=(8, 20),
                rope_grid_indexing="ij", **small)
    yield _case("rope_gap", "vit_medium_patch16_rope_reg1_gap_256", rope_grid_offset=0.5,
                rope_rotate_half=True, **one)
    yield _case("dinov3", "vit_small_patch16_dinov3", picture=(20, 16), **headless)
    yield _case("dinov3_qkvb", "vit_small_patch16_dinov3_qkvb", attention=True, faint=True, **small)
    yield _case("dinov3_plus", "vit_small_plus_patch16_dinov3_qkvb", **{**one, "mlp_ratio": 1.7})
    yield _case("pe_core", "vit_pe_core_base_patch16_224", attention=True, faint=True, **one)
    yield _case("pe_spatial", "vit_pe_spatial_base_patch16_512", picture=(16, 20),
                **{**headless, "depth": 1})


def _beit():
    small = dict(embed_dim=16, depth=2, num_heads=2, num_classes=5, mlp_ratio=2, img_size=12,
                 patch_size=4)
    yield _case("beit", "beit_base_patch16_224", attention=True, faint=True, **small)
    yield _case("beit_shared", "beitv2_base_patch16_224", attention=True, use_rel_pos_bias=False,
                use_shared_rel_pos_bias=True, use_abs_pos_emb=True, swiglu_mlp=True, scale_mlp=True,
                **{**small, "img_size": (8, 16)})
    yield _case("beit_both", "beit_base_patch16_224", use_shared_rel_pos_bias=True, qkv_bias=False,
                init_values=0, global_pool="token", **{**small, "depth": 1})


def _relpos():
    small = dict(embed_dim=16, depth=2, num_heads=2, num_classes=5, mlp_ratio=2, img_size=12,
                 patch_size=4, rel_pos_dim=6)
    one = {**small, "depth": 1}
    yield _case("relpos", "vit_relpos_small_patch16_224", attention=True, faint=True, **small)
    yield _case("relpos_cls", "vit_relpos_base_patch16_cls_224", attention=True, **one)
    yield _case("relpos_clsgap_swin", "vit_relpos_base_patch16_clsgap_224", attention=True,
                rel_pos_type="mlp_swin", **{**one, "img_size": (8, 16)})
    yield _case("relpos_rpn", "vit_relpos_small_patch16_rpn_224", faint=True, qk_norm=True, **one)
    yield _case("relpos_table", "vit_relpos_base_patch16_clsgap_224", rel_pos_type="bias",
                **{**one, "rel_pos_dim": None})
    yield _case("srelpos", "vit_srelpos_small_patch16_224", attention=True, **small)
    yield _case("srelpos_table", "vit_srelpos_small_patch16_224", rel_pos_type="bias",
                **{**one, "rel_pos_dim": None})


def cases():
    yield from _eva()
    yield from _beit()
    yield from _relpos()
