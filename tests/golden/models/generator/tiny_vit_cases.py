"""timm's TinyViT, shrunk: windows that divide the grid, that are padded, and one that is the grid."""

import re

import timm
from timm.models._hub import save_config_for_hf

from .recorder import Case
from .softmax_rows import watch, watched, watching

SMALL = dict(embed_dims=(8, 8, 16, 16), depths=(1, 1, 2, 1), num_heads=(1, 1, 2, 4),
             window_sizes=(2, 2, 3, 2), mlp_ratio=2.0, mbconv_expand_ratio=2.0, num_classes=5)


class _Block:
    """A block's output [B, H, W, D] as tokens."""

    def __init__(self, module):
        self.module = module

    def register_forward_hook(self, hook):
        return self.module.register_forward_hook(
            lambda m, i, output: hook(m, i, output.flatten(1, 2)))


def _tokens(output):
    """The convolutional blocks and the stages give [B, D, H, W]."""
    return output.flatten(2).transpose(1, 2) if output.dim() == 4 else output


def _case(name, picture, weight_scale=1.0, **arguments):
    arguments = {**SMALL, **arguments}
    model = timm.create_model("tiny_vit_5m_224", pretrained=False, **arguments)
    attentions = [block.attn for stage in list(model.stages)[1:] for block in stage.blocks]
    for layer in attentions:
        layer.fused_attn = False
    watch(attentions)
    return Case(
        family="tiny_vit", name=name, library=f"timm {timm.__version__}", model=model,
        picture=(arguments.get("in_chans", 3), *picture),
        blocks=lambda m: [*m.stages[0].blocks,
                          *(_Block(b) for s in list(m.stages)[1:] for b in s.blocks)],
        stages=lambda m: list(m.stages), to_tokens=_tokens, attention=watched,
        forward=watching(lambda m, x: m(x)), weight_scale=weight_scale,
        write_config=lambda folder: save_config_for_hf(
            model, folder / "config.json", model_args=arguments))


CREAM = [(r"^patch_embed\.conv1", "patch_embed.seq.0"), (r"^patch_embed\.conv2", "patch_embed.seq.2"),
         (r"\.conv\.weight", ".c.weight"), (r"^head\.norm", "norm_head"), (r"^head\.fc", "head"),
         (r"^stages\.", "layers.")]


def _original(name, picture):
    """The names of microsoft/Cream, of timm's model."""
    case = _case(name, picture)

    def to_file(tensors):
        named = {}
        for name, tensor in tensors.items():
            name = re.sub(r"^stages\.(\d+)\.downsample",
                          lambda m: f"stages.{int(m[1]) - 1}.downsample", name)
            for pattern, replacement in CREAM:
                name = re.sub(pattern, replacement, name)
            named[name] = tensor
        return named

    case.to_file = to_file
    case.write_config = lambda folder: None
    case.settings = {"image_height": str(picture[0]), "image_width": str(picture[1])}
    return case


def cases():
    yield _case("padded", (32, 32))
    yield _case("one_window", (48, 48), in_chans=1)
    yield _case("uneven", (44, 36), local_conv_size=5, mlp_ratio=1.5, in_chans=1)
    yield _original("original", (32, 32))
    yield _case("no_head_faint", (32, 28), num_classes=0, weight_scale=0.05)
