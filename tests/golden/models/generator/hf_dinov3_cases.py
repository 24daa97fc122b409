"""transformers: DINOv3, whose patches have rotary positions alone."""

import re

import transformers as T

from .hf_cases import LIBRARY, _check_spelling, _Rows
from .recorder import Case

SMALL = dict(hidden_size=16, num_attention_heads=2, num_hidden_layers=1, intermediate_size=20,
             image_size=16, patch_size=4)
TWO = {**SMALL, "num_hidden_layers": 2}


def _older(tensors):
    """The names of files: without the module that holds the blocks."""
    return {re.sub(r"^model\.layer\.", "layer.", name): tensor for name, tensor in tensors.items()}


def _case(name, config, picture=None, attention=False, newer=False, faint=False):
    model = T.DINOv3ViTModel(config)
    model.set_attn_implementation("eager")

    def write_config(folder):
        config.architectures = [type(model).__name__]
        config.save_pretrained(folder)
        T.DINOv3ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder)
        if not newer:
            _check_spelling(model, folder)

    layers = lambda m: list(m.model.layer)
    return Case(
        family="hf_dinov3", name=name, library=LIBRARY, model=model,
        picture=(3, *(picture or (16, 16))), blocks=layers,
        forward=lambda m, x: m(pixel_values=x).pooler_output, to_file=dict if newer else _older,
        attention=(lambda m: [_Rows(layer.attention) for layer in layers(m)]) if attention else None,
        write_config=write_config, metadata={"format": "pt"}, faint=faint)


def cases():
    config = T.DINOv3ViTConfig
    yield _case("registers", config(**TWO, num_register_tokens=4), (12, 20), attention=True)
    yield _case("gated", config(**TWO, num_register_tokens=2, use_gated_mlp=True,
                                hidden_act="silu"), attention=True, faint=True)
    yield _case("key_bias_newer", config(**SMALL, key_bias=True, proj_bias=False, mlp_bias=False,
                                         use_gated_mlp=True, rope_theta=50.0), newer=True)
    yield _case("no_biases", config(**SMALL, query_bias=False, value_bias=False,
                                    hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-6), (20, 12),
                faint=True)
