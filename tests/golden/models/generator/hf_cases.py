"""transformers: ViT, DeiT, DINOv2 with and without registers, in both spellings of their names."""

import re
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file
from torch import nn
from transformers import (
    BitImageProcessor, DeiTConfig, DeiTForImageClassification,
    DeiTForImageClassificationWithTeacher, DeiTImageProcessor, DeiTModel, Dinov2Config,
    Dinov2ForImageClassification, Dinov2Model, Dinov2WithRegistersConfig,
    Dinov2WithRegistersForImageClassification, Dinov2WithRegistersModel, ViTConfig,
    ViTForImageClassification, ViTImageProcessor, ViTModel)

from .pairwise import pairwise
from .recorder import Case, depth_of

transformers.logging.set_verbosity_error()
LIBRARY = f"transformers {transformers.__version__}"

# Files carry the older names (save_pretrained turns them back); in memory they are the newer ones.
OLDER_VIT = [
    (r"(^|\.)layers\.(\d+)\.", r"\1encoder.layer.\2."),
    (r"attention\.q_proj", "attention.attention.query"),
    (r"attention\.k_proj", "attention.attention.key"),
    (r"attention\.v_proj", "attention.attention.value"),
    (r"attention\.o_proj", "attention.output.dense"),
    (r"mlp\.fc1", "intermediate.dense"),
    (r"mlp\.fc2", "output.dense"),
]
OLDER_DINOV2 = OLDER_VIT[1:5] + [(r"mlp\.down_proj", "mlp.weights_out")]


def _older(rules):
    def to_file(tensors):
        named = {}
        for name, tensor in tensors.items():
            if "mlp.up_proj" in name:
                continue
            if "mlp.gate_proj" in name:  # one tensor in the file: gate above up
                tensor = torch.cat([tensor, tensors[name.replace("gate_proj", "up_proj")]])
                name = name.replace("gate_proj", "weights_in")
            for pattern, replacement in rules:
                name = re.sub(pattern, replacement, name)
            named[name] = tensor
        return named

    return to_file


def _check_spelling(model, folder):
    """The library's own writer must name and shape every tensor as the golden does."""
    with tempfile.TemporaryDirectory() as scratch:
        model.save_pretrained(scratch)
        theirs = load_file(Path(scratch) / "model.safetensors")
    ours = load_file(folder / "model.safetensors")
    assert theirs.keys() == ours.keys(), theirs.keys() ^ ours.keys()
    for name, tensor in theirs.items():
        assert torch.equal(tensor, ours[name]), name


def _exact_softmax(forward):
    """ViT asks for a float32 softmax whatever the dtype; a float64 run must not be cut short."""
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


def _base(model):
    return getattr(model, model.base_model_prefix, model)


def _layers(model):
    base = _base(model)
    return list(base.layers if hasattr(base, "layers") else base.encoder.layer)


def _case(name, model_class, config, processor, spelling, picture=None, attention=False,
          interpolate=False, faint=False, **model_arguments):
    config._attn_implementation = "eager"
    model = model_class(config, **model_arguments)
    size = config.image_size
    size = tuple(size) if isinstance(size, (list, tuple)) else (size, size)
    extra = {"interpolate_pos_encoding": True} if interpolate else {}

    def forward(m, x):
        output = m(x, **extra)
        return output.logits if hasattr(output, "logits") else output.last_hidden_state[:, 0]

    def write_config(folder):
        config.architectures = [model_class.__name__]
        config.save_pretrained(folder)
        processor.save_pretrained(folder)
        if spelling == "older":
            _check_spelling(model, folder)

    rules = OLDER_DINOV2 if "dinov2" in config.model_type else OLDER_VIT
    return Case(
        family="hf", name=name, library=LIBRARY, model=model,
        picture=(config.num_channels, *(picture or size)), blocks=_layers,
        forward=_exact_softmax(forward),
        to_file=_older(rules) if spelling == "older" else lambda tensors: dict(tensors),
        attention=(lambda m: [_Rows(layer.attention) for layer in _layers(m)]) if attention else None,
        write_config=write_config, metadata={"format": "pt"}, faint=faint)


class _Rows:
    """Presents an attention module's second output, the rows, where a hook sees the first."""

    def __init__(self, module):
        self.module = module

    def register_forward_hook(self, hook):
        return self.module.register_forward_hook(lambda m, i, output: hook(m, i, output[1]))


SIZES = {  # image_size, patch_size, picture shown
    "square": (16, 4, None),
    "rectangle": ([8, 16], 4, None),
    "patch_8x4": (16, [8, 4], None),
    "larger": (8, 4, (12, 20)),
    "smaller": (16, 4, (12, 12)),
}
WIDTHS = {"three": (12, 3), "two": (8, 2), "one": (10, 1)}  # hidden_size, heads

VIT_FACTORS = {
    "kind": ["vit", "vit_base", "deit", "deit_teacher"],
    "size": ["rectangle", "patch_8x4", "larger", "smaller"],
    "width": list(WIDTHS),
    "hidden_act": ["gelu", "gelu_new", "quick_gelu", "relu", "silu"],
    "qkv_bias": [True, False],
    "num_channels": [3, 1],
    "layer_norm_eps": [1e-12, 1e-5],
    "spelling": ["older", "newer"],
}
VIT_CLASSES = {
    "vit": (ViTForImageClassification, {}),
    "vit_base": (ViTModel, {"add_pooling_layer": False}),
    "vit_pooler": (ViTModel, {}),
    "deit": (DeiTForImageClassification, {}),
    "deit_teacher": (DeiTForImageClassificationWithTeacher, {}),
    "deit_base": (DeiTModel, {"add_pooling_layer": False}),
}


def _vit_cases():
    rows = pairwise(VIT_FACTORS, lambda _: True, seed=2)
    plain = {name: values[0] for name, values in VIT_FACTORS.items()}
    rows += [{**plain, "kind": "vit_pooler"}, {**plain, "kind": "deit_base"}]
    for index, row in enumerate(rows):
        image_size, patch_size, picture = SIZES[row["size"]]
        hidden_size, heads = WIDTHS[row["width"]]
        model_class, arguments = VIT_CLASSES[row["kind"]]
        deit = row["kind"].startswith("deit")
        config = (DeiTConfig if deit else ViTConfig)(
            hidden_size=hidden_size, num_attention_heads=heads, num_hidden_layers=depth_of(index),
            intermediate_size=2 * hidden_size + 2, image_size=image_size, patch_size=patch_size,
            num_labels=5,
            **{k: row[k] for k in ("hidden_act", "qkv_bias", "num_channels", "layer_norm_eps")})
        processor = (DeiTImageProcessor if deit else ViTImageProcessor)(
            **({"crop_size": {"height": 16, "width": 16}, "size": {"height": 18, "width": 18}}
               if deit else {"size": {"height": 16, "width": 16}}))
        yield _case(f"{row['kind']}_{index:02d}", model_class, config, processor, row["spelling"],
                    picture, attention=index % 4 == 0, interpolate=picture is not None,
                    faint=index % 3 == 1, **arguments)


DINOV2_FACTORS = {
    "registers": [0, 4],
    "head": [True, False],
    "use_swiglu_ffn": [False, True],
    "size": ["square", "larger", "smaller"],
    "width": list(WIDTHS),
    "hidden_act": ["gelu", "gelu_pytorch_tanh"],
    "qkv_bias": [True, False],
    "layer_norm_eps": [1e-6, 1e-5],
    "spelling": ["older", "newer"],
}
DINOV2_CLASSES = {
    (0, True): Dinov2ForImageClassification,
    (0, False): Dinov2Model,
    (4, True): Dinov2WithRegistersForImageClassification,
    (4, False): Dinov2WithRegistersModel,
}


def _dinov2_cases():
    processor = BitImageProcessor(
        size={"shortest_edge": 18}, crop_size={"height": 16, "width": 16},
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
    for index, row in enumerate(pairwise(DINOV2_FACTORS, lambda _: True, seed=3)):
        image_size, patch_size, picture = SIZES[row["size"]]
        hidden_size, heads = WIDTHS[row["width"]]
        arguments = dict(
            hidden_size=hidden_size, num_attention_heads=heads, num_hidden_layers=depth_of(index),
            mlp_ratio=2, image_size=image_size, patch_size=patch_size, num_labels=5,
            **{k: row[k] for k in ("hidden_act", "qkv_bias", "layer_norm_eps", "use_swiglu_ffn")})
        if row["registers"]:
            config = Dinov2WithRegistersConfig(num_register_tokens=row["registers"], **arguments)
        else:
            config = Dinov2Config(use_mask_token=index % 2 == 0, **arguments)
        name = "dinov2_registers" if row["registers"] else "dinov2"
        yield _case(f"{name}_{index:02d}", DINOV2_CLASSES[row["registers"], row["head"]], config,
                    processor, row["spelling"], picture, attention=index % 4 == 0,
                    faint=index % 3 == 1)


def cases():
    yield from _vit_cases()
    yield from _dinov2_cases()
