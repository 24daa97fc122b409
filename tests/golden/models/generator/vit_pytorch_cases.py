"""vit-pytorch (lucidrains) under its names, generation by generation, in plain PyTorch.

fn           PreNorm wraps the attention (`0.norm`, `0.fn.to_qkv`, `1.fn.net.0`), plain embedding
fn_normed    the same with LayerNorms around the patch embedding
inner        norms inside (`0.norm`, `0.to_qkv`, `1.net.0` a LayerNorm), head LayerNorm and linear
final_norm   inner, with `transformer.norm` and a bare linear `mlp_head`
deepvit      inner, of its DeepViT: the heads' rows mixed and normalised (re-attention)
flat         final_norm with two-dimensional cls_token and pos_embedding; no class token for 'mean'
dropped      fn's embedding with positions of the patches alone (vit_with_patch_dropout)
detpool      final_norm with the same positions and a class token of one axis, which is not pooled
memory       inner, with q by a matrix of its own (learnable_memory_vit)
decorr       final_norm, with the norm beside the MLP's layers (vit_with_decorr)
parallel     inner, of its parallel ViT: branches of one input, summed; plain embedding

And its SimpleViT, whose positions are computed, with registers behind the patches or none.
"""

import torch
from torch import nn

from .pairwise import pairwise
from .recorder import Case

ACTIVATIONS = {"gelu": nn.GELU, "relu": nn.ReLU}


class Patches(nn.Module):
    """'b c (h p1) (w p2) -> b (h w) (p1 p2 c)'."""

    def __init__(self, patch):
        super().__init__()
        self.patch = patch

    def forward(self, x):
        batch, channels, height, width = x.shape
        p = self.patch
        x = x.reshape(batch, channels, height // p, p, width // p, p)
        return x.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, p * p * channels)


class PreNorm(nn.Module):
    def __init__(self, dim, fn):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fn = fn

    def forward(self, x):
        return self.fn(self.norm(x))


class Attention(nn.Module):
    def __init__(self, dim, heads, dim_head, inner_norm, separate=False):
        super().__init__()
        inner = heads * dim_head
        self.heads, self.dim_head = heads, dim_head
        if inner_norm:
            self.norm = nn.LayerNorm(dim)
        self.attend = nn.Softmax(dim=-1)
        self.separate = separate
        if separate:
            self.to_q = nn.Linear(dim, inner, bias=False)
            self.to_kv = nn.Linear(dim, 2 * inner, bias=False)
        else:
            self.to_qkv = nn.Linear(dim, 3 * inner, bias=False)
        project = not (heads == 1 and dim_head == dim)
        self.to_out = nn.Sequential(nn.Linear(inner, dim)) if project else nn.Identity()

    def forward(self, x):
        if hasattr(self, "norm"):
            x = self.norm(x)
        batch, tokens, _ = x.shape
        parts = ((self.to_q(x), *self.to_kv(x).chunk(2, dim=-1)) if self.separate else
                 self.to_qkv(x).chunk(3, dim=-1))
        q, k, v = (part.reshape(batch, tokens, self.heads, self.dim_head).transpose(1, 2)
                   for part in parts)
        rows = self.attend(q @ k.transpose(-1, -2) * self.dim_head**-0.5)
        return self.to_out((rows @ v).transpose(1, 2).reshape(batch, tokens, -1))


class Reattention(nn.Module):
    """DeepViT's: rows mixed across heads, then LayerNorm over the heads."""

    def __init__(self, dim, heads, dim_head):
        super().__init__()
        inner = heads * dim_head
        self.heads, self.scale = heads, dim_head**-0.5
        self.norm = nn.LayerNorm(dim)
        self.to_qkv = nn.Linear(dim, 3 * inner, bias=False)
        self.reattn_weights = nn.Parameter(torch.zeros(heads, heads))
        self.reattn_norm = nn.Sequential(nn.Identity(), nn.LayerNorm(heads), nn.Identity())
        self.attend = nn.Identity()
        self.to_out = nn.Sequential(nn.Linear(inner, dim))

    def forward(self, x):
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
                   for part in self.to_qkv(self.norm(x)).chunk(3, dim=-1))
        rows = (q @ k.transpose(-1, -2) * self.scale).softmax(dim=-1)
        mixed = torch.einsum("bhij,hg->bijg", rows, self.reattn_weights)
        rows = self.attend(self.reattn_norm(mixed).permute(0, 3, 1, 2))
        return self.to_out((rows @ v).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, dim, hidden, activation, inner_norm):
        super().__init__()
        norm = [nn.LayerNorm(dim)] if inner_norm else []
        self.net = nn.Sequential(
            *norm, nn.Linear(dim, hidden), ACTIVATIONS[activation](), nn.Dropout(0.0),
            nn.Linear(hidden, dim))

    def forward(self, x):
        return self.net(x)


class ApartFeedForward(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.net = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Dropout(0.0),
                                 nn.Linear(hidden, dim))

    def forward(self, x):
        return self.net(self.norm(x))


class Layer(nn.ModuleList):
    """One `transformer.layers.i`: [attention, feed-forward], both residual."""

    def forward(self, x):
        attention, feed_forward = self
        x = attention(x) + x
        return feed_forward(x) + x


class Parallel(nn.Module):
    def __init__(self, branches):
        super().__init__()
        self.fns = nn.ModuleList(branches)

    def forward(self, x):
        return sum(branch(x) for branch in self.fns)


class Transformer(nn.Module):
    def __init__(self, layers, norm):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.norm = norm

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)


class ViT(nn.Module):
    def __init__(self, generation, size, patch, channels, dim, heads, dim_head, hidden, depth,
                 pool, activation, classes):
        super().__init__()
        inner_norm = generation not in ("fn", "fn_normed")
        flat = generation == "flat"
        behind = generation in ("dropped", "detpool")  # the class token comes behind the positions
        self.pool, self.behind = pool, behind
        inputs = patch * patch * channels
        norms = generation not in ("fn", "dropped", "parallel")
        self.to_patch_embedding = nn.Sequential(
            Patches(patch), *([nn.LayerNorm(inputs)] if norms else []), nn.Linear(inputs, dim),
            *([nn.LayerNorm(dim)] if norms else []))
        prefix = 0 if flat and pool == "mean" else 1
        tokens = (size // patch) ** 2 + (0 if behind else prefix)
        leading = () if flat else (1,)
        token = (dim,) if generation == "detpool" else (*leading, prefix, dim)
        self.cls_token = nn.Parameter(torch.zeros(*token))
        self.pos_embedding = nn.Parameter(
            torch.zeros(*(() if behind else leading), tokens, dim))

        def layer():
            if generation == "parallel":
                return Layer([
                    Parallel([Attention(dim, heads, dim_head, True) for _ in range(3)]),
                    Parallel([FeedForward(dim, hidden, activation, True) for _ in range(3)])])
            attention = (Reattention(dim, heads, dim_head) if generation == "deepvit" else
                         Attention(dim, heads, dim_head, inner_norm, generation == "memory"))
            feed_forward = (ApartFeedForward(dim, hidden) if generation == "decorr" else
                            FeedForward(dim, hidden, activation, inner_norm))
            if inner_norm:
                return Layer([attention, feed_forward])
            return Layer([PreNorm(dim, attention), PreNorm(dim, feed_forward)])

        final = generation in ("final_norm", "flat", "detpool", "decorr")
        self.transformer = Transformer(
            [layer() for _ in range(depth)], nn.LayerNorm(dim) if final else nn.Identity())
        head = nn.Linear(dim, classes)
        self.mlp_head = head if final else nn.Sequential(nn.LayerNorm(dim), head)

    def forward(self, x):
        x = self.to_patch_embedding(x)
        prefix = self.cls_token.reshape(1, -1, x.shape[-1]).expand(len(x), -1, -1)
        if self.behind:
            x = torch.cat((prefix, x + self.pos_embedding), dim=1)
        else:
            x = torch.cat((prefix, x), dim=1) + self.pos_embedding
        x = self.transformer(x)
        if self.pool == "patches":
            return self.mlp_head(x[:, 1:].mean(dim=1))
        return self.mlp_head(x.mean(dim=1) if self.pool == "mean" else x[:, 0])


class SimpleAttention(nn.Module):
    def __init__(self, dim, heads, dim_head):
        super().__init__()
        self.heads, self.dim_head = heads, dim_head
        self.norm = nn.LayerNorm(dim)
        self.attend = nn.Softmax(dim=-1)
        self.to_qkv = nn.Linear(dim, 3 * heads * dim_head, bias=False)
        self.to_out = nn.Linear(heads * dim_head, dim, bias=False)

    def forward(self, x):
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
                   for part in self.to_qkv(self.norm(x)).chunk(3, dim=-1))
        rows = self.attend(q @ k.transpose(-1, -2) * self.dim_head**-0.5)
        return self.to_out((rows @ v).transpose(1, 2).flatten(2))


class SimpleFeedForward(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.net = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.GELU(),
                                 nn.Linear(hidden, dim))

    def forward(self, x):
        return self.net(x)


def sincos(height, width, dim, dtype):
    """Down to the frequency 1/10000 itself; y is the row."""
    y, x = torch.meshgrid(torch.arange(height, dtype=dtype), torch.arange(width, dtype=dtype),
                          indexing="ij")
    omega = 10000.0 ** -(torch.arange(dim // 4, dtype=dtype) / (dim // 4 - 1))
    x, y = x.flatten()[:, None] * omega, y.flatten()[:, None] * omega
    return torch.cat((x.sin(), x.cos(), y.sin(), y.cos()), dim=1)


class SimpleViT(nn.Module):
    """Registers stand behind the patches in the library; here in front, where Vitrail has them:
    no answer depends on it."""

    def __init__(self, picture, patch, dim, heads, dim_head, hidden, depth, classes, registers=0,
                 flash=False):
        super().__init__()
        self.grid = (picture[0] // patch, picture[1] // patch)
        inputs = 3 * patch * patch
        self.to_patch_embedding = nn.Sequential(Patches(patch), nn.LayerNorm(inputs),
                                                nn.Linear(inputs, dim), nn.LayerNorm(dim))
        if registers:
            self.register_tokens = nn.Parameter(torch.zeros(registers, dim))
        layers = [Layer([SimpleAttention(dim, heads, dim_head), SimpleFeedForward(dim, hidden)])
                  for _ in range(depth)]
        self.transformer = Transformer(layers, nn.Identity() if flash else nn.LayerNorm(dim))
        head = nn.Linear(dim, classes)
        self.linear_head = nn.Sequential(nn.LayerNorm(dim), head) if flash else head
        self.registers = registers

    def forward(self, x):
        x = self.to_patch_embedding(x)
        x = x + sincos(*self.grid, x.shape[-1], x.dtype)
        if self.registers:
            x = torch.cat((self.register_tokens.expand(len(x), -1, -1), x), dim=1)
        return self.linear_head(self.transformer(x)[:, self.registers:].mean(dim=1))


def _attention(model):
    first = [layer[0] for layer in model.transformer.layers]
    if isinstance(first[0], Parallel):
        return [branch.attend for parallel in first for branch in parallel.fns]
    return [(m.fn if isinstance(m, PreNorm) else m).attend for m in first]


FACTORS = {
    "generation": ["fn", "fn_normed", "inner", "final_norm", "flat"],
    "pool": ["cls", "mean"],
    "activation": ["gelu", "relu"],
    "heads": [(2, 6), (3, 4), (1, 8)],  # heads, head size; (1, 8) needs no to_out
    "channels": [3, 1],
}


def cases():
    size, patch, dim = 12, 4, 8
    for index, row in enumerate(pairwise(FACTORS, lambda _: True, seed=5)):
        heads, dim_head = row["heads"]
        model = ViT(row["generation"], size, patch, row["channels"], dim, heads, dim_head,
                    hidden=14, depth=2, pool=row["pool"], activation=row["activation"], classes=5)
        yield Case(
            family="vit_pytorch", name=f"{row['generation']}_{index:02d}",
            library=f"torch {torch.__version__}", model=model,
            picture=(row["channels"], size, size), blocks=lambda m: list(m.transformer.layers),
            attention=_attention if index % 3 == 0 else None,
            faint=row["generation"] in ("fn", "inner") and index % 2 == 0,
            settings={
                "num_heads": str(heads),
                "activation": row["activation"],
                "pooling": "class_token" if row["pool"] == "cls" else "mean_all",
                # Of these names ats_vit and vit_3d have files, too.
                **({"architecture": "vit"} if row["generation"] == "inner" else {}),
            })
    for name, heads, pool in (("deepvit", 3, "cls"), ("deepvit_mean", 2, "mean")):
        model = ViT("deepvit", size, patch, 3, dim, heads, 4, hidden=14, depth=2, pool=pool,
                    activation="gelu", classes=5)
        yield Case(
            family="vit_pytorch", name=name, library=f"torch {torch.__version__}", model=model,
            picture=(3, size, size), blocks=lambda m: list(m.transformer.layers),
            attention=_attention, faint=pool == "mean",
            settings={"num_heads": str(heads), "activation": "gelu",
                      "pooling": "class_token" if pool == "cls" else "mean_all"})
    yield from _more_vits(size, patch, dim)
    yield from _simple_vits()


def _case(name, model, picture, settings, **more):
    return Case(family="vit_pytorch", name=name, library=f"torch {torch.__version__}", model=model,
                picture=picture, blocks=lambda m: list(m.transformer.layers),
                attention=_attention, settings=settings, **more)


def _more_vits(size, patch, dim):
    for generation, pool in (("dropped", "cls"), ("detpool", "patches"), ("memory", "cls"),
                             ("decorr", "mean"), ("parallel", "cls")):
        model = ViT(generation, size, patch, 3, dim, 2, 6, hidden=14, depth=2, pool=pool,
                    activation="gelu", classes=5)
        settings = {"num_heads": "2", "activation": "gelu"}
        if pool != "patches":
            settings["pooling"] = "class_token" if pool == "cls" else "mean_all"
        yield _case(generation, model, (3, size, size), settings, faint=generation in ("dropped", "parallel"))


def _simple_vits():
    for name, height, more in (("simple", 12, {}), ("simple_registers", 20, {"registers": 3}),
                               ("simple_flash", 12, {"flash": True})):
        model = SimpleViT((height, 12), 4, 16, 2, 6, 14, 2, 5, **more)
        yield _case(name, model, (3, height, 12),
                    {"num_heads": "2", "image_height": str(height), "image_width": "12"},
                    faint=name == "simple")
