"""PVT v2 of timm and of transformers, shrunk."""

import timm
import torch
import transformers
from timm.models._hub import save_config_for_hf

from .recorder import Case

SMALL = dict(depths=(1, 2, 1, 1), embed_dims=(8, 8, 16, 16), num_heads=(1, 2, 2, 4), num_classes=5,
             sr_ratios=(4, 2, 2, 1), mlp_ratios=(2, 2, 1, 1))


def _tokens(output):
    """A stage of timm's is [B, D, H, W]."""
    return output.flatten(2).transpose(1, 2) if output.dim() == 4 else output


def _timm(name, architecture, side=(32, 32), **arguments):
    arguments = {**SMALL, **arguments}
    model = timm.create_model(architecture, pretrained=False, **arguments)
    blocks = lambda m: [block for stage in m.stages for block in stage.blocks]
    for block in blocks(model):
        block.attn.fused_attn = False
    channels = model.patch_embed.proj.in_channels
    return Case(
        family="pvt_v2", name=name, library=f"timm {timm.__version__}", model=model,
        picture=(channels, *side), blocks=blocks, stages=lambda m: list(m.stages), to_tokens=_tokens,
        attention=lambda m: [block.attn.attn_drop for block in blocks(m)],
        write_config=lambda folder: save_config_for_hf(model, folder / "config.json",
                                                       model_args=arguments))


class _Rows(torch.nn.Module):
    """Stands where a layer's dropout of weights stands, to be hooked."""

    def forward(self, rows):
        return rows


def _transformers(name, headless=False, **fields):
    config = transformers.PvtV2Config(
        depths=[1, 1, 2, 1], hidden_sizes=[8, 8, 16, 16], num_attention_heads=[1, 2, 2, 4],
        sr_ratios=[4, 2, 1, 1], mlp_ratios=[2, 1, 2, 1], num_labels=5, image_size=32, **fields)
    kind = transformers.PvtV2Model if headless else transformers.PvtV2ForImageClassification
    model = kind(config)
    layers = lambda m: (m if headless else m.pvt_v2).encoder.layers
    blocks = lambda m: [block for layer in layers(m) for block in layer.blocks]
    for block in blocks(model):
        block.attention.attn_drop = _Rows()

    def forward(m, x):
        output = m(x)
        return output.last_hidden_state.mean((2, 3)) if headless else output.logits

    return Case(
        family="pvt_v2", name=name, library=f"transformers {transformers.__version__}",
        model=model, picture=(3, 32, 32), blocks=blocks, forward=forward,
        attention=lambda m: [block.attention.attn_drop for block in blocks(m)],
        write_config=lambda folder: model.config.save_pretrained(folder))


def cases():
    yield _timm("b0", "pvt_v2_b0")
    yield _timm("linear", "pvt_v2_b2_li", qkv_bias=False, in_chans=1)
    yield _timm("b5_uneven", "pvt_v2_b5", side=(43, 38), mlp_ratios=(1.5, 2, 1, 1))
    yield _timm("no_head", "pvt_v2_b1", num_classes=0)
    yield _transformers("hf")
    yield _transformers("hf_linear", linear_attention=True, hidden_act="relu", layer_norm_eps=1e-3)
    yield _transformers("hf_base", headless=True, patch_sizes=[5, 3, 3, 1], strides=[4, 2, 2, 1],
                        qkv_bias=False)
