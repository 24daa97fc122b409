"""Hiera: timm's definitions shrunk and their options, transformers' models, Meta's own names.

The libraries keep tokens unrolled, so that mask units are contiguous; blocks and attention rows are
stored in the order of the grid, window by window.
"""

import timm
import torch
import transformers
from timm.models._hub import save_config_for_hf
from timm.models.hiera import Reroll
from torch import nn
from transformers import BitImageProcessor, HieraConfig, HieraForImageClassification, HieraModel

from .recorder import Case

TIMM = f"timm {timm.__version__}"
TRANSFORMERS = f"transformers {transformers.__version__}"


class Unrolled:
    """Where the tokens of each block stand: the inverse of the library's unrolling."""

    def __init__(self, picture, stride, depths, pools):
        ends = [sum(depths[:i]) - 1 for i in range(1, len(depths) + 1)]
        self.ends = ends
        self.reroll = Reroll(picture, (stride, stride), [(2, 2)] * (len(depths) - 1), ends, pools)

    def tokens(self, output, block):
        return self.reroll(output, block).flatten(1, 2)

    def windows(self, block, tokens, count):
        """Of each token of each square, row by row, its place in the unrolled sequence."""
        grid = self.reroll(torch.arange(tokens).view(1, tokens, 1), block)[0, :, :, 0]
        side = round((tokens / count) ** 0.5) if count > 1 else None
        if side is None:
            return grid.reshape(1, tokens)
        height, width = grid.shape
        squares = grid.view(height // side, side, width // side, side).permute(0, 2, 1, 3)
        return squares.reshape(count, side * side)

    def rows(self, rows, block):
        """[B, heads, (windows,) queries, keys], windows outermost of a token's place."""
        if rows.dim() == 4:
            rows = rows.unsqueeze(2)
        batch, heads, count, queries, keys = rows.shape
        to = self.windows(max(block - 1, 0), count * keys, count)
        of = self.windows(block, count * queries, count)
        out = torch.empty(batch, count, heads, queries, keys, dtype=rows.dtype)
        for window in range(count):
            q, k = of[window], to[window]
            assert (q % count == q[0] % count).all() and (k % count == q[0] % count).all()
            part = rows[:, :, int(q[0] % count)]
            out[:, window] = part[:, :, q // count][:, :, :, k // count]
        return out.flatten(0, 1)


class Seen:
    """Presents a module's output as `change` makes it."""

    def __init__(self, module, change):
        self.module, self.change = module, change

    def register_forward_hook(self, hook):
        return self.module.register_forward_hook(
            lambda m, i, output: hook(m, i, self.change(output[0] if isinstance(output, tuple)
                                                        else output)))


class Rows:
    """Presents the softmax inside an attention module, which is no module of its own."""

    def __init__(self, module, change):
        self.module, self.change = module, change

    def register_forward_hook(self, hook):
        softmax, seen = torch.Tensor.softmax, []

        def record(x, *arguments, **named):
            seen.append(softmax(x, *arguments, **named))
            return seen[-1]

        def before(_module, _inputs):
            torch.Tensor.softmax = record

        def after(module, inputs, _output):
            torch.Tensor.softmax = softmax
            hook(module, inputs, self.change(seen.pop()))

        handles = [self.module.register_forward_pre_hook(before),
                   self.module.register_forward_hook(after)]

        class Both:
            def remove(self):
                for handle in handles:
                    handle.remove()

        return Both()


def _seen(unrolled, blocks, indices=None):
    return [Seen(blocks[i], lambda output, i=i: unrolled.tokens(output, i))
            for i in (range(len(blocks)) if indices is None else indices)]


def _timm(name, architecture, attention=False, faint=False, library=TIMM, **arguments):
    model = timm.create_model(architecture, pretrained=False, **arguments)
    for block in model.blocks:
        block.attn.fused_attn = False
    depths = [b - a for a, b in zip([-1, *model.stage_ends], model.stage_ends)]
    unrolled = Unrolled(arguments["img_size"], 4, depths, model.q_pool)

    def write_config(folder):
        save_config_for_hf(model, folder / "config.json", model_args=arguments)

    return Case(
        family="hiera", name=name, library=library, model=model,
        picture=(3, *arguments["img_size"]),
        blocks=lambda m: _seen(unrolled, m.blocks),
        stages=lambda m: _seen(unrolled, m.blocks, unrolled.ends),
        attention=(lambda m: [Rows(b.attn, lambda rows, i=i: unrolled.rows(rows, i))
                              for i, b in enumerate(m.blocks)]) if attention else None,
        write_config=write_config, faint=faint)


def _hf(name, model_class, picture=None, attention=False, faint=False, **fields):
    config = HieraConfig(num_labels=5, **fields)
    model = model_class(config)
    size = picture or tuple(config.image_size)
    unrolled = Unrolled(size, 4, config.depths, config.num_query_pool)
    extra = {"interpolate_pos_encoding": True} if picture else {}

    def layers(m):
        encoder = (m.hiera if hasattr(m, "hiera") else m).encoder
        return [layer for stage in encoder.stages for layer in stage.layers]

    def forward(m, x):
        output = m(x, **extra)
        return output.logits if hasattr(output, "logits") else output.pooler_output

    def write_config(folder):
        config.architectures = [model_class.__name__]
        config.save_pretrained(folder)
        BitImageProcessor(size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32},
                          image_mean=[0.485, 0.456, 0.406],
                          image_std=[0.229, 0.224, 0.225]).save_pretrained(folder)

    return Case(
        family="hiera", name=name, library=TRANSFORMERS, model=model, picture=(3, *size),
        blocks=lambda m: _seen(unrolled, layers(m)),
        stages=lambda m: _seen(unrolled, layers(m), unrolled.ends), forward=forward,
        attention=(lambda m: [Rows(layer.attn, lambda rows, i=i: unrolled.rows(rows, i))
                              for i, layer in enumerate(layers(m))]) if attention else None,
        write_config=write_config, metadata={"format": "pt"}, faint=faint)


def _original(name, **arguments):
    """The names of Meta's files, which stand alone."""
    case = _timm(name, "hiera_base_224", library=f"{TIMM}, in the original's names", **arguments)

    def to_file(tensors):
        return {n.replace("head.norm.", "norm.").replace("head.fc.", "head.projection."): t
                for n, t in tensors.items()}

    stages = len(arguments["stages"])

    def words(values):
        return ",".join(str(v) for v in values)

    case.to_file = to_file
    case.write_config = lambda folder: None
    case.settings = {
        "architecture": "hiera_base_224", "depths": words(arguments["stages"]),
        "embed_dims": words(arguments["embed_dim"] * 2**i for i in range(stages)),
        "num_heads": words(2**i for i in range(stages)),
        "mlp_ratio": str(arguments["mlp_ratio"]),
        "mask_unit_attention": words(int(a) for a in arguments["mask_unit_attn"]),
        "mask_unit": str(arguments["mask_unit_size"][0]), "query_pools": str(arguments["q_pool"]),
        "image_height": str(arguments["img_size"][0]),
        "image_width": str(arguments["img_size"][1])}
    return case


def cases():
    three = dict(embed_dim=4, num_heads=1, stages=(1, 2, 1), q_pool=2, mask_unit_size=(4, 4),
                 mlp_ratio=2.0, num_classes=5)
    yield _timm("timm_base", "hiera_base_224", img_size=(64, 32), embed_dim=3, num_heads=1,
                stages=(1, 2, 2, 1), mlp_ratio=2.0, num_classes=5)
    yield _timm("timm_abswin", "hiera_small_abswin_256", attention=True, img_size=(32, 48),
                global_pos_size=(3, 5), mask_unit_attn=(True, False, False), **three)
    yield _timm("timm_no_head", "hiera_base_abswin_256", faint=True, img_size=(32, 32),
                global_pos_size=(8, 8), mask_unit_attn=(True, True, False),
                **{**three, "num_classes": 0})
    # A stage that pools nothing, behind global attention; widths and heads of their own.
    yield _timm("timm_one_pool", "hiera_tiny_224", img_size=(16, 32), attention=True,
                mask_unit_attn=(False, True, True), dim_mul=1.5, head_mul=1.0,
                **{**three, "embed_dim": 8, "num_heads": 2, "q_pool": 1})
    fields = dict(embed_dim=4, image_size=[32, 32], depths=[1, 2, 1], num_heads=[1, 2, 4],
                  num_query_pool=2, masked_unit_size=[4, 4], mlp_ratio=2.0,
                  masked_unit_attention=[True, True, False])
    yield _hf("hf_classifier", HieraForImageClassification, attention=True, faint=True, **fields)
    yield _hf("hf_larger", HieraModel, picture=(48, 64), hidden_act="quick_gelu",
              layer_norm_eps=1e-5, **fields)
    yield _original("original", img_size=(32, 32), mask_unit_attn=(True, True, False), **three)
