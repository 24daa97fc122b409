"""PVT (version 1) of transformers, shrunk."""

import transformers
from transformers import PvtConfig, PvtForImageClassification, PvtImageProcessor, PvtModel

from .hf_cases import _Rows
from .recorder import Case

transformers.logging.set_verbosity_error()


def _case(name, size=32, headless=False, faint=False, **fields):
    fields = {"depths": [1, 2, 1, 1], "layer_norm_eps": 1e-6, **fields}
    config = PvtConfig(image_size=size, hidden_sizes=[8, 8, 16, 16],
                       num_attention_heads=[1, 2, 2, 4], sequence_reduction_ratios=[4, 2, 2, 1],
                       mlp_ratios=[2, 1, 2, 1], num_labels=5, **fields)
    kind = PvtModel if headless else PvtForImageClassification
    model = kind(config)
    blocks = lambda m: [block for stage in getattr(m, "pvt", m).encoder.block for block in stage]

    def forward(m, x):
        output = m(x, output_attentions=True)
        return output.last_hidden_state[:, 0] if headless else output.logits

    def write_config(folder):
        config.architectures = [kind.__name__]
        config.save_pretrained(folder)
        PvtImageProcessor(size={"height": size, "width": size}).save_pretrained(folder)

    return Case(
        family="pvt", name=name, library=f"transformers {transformers.__version__}", model=model,
        picture=(config.num_channels, size, size), blocks=blocks, forward=forward,
        attention=lambda m: [_Rows(block.attention.self) for block in blocks(m)],
        write_config=write_config, metadata={"format": "pt"}, faint=faint)


def cases():
    yield _case("hf", faint=True, layer_norm_eps=1e-4)
    yield _case("hf_another_size", size=40, qkv_bias=False, hidden_act="relu", num_channels=1)
    yield _case("hf_base", headless=True)
