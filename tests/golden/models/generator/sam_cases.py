"""SAM's image encoder: timm's definitions shrunk, transformers' vision model alone and within the
whole, the original's names."""

from functools import partial

import timm
import torch
import transformers
from timm.models._hub import save_config_for_hf
from torch import nn
from transformers import (
    SamConfig, SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig, SamVisionConfig,
    SamVisionModel)

from .recorder import Case

TIMM = f"timm {timm.__version__}"
TRANSFORMERS = f"transformers {transformers.__version__}"


class Seen:
    """Presents a module's output as `change` makes it."""

    def __init__(self, module, change):
        self.module, self.change = module, change

    def register_forward_hook(self, hook):
        return self.module.register_forward_hook(
            lambda m, i, output: hook(m, i, self.change(output)))


def _timm(name, architecture, picture=None, attention=False, faint=False, library=TIMM,
          **arguments):
    model = timm.create_model(architecture, pretrained=False, **arguments)
    for block in model.blocks:
        block.attn.fused_attn = False
    size = picture or model.patch_embed.img_size
    plain = {key: value for key, value in arguments.items() if key != "norm_layer"}

    def write_config(folder):
        save_config_for_hf(model, folder / "config.json", model_args=plain)

    def rows(block):
        heads = block.attn.num_heads
        return Seen(block.attn.attn_drop, lambda p: p.view(-1, heads, *p.shape[-2:]))

    return Case(
        family="sam", name=name, library=library, model=model,
        picture=(model.patch_embed.proj.in_channels, *size),
        blocks=lambda m: list(m.blocks), to_tokens=lambda x: x.flatten(1, 2),
        stages=lambda m: [Seen(m.neck, lambda x: x.permute(0, 2, 3, 1))],
        attention=(lambda m: [rows(b) for b in m.blocks]) if attention else None,
        write_config=write_config, faint=faint)


def _original(name, **arguments):
    """The names of segment-anything's files, which hold the prompts' and masks' parts as well."""
    case = _timm(name, "samvit_base_patch16", library=f"{TIMM}, in the original's names",
                 norm_layer=partial(nn.LayerNorm, eps=1e-6), faint=True, **arguments)

    def to_file(tensors):
        return {"image_encoder." + n.replace(".mlp.fc", ".mlp.lin"): t for n, t in tensors.items()}

    case.to_file = to_file
    case.write_config = lambda folder: None
    return case


VISION = dict(hidden_size=12, output_channels=6, num_hidden_layers=2, num_attention_heads=3,
              image_size=20, patch_size=4, window_size=3, global_attn_indexes=[1], mlp_dim=20)


def _wide_softmax(forward):
    """transformers asks for a float32 softmax whatever the dtype; a float64 run must not be cut."""
    softmax = nn.functional.softmax

    def wide(x, dim=None, dtype=None, **rest):
        return softmax(x, dim=dim, dtype=None if x.dtype == torch.float64 else dtype, **rest)

    def run(model, x):
        nn.functional.softmax = wide
        try:
            return forward(model, x)
        finally:
            nn.functional.softmax = softmax

    return run


def _hf(name, model, attention=False, faint=False):
    vision = model.config.vision_config if isinstance(model, SamModel) else model.config

    def forward(m, x):
        return m.vision_encoder(x).last_hidden_state.mean((2, 3))

    def rows(layer):
        heads = vision.num_attention_heads
        return _Second(layer.attn, lambda p: p.reshape(-1, heads, *p.shape[-2:]))

    def write_config(folder):
        model.config.architectures = [type(model).__name__]
        model.config.save_pretrained(folder)

    return Case(
        family="sam", name=name, library=TRANSFORMERS, model=model,
        picture=(vision.num_channels, vision.image_size, vision.image_size),
        blocks=lambda m: list(m.vision_encoder.layers), to_tokens=lambda x: x.flatten(1, 2),
        stages=lambda m: [Seen(m.vision_encoder.neck, lambda x: x.permute(0, 2, 3, 1))],
        forward=_wide_softmax(forward),
        attention=(lambda m: [rows(x) for x in m.vision_encoder.layers]) if attention else None,
        write_config=write_config, metadata={"format": "pt"}, faint=faint)


class _Second(Seen):
    """The same of a module's second output."""

    def register_forward_hook(self, hook):
        return self.module.register_forward_hook(
            lambda m, i, output: hook(m, i, self.change(output[1])))


def cases():
    small = dict(embed_dim=12, depth=2, num_heads=3, patch_size=4, mlp_ratio=2.0, window_size=3,
                 global_attn_indexes=[1])
    yield _timm("timm_neck", "samvit_base_patch16", attention=True, faint=True, img_size=20,
                neck_chans=6, num_classes=0, **small)
    yield _timm("timm_224", "samvit_base_patch16_224", attention=True, img_size=16, num_classes=5,
                **small)
    # Positions and the tables of the global block are stretched.
    yield _timm("timm_larger", "samvit_base_patch16", picture=(28, 20), img_size=16, neck_chans=6,
                num_classes=5, **small)
    yield _timm("timm_options", "samvit_base_patch16", img_size=16, neck_chans=6, num_classes=5,
                qk_norm=True, init_values=0.1, qkv_bias=False, use_rel_pos=False, in_chans=1,
                **small)
    yield _timm("timm_no_windows", "samvit_base_patch16_224", img_size=16, num_classes=5,
                **{**small, "window_size": 0, "depth": 1})
    config = SamVisionConfig(**VISION, layer_norm_eps=1e-5)
    config._attn_implementation = "eager"
    yield _hf("hf_vision", SamVisionModel(config), attention=True, faint=True)
    config = SamConfig(
        vision_config={**VISION, "use_abs_pos": False, "hidden_act": "relu", "qkv_bias": False},
        prompt_encoder_config=SamPromptEncoderConfig(
            hidden_size=8, image_size=20, patch_size=4, mask_input_channels=4).to_dict(),
        mask_decoder_config=SamMaskDecoderConfig(
            hidden_size=8, mlp_dim=8, num_hidden_layers=1, num_attention_heads=2,
            iou_head_hidden_dim=8).to_dict())
    config._attn_implementation = "eager"
    yield _hf("hf_whole", SamModel(config))
    yield _original("original", img_size=20, neck_chans=6, num_classes=0, **small)
