"""XCiT: timm's definitions shrunk."""

import timm
from timm.models._hub import save_config_for_hf

from .recorder import Case


def _case(name, architecture, picture=None, attention=False, faint=False, **arguments):
    model = timm.create_model(architecture, pretrained=False, **arguments)
    for block in model.cls_attn_blocks:
        block.attn.fused_attn = False  # whose rows a hook can see
    height, width = picture or model.patch_embed.img_size
    channels = arguments.get("in_chans", 3)
    return Case(
        family="xcit", name=name, library=f"timm {timm.__version__}", model=model,
        picture=(channels, height, width),
        blocks=lambda m: [*m.blocks, *m.cls_attn_blocks],
        attention=(lambda m: [b.attn.attn_drop for b in m.cls_attn_blocks]) if attention else None,
        write_config=lambda folder: save_config_for_hf(
            model, folder / "config.json", model_args=arguments),
        faint=faint)


def cases():
    small = dict(embed_dim=16, depth=2, num_heads=4, num_classes=5, mlp_ratio=2, img_size=48)
    yield _case("nano_p16", "xcit_nano_12_p16_224", attention=True, faint=True, **small)
    yield _case("tiny_p8", "xcit_tiny_12_p8_224", attention=True, **{
        **small, "img_size": 24, "num_heads": 2, "in_chans": 1})
    yield _case("options", "xcit_small_24_p16_224", attention=True, **{
        **small, "qkv_bias": False, "cls_attn_layers": 1, "use_pos_embed": False, "depth": 1,
        "eta": 0.5, "tokens_norm": False})
    yield _case("other_sizes", "xcit_tiny_12_p16_224", picture=(64, 40), **small)
    yield _case("no_head", "xcit_tiny_12_p16_224", picture=(32, 48), **{
        **small, "num_classes": 0, "global_pool": "avg", "depth": 1})
