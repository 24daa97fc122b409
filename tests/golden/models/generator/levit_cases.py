"""LeViT by timm (projections as matrices and as convolutions) and by transformers, shrunk."""

import timm
import transformers
from timm.models._hub import save_config_for_hf
from transformers import (
    LevitConfig, LevitForImageClassification, LevitForImageClassificationWithTeacher,
    LevitImageProcessor, LevitModel)

from .recorder import Case

transformers.logging.set_verbosity_error()


def _fresh(forward):
    """Both libraries keep the biases of a forward pass that is not training for the next one."""

    def clear(model):
        for module in model.modules():
            if hasattr(module, "attention_bias_cache"):
                module.attention_bias_cache = {}

    def run(model, x):
        clear(model)
        try:
            return forward(model, x)
        finally:
            clear(model)

    return run


def _tokens(output):
    """[B, C, H, W] of the convolutional definitions as [B, N, D]."""
    return output.flatten(2).transpose(1, 2) if output.dim() == 4 else output


def _timm(name, architecture, picture, faint=False, **arguments):
    model = timm.create_model(architecture, pretrained=False, **arguments)
    return Case(
        family="levit", name=name, library=f"timm {timm.__version__}", model=model,
        picture=(arguments.get("in_chans", 3), *picture),
        blocks=lambda m: [block for stage in m.stages for block in stage.blocks],
        stages=lambda m: list(m.stages), to_tokens=_tokens, forward=_fresh(lambda m, x: m(x)),
        write_config=lambda folder: save_config_for_hf(
            model, folder / "config.json", model_args=arguments),
        faint=faint)


def _hf(name, model_class, size, labels=5, **arguments):
    config = LevitConfig(image_size=size, num_labels=labels, **arguments)
    model = model_class(config)

    def forward(m, x):
        output = m(x)
        return output.logits if hasattr(output, "logits") else output.pooler_output

    def blocks(m):
        encoder = getattr(m, "levit", m).encoder
        return [stage.layers[2 * j + 1]
                for stage, depth in zip(encoder.stages, config.depths) for j in range(depth)]

    def write_config(folder):
        config.architectures = [model_class.__name__]
        config.save_pretrained(folder)
        LevitImageProcessor(size={"shortest_edge": size},
                            crop_size={"height": size, "width": size}).save_pretrained(folder)

    return Case(
        family="levit", name=name, library=f"transformers {transformers.__version__}", model=model,
        picture=(config.num_channels, size, size), blocks=blocks, forward=_fresh(forward),
        write_config=write_config, metadata={"format": "pt"})


def cases():
    small = dict(embed_dim=[8, 10, 12], key_dim=4, num_heads=[1, 2, 3], depth=[1, 1, 1],
                 num_classes=5)
    yield _timm("timm_128s", "levit_128s", (64, 64), img_size=64, **small)
    yield _timm("timm_conv_rectangle", "levit_conv_128", (48, 80), img_size=[48, 80], in_chans=1,
                **small)
    # One head, another activation before the projections, values as wide as keys, a short stem.
    yield _timm("timm_256d", "levit_256d", (40, 40), faint=True, img_size=40, stem_type="s8",
                attn_act_layer="relu", attn_ratio=[1.0, 3.0, 0.5], mlp_ratio=3.0, **small)
    yield _timm("timm_no_head", "levit_conv_384_s8", (24, 24), img_size=24,
                **{**small, "num_classes": 0, "embed_dim": [8, 12], "num_heads": 2,
                   "depth": [1, 1]})
    smaller = dict(hidden_sizes=[8, 10, 12], num_attention_heads=[1, 2, 3], depths=[2, 1, 1],
                   key_dim=[4, 4, 4])
    yield _hf("hf", LevitForImageClassification, 48, **smaller)
    yield _hf("hf_teacher", LevitForImageClassificationWithTeacher, 48,
              **{**smaller, "attention_ratio": [3, 2, 4], "mlp_ratio": [2, 3, 1]})
    yield _hf("hf_base", LevitModel, 32, **{**smaller, "depths": [1, 1, 1], "key_dim": [4, 8, 2]})
