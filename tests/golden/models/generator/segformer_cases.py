"""SegFormer's encoder of transformers, shrunk, in both spellings of its names."""

import re

import transformers
from transformers import (SegformerConfig, SegformerForImageClassification, SegformerImageProcessor,
                          SegformerModel)

from .hf_cases import _Rows, _check_spelling, _exact_softmax
from .recorder import Case

transformers.logging.set_verbosity_error()

# Files carry the older names (save_pretrained turns them back); in memory they are the newer ones.
OLDER = [
    (r"stages\.(\d+)\.patch_embeddings\.", r"encoder.patch_embeddings.\1."),
    (r"stages\.(\d+)\.blocks\.(\d+)\.", r"encoder.block.\1.\2."),
    (r"stages\.(\d+)\.layer_norm", r"encoder.layer_norm.\1"),
    (r"attention\.sequence_reduction\.sequence_reduction", "attention.self.sr"),
    (r"attention\.sequence_reduction\.layer_norm", "attention.self.layer_norm"),
    (r"attention\.q_proj", "attention.self.query"),
    (r"attention\.k_proj", "attention.self.key"),
    (r"attention\.v_proj", "attention.self.value"),
    (r"attention\.o_proj", "attention.output.dense"),
    (r"layernorm_before", "layer_norm_1"),
    (r"layernorm_after", "layer_norm_2"),
    (r"mlp\.fc1", "mlp.dense1"),
    (r"mlp\.fc2", "mlp.dense2"),
]


def _older(tensors):
    named = {}
    for name, tensor in tensors.items():
        for pattern, replacement in OLDER:
            name = re.sub(pattern, replacement, name)
        named[name] = tensor
    return named


def _case(name, picture=(32, 32), headless=False, newer=False, faint=False, **fields):
    fields = {"depths": [1, 2, 1, 1], "sr_ratios": [4, 2, 1, 1], "mlp_ratios": [2, 1, 2, 1], **fields}
    config = SegformerConfig(hidden_sizes=[8, 8, 16, 16], num_attention_heads=[1, 2, 2, 4],
                             num_labels=5, **fields)
    config._attn_implementation = "eager"
    kind = SegformerModel if headless else SegformerForImageClassification
    model = kind(config)
    blocks = lambda m: [block for stage in getattr(m, "segformer", m).stages
                        for block in stage.blocks]

    def forward(m, x):
        output = m(x)
        return output.last_hidden_state.mean((2, 3)) if headless else output.logits

    def write_config(folder):
        config.architectures = [kind.__name__]
        config.save_pretrained(folder)
        SegformerImageProcessor(size={"height": picture[0], "width": picture[1]}
                                ).save_pretrained(folder)
        if not newer:
            _check_spelling(model, folder)

    return Case(
        family="segformer", name=name, library=f"transformers {transformers.__version__}",
        model=model, picture=(config.num_channels, *picture), blocks=blocks,
        stages=lambda m: list(getattr(m, "segformer", m).stages),
        to_tokens=lambda output: output.flatten(2).transpose(1, 2) if output.dim() == 4 else output,
        forward=_exact_softmax(forward),
        attention=lambda m: [_Rows(block.attention) for block in blocks(m)],
        to_file=(lambda tensors: dict(tensors)) if newer else _older,
        write_config=write_config, metadata={"format": "pt"}, faint=faint)


def cases():
    yield _case("hf", faint=True)
    yield _case("hf_newer_names", picture=(36, 44), newer=True, hidden_act="relu",
                sr_ratios=[3, 2, 2, 1])
    yield _case("hf_base", headless=True, num_channels=1, layer_norm_eps=0.5)
    yield _case("hf_other_patches", patch_sizes=[5, 3, 1, 3], strides=[2, 3, 1, 2],
                depths=[1, 1, 1, 1])
