"""CaiT: timm's definitions shrunk, and vit-pytorch's model in plain PyTorch."""

import timm
import torch
from timm.models._hub import save_config_for_hf
from torch import nn

from .recorder import Case
from .vit_pytorch_cases import FeedForward, Patches


def _timm(name, architecture="cait_xxs24_224", attention=False, faint=False, **arguments):
    model = timm.create_model(architecture, pretrained=False, **arguments)
    for block in model.blocks_token_only:
        block.attn.fused_attn = False  # whose rows a hook can see
    height, width = model.patch_embed.img_size
    return Case(
        family="cait", name=name, library=f"timm {timm.__version__}", model=model,
        picture=(model.patch_embed.proj.in_channels, height, width),
        blocks=lambda m: [*m.blocks, *m.blocks_token_only],
        attention=(lambda m: [b.attn.attn_drop for b in [*m.blocks, *m.blocks_token_only]])
        if attention else None,
        write_config=lambda folder: save_config_for_hf(
            model, folder / "config.json", model_args=arguments),
        faint=faint)


class TalkingAttention(nn.Module):
    """Of x to itself, or of x to itself and what follows it."""

    def __init__(self, dim, heads, dim_head):
        super().__init__()
        inner = heads * dim_head
        self.heads, self.scale = heads, dim_head**-0.5
        self.norm = nn.LayerNorm(dim)
        self.to_q = nn.Linear(dim, inner, bias=False)
        self.to_kv = nn.Linear(dim, 2 * inner, bias=False)
        self.mix_heads_pre_attn = nn.Parameter(torch.zeros(heads, heads))
        self.mix_heads_post_attn = nn.Parameter(torch.zeros(heads, heads))
        self.seen = nn.Identity()
        self.to_out = nn.Sequential(nn.Linear(inner, dim), nn.Dropout(0.0))

    def forward(self, x, context):
        x = self.norm(x)
        memory = x if context is None else torch.cat((x, context), dim=1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
                   for part in (self.to_q(x), *self.to_kv(memory).chunk(2, dim=-1)))
        scores = torch.einsum("bhij,hg->bgij", q @ k.transpose(-1, -2) * self.scale,
                              self.mix_heads_pre_attn)
        rows = self.seen(torch.einsum("bhij,hg->bgij", scores.softmax(dim=-1),
                                      self.mix_heads_post_attn))
        return self.to_out((rows @ v).transpose(1, 2).flatten(2))


class Scaled(nn.Module):
    def __init__(self, dim, fn):
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(1, 1, dim))
        self.fn = fn

    def forward(self, x, *more):
        return self.fn(x, *more) * self.scale


class Layer(nn.ModuleList):
    def forward(self, x, context=None):
        attention, feed_forward = self
        x = attention(x, context) + x
        return feed_forward(x) + x


class Transformer(nn.Module):
    def __init__(self, depth, dim, heads, dim_head, hidden):
        super().__init__()
        self.layers = nn.ModuleList([
            Layer([Scaled(dim, TalkingAttention(dim, heads, dim_head)),
                   Scaled(dim, FeedForward(dim, hidden, "gelu", inner_norm=True))])
            for _ in range(depth)])

    def forward(self, x, context=None):
        for layer in self.layers:
            x = layer(x, context)
        return x


class VitPytorchCait(nn.Module):
    def __init__(self, size, patch, dim, depth, cls_depth, heads, dim_head, hidden, classes):
        super().__init__()
        inputs = patch * patch * 3
        self.to_patch_embedding = nn.Sequential(
            Patches(patch), nn.LayerNorm(inputs), nn.Linear(inputs, dim), nn.LayerNorm(dim))
        self.pos_embedding = nn.Parameter(torch.zeros(1, (size // patch) ** 2, dim))
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.patch_transformer = Transformer(depth, dim, heads, dim_head, hidden)
        self.cls_transformer = Transformer(cls_depth, dim, heads, dim_head, hidden)
        self.mlp_head = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, classes))

    def layers(self):
        return [*self.patch_transformer.layers, *self.cls_transformer.layers]

    def forward(self, x):
        x = self.patch_transformer(self.to_patch_embedding(x) + self.pos_embedding)
        token = self.cls_transformer(self.cls_token.expand(len(x), -1, -1), x)
        return self.mlp_head(token[:, 0])


def _vit_pytorch(name, faint=False, **arguments):
    return Case(
        family="cait", name=name, library=f"torch {torch.__version__}",
        model=VitPytorchCait(size=12, patch=4, dim=8, hidden=14, classes=5, **arguments),
        picture=(3, 12, 12), blocks=VitPytorchCait.layers,
        attention=lambda m: [layer[0].fn.seen for layer in m.layers()], faint=faint)


def cases():
    small = dict(embed_dim=16, depth=2, num_heads=4, num_classes=5, mlp_ratio=2, img_size=16,
                 patch_size=4)
    yield _timm("published", attention=True, faint=True, **small)
    yield _timm("without_biases", attention=True, **{
        **small, "qkv_bias": False, "num_heads": 2, "depth": 1, "depth_token_only": 1,
        "mlp_ratio_token_only": 3.0, "in_chans": 1})
    yield _timm("mean_of_rectangle", "cait_s24_384", **{
        **small, "global_pool": "avg", "img_size": (8, 16), "num_heads": 8})
    yield _timm("no_head", "cait_m36_384", **{**small, "num_classes": 0, "embed_dim": 24,
                                              "num_heads": 3})
    yield _vit_pytorch("vit_pytorch", depth=2, cls_depth=2, heads=2, dim_head=6)
    yield _vit_pytorch("vit_pytorch_faint", faint=True, depth=1, cls_depth=1, heads=3, dim_head=4)
