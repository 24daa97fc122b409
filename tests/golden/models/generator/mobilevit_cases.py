"""MobileViT, versions 1 and 2, of timm (its definitions, shrunk) and of transformers."""

import timm
import transformers
from timm.models.byobnet import ByobNet, ByoModelCfg
from timm.models.mobilevit import (
    _inverted_residual_block, _mobilevit_block, _mobilevitv2_block)
from transformers import (
    MobileViTConfig, MobileViTForImageClassification, MobileViTImageProcessor, MobileViTModel,
    MobileViTV2Config, MobileViTV2ForImageClassification, MobileViTV2Model)

from .recorder import Case

transformers.logging.set_verbosity_error()


def _tokens(output):
    return output.flatten(2).transpose(1, 2) if output.dim() == 4 else output


def _timm(name, second, picture, num_classes=5, weight_scale=1.0):
    """model_args cannot say a definition's blocks, so --set does."""
    plain = (_inverted_residual_block(d=1, c=8, s=1, br=2.0),
             _inverted_residual_block(d=2, c=8, s=2, br=2.0))
    if second:
        blocks = (*plain, _mobilevitv2_block(d=1, c=16, s=2, transformer_depth=2),
                  _mobilevitv2_block(d=1, c=32, s=2, transformer_depth=1))
        sizes = {"channels": "8,8,16,32", "transformer_dims": "8,16", "mlp_hidden_dims": "16,32",
                 "final_channels": "0"}
    else:
        blocks = (*plain,
                  _mobilevit_block(d=1, c=16, s=2, transformer_dim=8, transformer_depth=2,
                                   patch_size=2, br=2.0),
                  _mobilevit_block(d=1, c=16, s=2, transformer_dim=12, transformer_depth=1,
                                   patch_size=2, br=2.0))
        sizes = {"channels": "8,8,16,16", "transformer_dims": "8,12", "mlp_hidden_dims": "16,24",
                 "final_channels": "24"}
    config = ByoModelCfg(blocks=blocks, stem_chs=8, stem_type="3x3", stem_pool="", downsample="",
                         act_layer="silu", num_features=0 if second else 24)
    model = ByobNet(config, num_classes=num_classes)
    transformers_of = lambda m: [layer for stage in m.stages for block in stage
                                 if hasattr(block, "transformer") for layer in block.transformer]
    if not second:
        for layer in transformers_of(model):
            layer.attn.fused_attn = False
    return Case(
        family="mobilevit", name=name, library=f"timm {timm.__version__}", model=model,
        picture=(3, *picture), blocks=lambda m: [block for stage in m.stages for block in stage],
        stages=lambda m: [*list(m.stages)[:-1], m.final_conv], to_tokens=_tokens,
        attention=None if second else (
            lambda m: [layer.attn.attn_drop for layer in transformers_of(m)]),
        weight_scale=weight_scale,
        settings={"architecture": "mobilevitv2_050" if second else "mobilevit_xxs",
                  "stem_channels": "8", "depths": "1,2,1,1", "transformer_depths": "2,1",
                  "expand_ratio": "2", "image_height": str(picture[0]),
                  "image_width": str(picture[1]), **sizes})


def _hf(name, model_class, config, picture, weight_scale=1.0):
    model = model_class(config)
    base = lambda m: getattr(m, m.base_model_prefix, m)
    first = config.model_type == "mobilevit"

    def forward(m, x):
        output = m(x)
        return output.logits if hasattr(output, "logits") else output.pooler_output

    def blocks(m):
        layers = base(m).encoder.layer
        return [*layers[0].layer, *layers[1].layer,
                *(module for layer in layers[2:] for module in (layer.downsampling_layer, layer))]

    def stages(m):
        layers = list(base(m).encoder.layer)
        return [*layers[:-1], base(m).conv_1x1_exp] if first else layers

    def write_config(folder):
        config.architectures = [model_class.__name__]
        config.save_pretrained(folder)
        MobileViTImageProcessor(size={"shortest_edge": 72},
                                crop_size={"height": 64, "width": 64}).save_pretrained(folder)

    return Case(
        family="mobilevit", name=name, library=f"transformers {transformers.__version__}",
        model=model, picture=(config.num_channels, *picture), blocks=blocks, stages=stages,
        forward=forward, to_tokens=_tokens,
        attention=(lambda m: [layer.attention.attention.dropout
                              for stage in list(base(m).encoder.layer)[2:]
                              for layer in stage.transformer.layer]) if first else None,
        write_config=write_config, metadata={"format": "pt"}, weight_scale=weight_scale)


def cases():
    yield _timm("timm_v1", False, (32, 32))
    yield _timm("timm_v1_uneven", False, (40, 36))
    yield _timm("timm_v2", True, (32, 32))
    yield _timm("timm_v2_uneven_no_head_faint", True, (40, 36), num_classes=0, weight_scale=0.05)
    first = dict(hidden_sizes=[8, 8, 12], neck_hidden_sizes=[8, 8, 8, 16, 16, 16, 24],
                 num_attention_heads=2, expand_ratio=2.0, num_labels=5, num_channels=1,
                 hidden_act="gelu")
    yield _hf("hf_v1", MobileViTForImageClassification,
              MobileViTConfig(image_size=64, **first), (64, 64))
    yield _hf("hf_v1_base_faint", MobileViTModel,
              MobileViTConfig(image_size=64, qkv_bias=False, layer_norm_eps=1e-3, **first),
              (40, 48), weight_scale=0.05)
    second = dict(width_multiplier=0.0625, num_labels=5, num_channels=1, n_attn_blocks=[1, 2, 1])
    yield _hf("hf_v2", MobileViTV2ForImageClassification,
              MobileViTV2Config(image_size=64, **second), (64, 64))
    yield _hf("hf_v2_base_cut", MobileViTV2Model,
              MobileViTV2Config(image_size=64, ffn_multiplier=3, hidden_act="relu", **second),
              (80, 72))
