"""DINOv2 under the names of facebookresearch/dinov2, defined here in plain PyTorch.

Written from the published definition (arXiv 2304.07193, 2309.16588). Each case is compared with
timm's or transformers' model of the same weights before it is recorded.
"""

import math
import re

import timm
import torch
from timm.layers import SwiGLUPacked
from torch import nn
from torch.nn import functional as F

from .pairwise import pairwise
from .recorder import Case, randomise

EPSILON = 1e-6


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.rows = nn.Softmax(dim=-1)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        batch, tokens, dim = x.shape
        q, k, v = (
            self.qkv(x).reshape(batch, tokens, 3, self.heads, dim // self.heads)
            .permute(2, 0, 3, 1, 4))
        rows = self.rows(q @ k.transpose(-2, -1) * (dim // self.heads) ** -0.5)
        return self.proj((rows @ v).transpose(1, 2).reshape(batch, tokens, dim))


class Mlp(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class SwiGLU(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        hidden = (int(hidden * 2 / 3) + 7) // 8 * 8
        self.w12 = nn.Linear(dim, 2 * hidden)
        self.w3 = nn.Linear(hidden, dim)

    def forward(self, x):
        gate, value = self.w12(x).chunk(2, dim=-1)
        return self.w3(F.silu(gate) * value)


class LayerScale(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return x * self.gamma


class Block(nn.Module):
    def __init__(self, dim, heads, mlp):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=EPSILON)
        self.attn = Attention(dim, heads)
        self.ls1 = LayerScale(dim)
        self.norm2 = nn.LayerNorm(dim, eps=EPSILON)
        self.mlp = mlp
        self.ls2 = LayerScale(dim)

    def forward(self, x):
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class PatchEmbed(nn.Module):
    def __init__(self, dim, patch):
        super().__init__()
        self.proj = nn.Conv2d(3, dim, patch, patch)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


class DinoVisionTransformer(nn.Module):
    """Answers with the normed class token; registers carry no position."""

    def __init__(self, size, patch, dim, heads, depth, swiglu, registers):
        super().__init__()
        self.patch, self.grid = patch, size // patch
        self.patch_embed = PatchEmbed(dim, patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, self.grid**2 + 1, dim))
        self.register_tokens = (
            nn.Parameter(torch.zeros(1, registers, dim)) if registers else None)
        make = SwiGLU if swiglu else Mlp
        self.blocks = nn.ModuleList(Block(dim, heads, make(dim, 2 * dim)) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=EPSILON)
        self.mask_token = nn.Parameter(torch.zeros(1, dim))

    def positions(self, height, width):
        if (height, width) == (self.grid, self.grid):
            return self.pos_embed
        # The published models: 0.1 added to the size without registers, antialiasing with them.
        if self.register_tokens is None:
            how = {"scale_factor": ((height + 0.1) / self.grid, (width + 0.1) / self.grid)}
        else:
            how = {"size": (height, width), "antialias": True}
        grid = self.pos_embed[:, 1:].float().reshape(1, self.grid, self.grid, -1)
        grid = F.interpolate(grid.permute(0, 3, 1, 2), mode="bicubic", **how)
        assert grid.shape[-2:] == (height, width)
        grid = grid.permute(0, 2, 3, 1).flatten(1, 2).to(self.pos_embed.dtype)
        return torch.cat((self.pos_embed[:, :1], grid), dim=1)

    def forward(self, x):
        height, width = x.shape[2] // self.patch, x.shape[3] // self.patch
        x = torch.cat((self.cls_token.expand(len(x), -1, -1), self.patch_embed(x)), dim=1)
        x = x + self.positions(height, width)
        if self.register_tokens is not None:
            x = torch.cat((x[:, :1], self.register_tokens.expand(len(x), -1, -1), x[:, 1:]), dim=1)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)[:, 0]


def _check_against_timm(model, size, patch, dim, heads, swiglu, registers):
    """timm's published DINOv2 definition must answer alike for the trained picture size."""
    other = timm.create_model(
        "vit_small_patch14_reg4_dinov2" if registers else "vit_small_patch14_dinov2",
        img_size=size, patch_size=patch, embed_dim=dim, num_heads=heads, depth=len(model.blocks),
        **({"reg_tokens": registers} if registers else {}),
        **({"mlp_layer": SwiGLUPacked, "act_layer": nn.SiLU,
            "mlp_ratio": model.blocks[0].mlp.w12.out_features / dim} if swiglu
           else {"mlp_ratio": 2}))
    state = dict(model.state_dict())
    del state["mask_token"]
    if registers:
        state["reg_token"] = state.pop("register_tokens")
        state["cls_token"] = state["cls_token"] + state["pos_embed"][:, :1]
        state["pos_embed"] = state["pos_embed"][:, 1:]
    state = {n.replace("mlp.w12", "mlp.fc1").replace("mlp.w3", "mlp.fc2"): t
             for n, t in state.items()}
    other.load_state_dict(state)
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        difference = (other.eval()(x) - model(x)).abs().max().item()
    assert difference < 1e-5, difference


def _chunked(depth, chunks):
    """blocks.i -> blocks.c.i, as training checkpoints are cut; i stays the block's own index."""
    size = depth // chunks

    def to_file(tensors):
        return {
            re.sub(r"^blocks\.(\d+)", lambda m: f"blocks.{int(m[1]) // size}.{m[1]}", name): tensor
            for name, tensor in tensors.items()
        }

    return to_file


FACTORS = {
    "swiglu": [False, True],
    "registers": [0, 4],
    "chunks": [0, 2],
    "picture": [(16, 16), (24, 20), (8, 12)],
    "width": [(12, 3), (16, 2)],
}


def cases():
    size, patch, depth = 16, 4, 2
    for index, row in enumerate(pairwise(FACTORS, lambda _: True, seed=4)):
        dim, heads = row["width"]
        model = DinoVisionTransformer(size, patch, dim, heads, depth, row["swiglu"],
                                      row["registers"])
        randomise(model, "check")
        _check_against_timm(model, size, patch, dim, heads, row["swiglu"], row["registers"])
        yield Case(
            family="dinov2", name=f"options_{index:02d}", library=f"torch {torch.__version__}",
            model=model, picture=(3, *row["picture"]), blocks=lambda m: list(m.blocks),
            attention=(lambda m: [b.attn.rows for b in m.blocks]) if index % 3 == 0 else None,
            to_file=_chunked(depth, row["chunks"]) if row["chunks"] else dict,
            faint=index % 3 == 1, settings={"num_heads": str(heads)})
