"""Swin, Swin v2 and S3 of timm, transformers' models, and the names of the original files."""

import re
from pathlib import Path

import timm
import torch
import transformers
from safetensors.torch import save_file
from timm.models._hub import save_config_for_hf
from transformers import (
    SwinConfig, SwinForImageClassification, SwinModel, Swinv2Config, Swinv2ForImageClassification,
    ViTImageProcessor)

from .hf_cases import _check_spelling, _exact_softmax, _older, _Rows
from .recorder import Case, randomise, seeded

transformers.logging.set_verbosity_error()
TIMM = f"timm {timm.__version__}"
TRANSFORMERS = f"transformers {transformers.__version__}"
V1, V2, S3 = "swin_tiny_patch4_window7_224", "swinv2_tiny_window8_256", "swin_s3_tiny_224"


def _build(architecture, **arguments):
    model = timm.create_model(architecture, pretrained=False, **arguments)
    for layer in model.layers:
        for block in layer.blocks:
            block.attn.fused_attn = False
    return model


def _timm(name, architecture, picture=None, to_file=None, config=True, faint=False,
          **arguments):
    model = _build(architecture, **arguments)
    height, width = picture or model.patch_embed.img_size

    def write_config(folder):
        if config:
            save_config_for_hf(model, folder / "config.json", model_args=arguments)

    return Case(
        family="swin", name=name, library=TIMM, model=model,
        picture=(model.in_chans, height, width),
        blocks=lambda m: [block for layer in m.layers for block in layer.blocks],
        stages=lambda m: [*m.layers[:-1], m.norm], to_tokens=lambda x: x.flatten(1, 2),
        attention=lambda m: [block.attn.attn_drop for layer in m.layers for block in layer.blocks],
        to_file=to_file or (lambda tensors: dict(tensors)), write_config=write_config,
        faint=faint)


class _Original:
    """The names of Microsoft's files: a stage ends with its merging. Buffers stand beside them."""

    def __init__(self, architecture, **arguments):
        self.model = _build(architecture, **arguments)
        self.written = False

    def __call__(self, tensors):
        named = {}
        for name, tensor in tensors.items():
            name = re.sub(r"^layers\.(\d+)\.downsample",
                          lambda m: f"layers.{int(m.group(1)) - 1}.downsample", name)
            named[name.replace("head.fc.", "head.")] = tensor
        if not self.written:  # the weights come first, then gradients
            self.written = True
            for index, layer in enumerate(self.model.layers):
                for number, block in enumerate(layer.blocks):
                    path = f"layers.{index}.blocks.{number}."
                    if block.attn_mask is not None:
                        named[path + "attn_mask"] = block.attn_mask
                    for buffer in ("relative_position_index", "relative_coords_table"):
                        if hasattr(block.attn, buffer):
                            named[path + "attn." + buffer] = getattr(block.attn, buffer)
        return named


def _original(name, architecture, **arguments):
    return _timm(name, architecture, to_file=_Original(architecture, **arguments), config=False,
                 **arguments)


OLDER = [
    (r"attention\.([qkv])_proj", lambda m: "attention.self." +
     {"q": "query", "k": "key", "v": "value"}[m.group(1)]),
    (r"attention\.relative_position_bias\.", "attention.self."),
    (r"attention\.o_proj", "attention.output.dense"),
    (r"mlp\.fc1", "intermediate.dense"),
    (r"mlp\.fc2", "output.dense"),
]


def _hf(name, model_class, config, picture=None, older=False, faint=False):
    config._attn_implementation = "eager"
    model = model_class(config)
    first = config.model_type == "swin"
    size = config.image_size
    size = tuple(size) if isinstance(size, (list, tuple)) else (size, size)
    processor = ViTImageProcessor(size={"height": size[0], "width": size[1]})

    def blocks(m):
        base = getattr(m, m.base_model_prefix, m)
        return [block for layer in base.encoder.layers for block in layer.blocks]

    def forward(m, x):
        output = m(x)
        return output.logits if hasattr(output, "logits") else output.pooler_output

    def write_config(folder):
        config.architectures = [model_class.__name__]
        config.save_pretrained(folder)
        processor.save_pretrained(folder)
        if older or not first:
            _check_spelling(model, folder)

    return Case(
        family="swin", name=name, library=TRANSFORMERS, model=model,
        picture=(config.num_channels, *(picture or size)), blocks=blocks,
        forward=_exact_softmax(forward),
        attention=lambda m: [_Rows(b.attention) if first else b.attention.self.dropout
                             for b in blocks(m)],
        to_file=_older(OLDER) if older else lambda tensors: dict(tensors),
        write_config=write_config, metadata={"format": "pt"}, faint=faint)


def cases():
    _write_resized()
    small = dict(img_size=32, embed_dim=8, depths=(2, 1), num_heads=(2, 4), mlp_ratio=2,
                 num_classes=5)
    # Shifted windows at a border; a window as large as the second stage's grid.
    yield _timm("shifted", V1, window_size=4, **small)
    # 9x7 tokens in windows of 4: padded; then 5x4, shifted along one side alone.
    yield _timm("padded", V1, window_size=4, faint=True,
                **{**small, "img_size": (36, 28), "depths": (2, 2)})
    # Windows by stage, one of them not square, one larger than its grid; three stages, no head.
    yield _timm("windows_by_stage", S3, window_size=(4, (2, 4), 7), qkv_bias=False, in_chans=1,
                **{**small, "depths": (2, 2, 1), "num_heads": (2, 2, 4), "num_classes": 0})
    # Pictures of any size; windows are never shrunk.
    yield _timm("any_size", V1, window_size=4, picture=(24, 40), dynamic_img_size=True,
                always_partition=True, **{**small, "depths": (2, 2), "img_size": 16})
    yield _timm("v2_padded", V2, window_size=4, pretrained_window_sizes=(3, 0),
                **{**small, "img_size": (36, 28), "depths": (2, 2)})
    yield _original("original", V1, window_size=4, **small)
    yield _original("original_v2", V2, window_size=4,
                    pretrained_window_sizes=(3, 3), **small)
    shape = dict(embed_dim=8, depths=[2, 2], num_heads=[2, 4], window_size=3, mlp_ratio=2.0,
                 num_labels=5)
    # A picture that is no whole number of patches: 8x7 tokens, padded to windows of 3, rolled after.
    yield _hf("hf", SwinForImageClassification, SwinConfig(
        image_size=32, hidden_act="gelu_new", layer_norm_eps=1e-3, **shape), picture=(30, 27),
        older=True, faint=True)
    yield _hf("hf_base", SwinModel, SwinConfig(image_size=24, qkv_bias=False, num_channels=1,
                                               **{**shape, "depths": [2, 1]}))
    # Windows are chosen for 16 pixels, where the second stage's 2x2 tokens are less than one.
    yield _hf("hf_v2_padded", Swinv2ForImageClassification, Swinv2Config(
        image_size=16, pretrained_window_sizes=[5, 0], layer_norm_eps=1e-3, **shape),
        picture=(30, 22))


def _write_resized():
    """swin/resized: a model of timm, and its answers after set_input_size()."""
    folder = Path(__file__).resolve().parent.parent / "swin" / "resized"
    folder.mkdir(parents=True, exist_ok=True)
    arguments = dict(img_size=32, embed_dim=8, depths=(2, 2), num_heads=(2, 4), window_size=4,
                     num_classes=5, mlp_ratio=2)
    model = _build(V1, **arguments).eval()
    randomise(model, "swin/resized")
    save_file(model.state_dict(), folder / "model.safetensors")
    save_config_for_hf(model, folder / "config.json", model_args=arguments)
    tensors = {}
    for height, width in ((48, 64), (24, 32)):
        model.set_input_size((height, width))
        pixels = torch.randn((2, 3, height, width), generator=seeded("resized", str(height)))
        with torch.no_grad():
            tensors[f"logits.{height}x{width}"] = model.double()(pixels.double()).float()
        tensors[f"input.{height}x{width}"] = pixels
        model = _build(V1, **arguments).eval()
        randomise(model, "swin/resized")
    save_file(tensors, folder / "resized.safetensors")
