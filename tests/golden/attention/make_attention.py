"""Writes the .safetensors files beside itself: attention with positions, windows and norms, as timm
and transformers compute it in float64.

A file holds x [B, N, D], the answer, the softmax's weights by sequence (rows), a seed of the
gradient and the gradients of x and of all parameters. Parameters have Vitrail's names.

Needs torch, timm, transformers and safetensors; the tests need none of them.
"""
import pathlib

import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent


class Weights:
    """The softmax's output, caught on its way to a module."""

    def __init__(self, module):
        self.rows = None
        module.register_forward_hook(lambda _, inputs, output: setattr(self, "rows", output))


def draw(module):
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for _, parameter in sorted(module.named_parameters()):
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.5)
    return module


def numbers(shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def write(name, run, x, parameters, rows):
    """run(x) gives the answer, parameters our names and theirs (several are joined), rows() the
    weights. A gradient that the library does not have is NaN."""
    x.requires_grad_(True)
    answer = run(x)
    seed = numbers(answer.shape, 99)
    (answer * seed).sum().backward()
    tensors = {"x": x, "answer": answer, "seed": seed, "grad.x": x.grad}
    if rows is not None:
        tensors["rows"] = rows()
    for path, parts in parameters.items():
        parts = parts if isinstance(parts, (list, tuple)) else [parts]
        tensors["param." + path] = torch.cat([p.detach() for p in parts])
        if any(p.grad is not None for p in parts):
            tensors["grad." + path] = torch.cat(
                [torch.full_like(p, float("nan")) if p.grad is None else p.grad for p in parts])
    save_file({k: v.detach().float().contiguous() for k, v in tensors.items()},
              HERE / f"{name}.safetensors")
    print(name, tuple(answer.shape))


def separate_bias(attention, learns_key=True):
    """timm's q_bias, k_bias (a buffer of zeros) and v_bias as one. Cosine attention divides a key of
    zeros by 1e-12, which would drown all other gradients: there the key's bias has none."""
    attention.k_bias.requires_grad_(learns_key)
    return [attention.q_bias, attention.k_bias, attention.v_bias]


def projection(attention):
    return {"attn.proj.weight": attention.proj.weight, "attn.proj.bias": attention.proj.bias}


def timm_swin():
    from timm.models.swin_transformer import SwinTransformerBlock
    for name, shift in (("swin_timm", 0), ("swin_timm_shifted", 2)):
        block = draw(SwinTransformerBlock(12, (7, 9), num_heads=3, window_size=4, shift_size=shift,
                                          always_partition=True, dynamic_mask=True).double())
        block.attn.fused_attn = False
        weights = Weights(block.attn.softmax)
        write(name, lambda x: block._attn(x.view(2, 7, 9, 12)).reshape(2, 63, 12),
              numbers((2, 63, 12), 1),
              {"attn.qkv.weight": block.attn.qkv.weight, "attn.qkv.bias": block.attn.qkv.bias,
               "attn.relative_position_bias_table": block.attn.relative_position_bias_table,
               **projection(block.attn)}, lambda: weights.rows)


def timm_swin_v2():
    from timm.models.swin_transformer_v2 import SwinTransformerV2Block
    block = draw(SwinTransformerV2Block(12, (7, 9), num_heads=3, window_size=4, shift_size=2,
                                        always_partition=True, dynamic_mask=True).double())
    attention = block.attn
    with torch.no_grad():  # one head beyond the clamp
        attention.logit_scale.copy_(torch.tensor([1.0, 3.0, 5.0], dtype=torch.float64).view(3, 1, 1))
    weights = Weights(attention.softmax)
    bias = separate_bias(attention, learns_key=False)
    table = 16 * torch.sigmoid(attention.cpb_mlp(attention.relative_coords_table.double())).view(-1, 3)
    write("swinv2_timm_shifted", lambda x: block._attn(x.view(2, 7, 9, 12)).reshape(2, 63, 12),
          numbers((2, 63, 12), 1),
          {"attn.qkv.weight": attention.qkv.weight, "attn.qkv.bias": bias,
           "attn.logit_scale": attention.logit_scale,
           "attn.relative_position_bias_table": table.detach(), **projection(attention)},
          lambda: weights.rows)


def transformers_swin():
    from transformers import SwinConfig
    from transformers.models.swin.modeling_swin import SwinLayer
    config = SwinConfig(window_size=4, qkv_bias=True)
    config._attn_implementation = "eager"
    layer = draw(SwinLayer(config, 12, (7, 9), 3, shift_size=2).double().eval())
    layer.layernorm_before = torch.nn.Identity()
    caught = {}
    attention = layer.attention
    attention.register_forward_hook(lambda _, i, output: caught.update(rows=output[1]))
    with torch.no_grad():  # no MLP: the layer's answer is x + attention
        for parameter in layer.mlp.parameters():
            parameter.zero_()
    named = dict(attention.named_parameters())

    def part(*words):
        found = [p for n, p in named.items() if all(w in n for w in words)]
        assert len(found) == 1, (words, list(named))
        return found[0]

    out = [n.rsplit(".", 1)[0] for n in named if n.endswith("weight")
           and not any(w in n for w in ("q_proj", "k_proj", "v_proj", "query", "key", "value"))]
    assert len(out) == 1, out
    keys = ("q_proj", "k_proj", "v_proj") if any("q_proj" in n for n in named) else ("query", "key", "value")
    write("swin_transformers_shifted", lambda x: layer(x, (7, 9))[0] - x, numbers((2, 63, 12), 1),
          {"attn.qkv.weight": [part(k, "weight") for k in keys],
           "attn.qkv.bias": [part(k, "bias") for k in keys],
           "attn.relative_position_bias_table": part("relative_position_bias_table"),
           "attn.proj.weight": named[out[0] + ".weight"], "attn.proj.bias": named[out[0] + ".bias"]},
          lambda: caught["rows"])


def beit():
    from timm.models.beit import Attention
    attention = draw(Attention(8, num_heads=2, qkv_bias=True, window_size=(3, 4)).double())
    attention.fused_attn = False
    weights = Weights(attention.attn_drop)
    write("beit_timm", attention, numbers((2, 13, 8), 1),
          {"attn.qkv.weight": attention.qkv.weight, "attn.qkv.bias": separate_bias(attention),
           "attn.relative_position_bias_table": attention.relative_position_bias_table,
           **projection(attention)}, lambda: weights.rows)

    # A grid of 5x3 with the table of 4x4, by transformers' rule.
    from transformers import BeitConfig
    from transformers.models.beit.modeling_beit import BeitRelativePositionBias
    positions = draw(BeitRelativePositionBias(
        BeitConfig(image_size=4, patch_size=1, num_attention_heads=2, hidden_size=8)).double())
    attention = draw(Attention(8, num_heads=2, qkv_bias=True).double())
    attention.fused_attn = False
    weights = Weights(attention.attn_drop)

    def run(x):
        bias = positions((5, 3))
        return attention(x, shared_rel_pos_bias=bias.reshape(1, 2, 16, 16))

    write("beit_transformers_resized", run, numbers((2, 16, 8), 1),
          {"attn.qkv.weight": attention.qkv.weight, "attn.qkv.bias": separate_bias(attention),
           "attn.relative_position_bias_table": positions.relative_position_bias_table,
           **projection(attention)}, lambda: weights.rows)


def resized_tables():
    from timm.layers.pos_embed_rel import resize_rel_pos_bias_table, resize_rel_pos_bias_table_simple
    tensors = {}
    for name, (old, new, more) in {"grown": ((4, 4), (7, 7), 3), "shrunk": ((6, 6), (3, 3), 0),
                                   "turned": ((4, 4), (6, 3), 3)}.items():
        table = numbers(((2 * old[0] - 1) * (2 * old[1] - 1) + more, 2), 3).float()
        shape = ((2 * new[0] - 1) * (2 * new[1] - 1) + more, 2)
        tensors[f"{name}.table"] = table
        tensors[f"{name}.geometric"] = resize_rel_pos_bias_table(table, new, shape, old)
        tensors[f"{name}.bicubic"] = resize_rel_pos_bias_table_simple(table, new, shape)
    save_file({k: v.contiguous() for k, v in tensors.items()}, HERE / "resized_tables.safetensors")


def eva(name, attention, rope, shape, more):
    attention.fused_attn = False
    weights = Weights(attention.attn_drop)
    write(name, lambda x: attention(x, rope=rope()), numbers(shape, 1),
          {"attn.qkv.weight": attention.qkv.weight, "attn.qkv.bias": separate_bias(attention),
           **more(attention), **projection(attention)}, lambda: weights.rows)


def norms(attention):
    out = {f"attn.{n}.{p}": getattr(getattr(attention, n), p)
           for n in ("q_norm", "k_norm") for p in ("weight", "bias")}
    out.update({f"attn.norm.{p}": getattr(attention.norm, p) for p in ("weight", "bias")})
    return out


def rotary():
    from timm.layers.pos_embed_sincos import (RotaryEmbeddingCat, RotaryEmbeddingDinoV3,
                                              RotaryEmbeddingMixed)
    from timm.models.eva import EvaAttention
    layer_norm = lambda dim, **dd: torch.nn.LayerNorm(dim, eps=1e-6)  # noqa: E731

    def attention(**options):
        torch.manual_seed(0)
        return draw(EvaAttention(16, num_heads=2, num_prefix_tokens=1,
                                 **{"scale_norm": False, **options}).double())

    cat = RotaryEmbeddingCat(8, in_pixels=False, feat_shape=[3, 5], ref_feat_shape=[4, 4])
    eva("eva_timm", attention(qk_norm=True, scale_norm=True, norm_layer=layer_norm),
        lambda: cat.get_embed().double(), (2, 16, 16), norms)
    halves = RotaryEmbeddingCat(8, in_pixels=False, feat_shape=[3, 5], grid_offset=1.0,
                                grid_indexing="xy", rotate_half=True, temperature=50.0)
    eva("eva_timm_halves", attention(rotate_half=True), lambda: halves.get_embed().double(),
        (2, 16, 16), lambda _: {})
    pixels = RotaryEmbeddingCat(8, in_pixels=True, max_res=16, feat_shape=[3, 5])
    eva("eva_timm_pixels", attention(), lambda: pixels.get_embed().double(), (2, 16, 16), lambda _: {})
    dinov3 = RotaryEmbeddingDinoV3(8, feat_shape=[3, 5])
    eva("dinov3_timm", attention(rotate_half=True), lambda: dinov3.get_embed().double(), (2, 16, 16),
        lambda _: {})
    mixed = draw(RotaryEmbeddingMixed(16, depth=2, num_heads=2, feat_shape=[3, 5]).double())
    eva("mixed_timm", attention(), lambda: mixed.get_embed()[1], (2, 16, 16),
        lambda _: {"freqs": mixed.freqs})


def transformers_dinov3():
    from transformers import DINOv3ViTConfig
    from transformers.models.dinov3_vit.modeling_dinov3_vit import (DINOv3ViTAttention,
                                                                    DINOv3ViTRopePositionEmbedding)
    config = DINOv3ViTConfig(hidden_size=16, num_attention_heads=2, image_size=12, patch_size=4,
                             key_bias=True)
    config._attn_implementation = "eager"
    attention = draw(DINOv3ViTAttention(config).double().eval())
    rope = DINOv3ViTRopePositionEmbedding(config).eval()
    caught = {}
    embeddings = tuple(t.double() for t in rope(torch.zeros(1, 3, 12, 20)))

    def run(x):
        out, caught["rows"] = attention(x, position_embeddings=embeddings)
        return out

    a = attention
    write("dinov3_transformers", run, numbers((2, 20, 16), 1),
          {"attn.qkv.weight": [a.q_proj.weight, a.k_proj.weight, a.v_proj.weight],
           "attn.qkv.bias": [a.q_proj.bias, a.k_proj.bias, a.v_proj.bias],
           "attn.proj.weight": a.o_proj.weight, "attn.proj.bias": a.o_proj.bias},
          lambda: caught["rows"])


def sam():
    from transformers import SamVisionConfig
    from transformers.models.sam.modeling_sam import SamVisionAttention
    config = SamVisionConfig(hidden_size=12, num_attention_heads=2, image_size=64, patch_size=16,
                             qkv_bias=True)
    config._attn_implementation = "eager"
    for name, (height, width) in {"sam_transformers": (4, 4),
                                  "sam_transformers_resized": (5, 3)}.items():
        attention = draw(SamVisionAttention(config, window_size=0).double().eval())
        caught = {}

        def run(x):
            out, rows = attention(x.view(2, height, width, 12))
            caught["rows"] = rows.view(2, 2, height * width, height * width)
            return out.reshape(2, height * width, 12)

        write(name, run, numbers((2, height * width, 12), 1),
              {"attn.qkv.weight": attention.qkv.weight, "attn.qkv.bias": attention.qkv.bias,
               "attn.rel_pos_h": attention.rel_pos_h, "attn.rel_pos_w": attention.rel_pos_w,
               **projection(attention)}, lambda: caught["rows"])


def relpos():
    from timm.layers import RelPosBias
    from timm.models.vision_transformer_relpos import RelPosAttention
    attention = draw(RelPosAttention(
        12, num_heads=3, qkv_bias=True,
        rel_pos_cls=lambda num_heads, **dd: RelPosBias((3, 4), num_heads, prefix_tokens=1)).double())
    attention.fused_attn = False
    weights = Weights(attention.attn_drop)
    write("relpos_timm", attention, numbers((2, 13, 12), 1),
          {"attn.qkv.weight": attention.qkv.weight, "attn.qkv.bias": attention.qkv.bias,
           "attn.relative_position_bias_table": attention.rel_pos.relative_position_bias_table,
           **projection(attention)}, lambda: weights.rows)


if __name__ == "__main__":
    for make in (timm_swin, timm_swin_v2, transformers_swin, beit, resized_tables, rotary,
                 transformers_dinov3, sam, relpos):
        make()
