"""Vitrail's VisionTransformer in plain PyTorch: the same fields, names and shapes as its C++.

Written from the sources that each option names: the CCT block and sequence pooling from SHI-Labs'
Compact-Transformers (arXiv 2104.05704), residual networks from torchvision's, also with
GroupNorm (arXiv 1803.08494) for BatchNorm, sin-cos positions from MAE (arXiv 2111.06377), map pooling
from timm. The fields are those of src/models/vit_config.h.
"""

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F

DEFAULTS = dict(
    image_height=16, image_width=16, in_channels=3, patch_embedding="convolution", patch_height=4,
    patch_width=4, patch_bias=True, patch_norm=False, tokenizer=None, resnet=None, embed_dim=8, depth=2,
    num_heads=2, head_dim=0, mlp_hidden_dim=0, mlp="plain", activation="gelu", qkv_bias=True,
    projection_bias=True, mlp_bias=True, qk_norm=False, attention_norm=False, mlp_norm=False,
    norm_placement="pre", layer_norm_epsilon=1e-6, layer_scale=False, class_token=True,
    distillation_token=False, register_tokens=0, position="learned", position_prefix=1,
    position_grid_height=0, position_grid_width=0, position_resize="bicubic_antialias",
    pre_norm=False, final_norm=True, fc_norm=False, pooling="class_token", pool_heads=0,
    pool_mlp_hidden_dim=0, num_classes=5, head_bias=True)
TOKENIZER = dict(layers=1, kernel=3, stride=1, padding=1, pool_kernel=3, pool_stride=2,
                 pool_padding=1, hidden_channels=64, bias=False, activation="relu")
RESNET = dict(stem_channels=64, stem_kernel=7, stem_stride=2, stem_pool=True, blocks=[2, 2, 2, 2],
              channels=[64, 128, 256, 512], pooled=False, bottleneck=False, norm="group", norm_groups=32)
ACTIVATIONS = {
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "relu": F.relu,
    "silu": F.silu,
}


class Config:
    def __init__(self, **fields):
        unknown = fields.keys() - DEFAULTS.keys()
        assert not unknown, unknown
        self.fields = fields
        self.__dict__.update({**DEFAULTS, **fields})
        if self.tokenizer is not None:
            self.tokenizer = Config.__new__(Config)
            self.tokenizer.__dict__.update({**TOKENIZER, **fields["tokenizer"]})
        if self.resnet is not None:
            self.resnet = Config.__new__(Config)
            self.resnet.__dict__.update({**RESNET, **fields["resnet"]})
        self.head_size = self.head_dim or self.embed_dim // self.num_heads
        self.mlp_hidden = self.mlp_hidden_dim or 4 * self.embed_dim
        self.act = ACTIVATIONS[self.activation]
        self.prefix = self.class_token + self.distillation_token + self.register_tokens

    def norm(self, dim):
        return nn.LayerNorm(dim, eps=self.layer_norm_epsilon)


class Tokenizer(nn.Module):
    """CCT: convolution, activation, max-pooling, `layers` times."""

    def __init__(self, config):
        super().__init__()
        t = self.t = config.tokenizer
        channels = [config.in_channels] + [t.hidden_channels] * (t.layers - 1) + [config.embed_dim]
        self.conv_layers = nn.ModuleList(
            nn.Conv2d(a, b, t.kernel, t.stride, t.padding, bias=t.bias)
            for a, b in zip(channels, channels[1:]))

    def forward(self, x):
        t = self.t
        for convolution in self.conv_layers:
            x = ACTIVATIONS[t.activation](convolution(x))
            x = F.max_pool2d(x, t.pool_kernel, t.pool_stride, t.pool_padding)
        return x.flatten(2).transpose(1, 2), x.shape[2:]


def convolution(inputs, outputs, kernel, stride=1):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


def resnet_norm(config, channels):
    if config.resnet.norm == "batch":
        return nn.BatchNorm2d(channels, eps=config.layer_norm_epsilon)
    return nn.GroupNorm(config.resnet.norm_groups, channels, eps=config.layer_norm_epsilon)


def norm_name(config):
    return "bn" if config.resnet.norm == "batch" else "norm"


class ResidualBlock(nn.Module):
    """torchvision's BasicBlock or Bottleneck; the projection where shapes change."""

    def __init__(self, config, inputs, outputs, stride):
        super().__init__()
        self.norm_name = norm_name(config)
        inner = outputs // 4
        layers = [(inputs, outputs, 3, stride), (outputs, outputs, 3, 1)]
        if config.resnet.bottleneck:
            layers = [(inputs, inner, 1, 1), (inner, inner, 3, stride), (inner, outputs, 1, 1)]
        for index, layer in enumerate(layers, 1):
            setattr(self, f"conv{index}", convolution(*layer))
            setattr(self, f"{self.norm_name}{index}", resnet_norm(config, layer[1]))
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(convolution(inputs, outputs, 1, stride),
                                            resnet_norm(config, outputs))

    def forward(self, x):
        shortcut = self.downsample(x) if hasattr(self, "downsample") else x
        norm = lambda index: getattr(self, f"{self.norm_name}{index}")  # noqa: E731
        y = norm(2)(self.conv2(F.relu(norm(1)(self.conv1(x)))))
        if hasattr(self, "conv3"):
            y = norm(3)(self.conv3(F.relu(y)))
        return F.relu(y + shortcut)


class Transition(nn.Module):
    """Convolution, pooling, norm: how a pooled stage begins."""

    def __init__(self, config, inputs, outputs):
        super().__init__()
        self.conv1 = convolution(inputs, outputs, 3)
        self.norm_name = norm_name(config) + "1"
        setattr(self, self.norm_name, resnet_norm(config, outputs))

    def forward(self, x):
        return F.relu(getattr(self, self.norm_name)(F.max_pool2d(self.conv1(x), 3, 2, 1)))


class ResNet(nn.Module):
    def __init__(self, config):
        super().__init__()
        r = self.r = config.resnet
        self.conv1 = convolution(config.in_channels, r.stem_channels, r.stem_kernel, r.stem_stride)
        self.norm_name = norm_name(config) + "1"
        setattr(self, self.norm_name, resnet_norm(config, r.stem_channels))
        inputs = r.stem_channels
        for stage, (blocks, outputs) in enumerate(zip(r.blocks, r.channels)):
            layers = OrderedDict()
            if r.pooled:
                layers["transition"] = Transition(config, inputs, outputs)
                inputs = outputs
            for block in range(blocks):
                stride = 2 if not r.pooled and stage > 0 and block == 0 else 1
                layers[str(block)] = ResidualBlock(config, inputs, outputs, stride)
                inputs = outputs
            setattr(self, f"layer{stage + 1}", nn.Sequential(layers))

    def forward(self, x):
        x = F.relu(getattr(self, self.norm_name)(self.conv1(x)))
        if self.r.stem_pool:
            x = F.max_pool2d(x, 3, 2, 1)
        for stage in range(len(self.r.blocks)):
            x = getattr(self, f"layer{stage + 1}")(x)
        return x


class FeatureMap(nn.Module):
    """The cells of a residual network as tokens."""

    def __init__(self, config):
        super().__init__()
        self.backbone = ResNet(config)

    def forward(self, x):
        x = self.backbone(x)
        return x.flatten(2).transpose(1, 2), x.shape[2:]


class PatchEmbed(nn.Module):
    def __init__(self, config):
        super().__init__()
        c = self.c = config
        patch = (c.patch_height, c.patch_width)
        inputs = c.in_channels * patch[0] * patch[1]
        if c.patch_embedding == "linear":
            self.proj = nn.Linear(inputs, c.embed_dim, bias=c.patch_bias)
        else:
            self.proj = nn.Conv2d(c.in_channels, c.embed_dim, patch, patch, bias=c.patch_bias)
        if c.patch_norm:
            self.norm_in, self.norm_out = c.norm(inputs), c.norm(c.embed_dim)

    def forward(self, x):
        c = self.c
        grid = (x.shape[2] // c.patch_height, x.shape[3] // c.patch_width)
        if c.patch_embedding == "convolution":
            return self.proj(x).flatten(2).transpose(1, 2), grid
        x = x.reshape(len(x), c.in_channels, grid[0], c.patch_height, grid[1], c.patch_width)
        x = x.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)  # pixels, channel fastest
        if c.patch_norm:
            x = self.norm_in(x)
        x = self.proj(x)
        return (self.norm_out(x) if c.patch_norm else x), grid


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        c = self.c = config
        inner = c.num_heads * c.head_size
        self.qkv = nn.Linear(c.embed_dim, 3 * inner, bias=c.qkv_bias)
        self.q_norm = c.norm(c.head_size) if c.qk_norm else nn.Identity()
        self.k_norm = c.norm(c.head_size) if c.qk_norm else nn.Identity()
        self.rows = nn.Softmax(dim=-1)
        self.norm = c.norm(inner) if c.attention_norm else nn.Identity()
        self.proj = nn.Linear(inner, c.embed_dim, bias=c.projection_bias)

    def forward(self, x):
        c = self.c
        q, k, v = self.qkv(x).unflatten(2, (3, c.num_heads, c.head_size)).permute(2, 0, 3, 1, 4)
        q, k = self.q_norm(q), self.k_norm(k)
        rows = self.rows(q @ k.transpose(-2, -1) * c.head_size**-0.5)
        return self.proj(self.norm((rows @ v).transpose(1, 2).flatten(2)))


class Mlp(nn.Module):
    def __init__(self, config):
        super().__init__()
        c = self.c = config
        hidden = c.mlp_hidden
        if c.mlp == "gated_split":
            self.fc1_g = nn.Linear(c.embed_dim, hidden, bias=c.mlp_bias)
            self.fc1_x = nn.Linear(c.embed_dim, hidden, bias=c.mlp_bias)
        else:
            rows = hidden if c.mlp == "plain" else 2 * hidden
            self.fc1 = nn.Linear(c.embed_dim, rows, bias=c.mlp_bias)
        self.norm = c.norm(hidden) if c.mlp_norm else nn.Identity()
        self.fc2 = nn.Linear(hidden, c.embed_dim, bias=c.mlp_bias)

    def forward(self, x):
        act, kind = self.c.act, self.c.mlp
        if kind == "plain":
            x = act(self.fc1(x))
        elif kind == "gated_split":
            x = act(self.fc1_g(x)) * self.fc1_x(x)
        else:
            a, b = self.fc1(x).chunk(2, dim=-1)
            x = act(a) * b if kind == "gated_packed" else a * act(b)
        return self.fc2(self.norm(x))


class LayerScale(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return x * self.gamma


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        c = self.c = config
        if c.norm_placement == "cct":
            self.pre_norm, self.norm1 = c.norm(c.embed_dim), c.norm(c.embed_dim)
        elif c.norm_placement != "none":
            self.norm1, self.norm2 = c.norm(c.embed_dim), c.norm(c.embed_dim)
        self.attn, self.mlp = Attention(c), Mlp(c)
        self.ls1 = LayerScale(c.embed_dim) if c.layer_scale else nn.Identity()
        self.ls2 = LayerScale(c.embed_dim) if c.layer_scale else nn.Identity()

    def forward(self, x):
        placement = self.c.norm_placement
        if placement == "pre":
            x = x + self.ls1(self.attn(self.norm1(x)))
            return x + self.ls2(self.mlp(self.norm2(x)))
        if placement == "post":
            x = self.norm1(x + self.ls1(self.attn(x)))
            return self.norm2(x + self.ls2(self.mlp(x)))
        if placement == "res_post":
            x = x + self.norm1(self.attn(x))
            return x + self.norm2(self.mlp(x))
        if placement == "none":
            x = x + self.ls1(self.attn(x))
            return x + self.ls2(self.mlp(x))
        # SHI-Labs: the stream itself is normed between attention and MLP.
        x = self.norm1(x + self.ls1(self.attn(self.pre_norm(x))))
        return x + self.ls2(self.mlp(x))


class MapPool(nn.Module):
    """timm's AttentionPoolLatent: one learned query over the patch tokens."""

    def __init__(self, config):
        super().__init__()
        c = self.c = config
        dim, hidden = c.embed_dim, c.pool_mlp_hidden_dim or c.mlp_hidden
        self.heads = c.pool_heads or c.num_heads
        self.latent = nn.Parameter(torch.zeros(1, 1, dim))
        self.q, self.kv = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim)
        self.proj, self.norm = nn.Linear(dim, dim), c.norm(dim)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(dim, hidden), "fc2": nn.Linear(hidden, dim)})

    def forward(self, x):
        size = x.shape[2] // self.heads
        q = self.q(self.latent).expand(len(x), -1, -1)
        q = q.unflatten(2, (self.heads, size)).transpose(1, 2)
        k, v = self.kv(x).unflatten(2, (2, self.heads, size)).permute(2, 0, 3, 1, 4)
        rows = (q @ k.transpose(-2, -1) * size**-0.5).softmax(dim=-1)
        x = self.proj((rows @ v).transpose(1, 2).flatten(2))
        x = x + self.mlp["fc2"](self.c.act(self.mlp["fc1"](self.norm(x))))
        return x[:, 0]


def sinusoidal_1d(length, dim):
    """Compact-Transformers: angle p / 10000^(2 floor(i/2) / D); even columns sine, odd cosine."""
    position = torch.arange(length, dtype=torch.float64)[:, None]
    column = torch.arange(dim, dtype=torch.float64)[None]
    angle = position / 10000 ** (2 * (column // 2) / dim)
    return torch.where(column % 2 == 0, angle.sin(), angle.cos())


def sincos_2d(height, width, dim):
    """MAE: [sin(x w), cos(x w), sin(y w), cos(y w)], w_i = 10000^(-i / (D/4)), x the column."""
    omega = 10000 ** (-torch.arange(dim // 4, dtype=torch.float64) / (dim / 4))
    y, x = torch.meshgrid(torch.arange(height, dtype=torch.float64),
                          torch.arange(width, dtype=torch.float64), indexing="ij")
    parts = [f(axis.flatten()[:, None] * omega) for axis in (x, y) for f in (torch.sin, torch.cos)]
    return torch.cat(parts, dim=1)


def resize_grid(grid, size, how):
    """[1, D, h, w] to another size by the rule of a family; unchanged when the size is the same."""
    if grid.shape[-2:] == size:
        return grid
    if how == "bicubic_offset":
        factors = tuple((n + 0.1) / old for n, old in zip(size, grid.shape[-2:]))
        return F.interpolate(grid, scale_factor=factors, mode="bicubic")
    mode = "bilinear" if how == "bilinear" else "bicubic"
    return F.interpolate(grid, size=size, mode=mode, antialias=how == "bicubic_antialias")


class VisionTransformer(nn.Module):
    def __init__(self, config):
        super().__init__()
        c = self.c = config
        dim = c.embed_dim
        if c.patch_embedding == "tokenizer":
            self.tokenizer = Tokenizer(c)
        elif c.patch_embedding == "resnet":
            self.patch_embed = FeatureMap(c)
        else:
            self.patch_embed = PatchEmbed(c)
        if c.class_token:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        if c.distillation_token:
            self.dist_token = nn.Parameter(torch.zeros(1, 1, dim))
        if c.register_tokens:
            self.reg_token = nn.Parameter(torch.zeros(1, c.register_tokens, dim))
        if c.position == "learned":
            self.grid = self._trained_grid()
            count = c.position_prefix + self.grid[0] * self.grid[1]
            self.pos_embed = nn.Parameter(torch.zeros(1, count, dim))
        self.norm_pre = c.norm(dim) if c.pre_norm else nn.Identity()
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.depth))
        self.norm = c.norm(dim) if c.final_norm else nn.Identity()
        if c.pooling == "map":
            self.attn_pool = MapPool(c)
        if c.pooling == "sequence":
            self.sequence_pool = nn.Linear(dim, 1)
        self.fc_norm = c.norm(dim) if c.fc_norm else nn.Identity()
        pooled = 2 * dim if c.pooling == "class_and_mean" else dim

        def head():
            return nn.Linear(pooled, c.num_classes, bias=c.head_bias)

        self.head = head() if c.num_classes else nn.Identity()
        if c.pooling == "distilled":
            self.head_dist = head() if c.num_classes else nn.Identity()

    def _trained_grid(self):
        c = self.c
        if c.position_grid_height:
            return c.position_grid_height, c.position_grid_width
        if c.patch_embedding in ("tokenizer", "resnet"):
            shape = (1, c.in_channels, c.image_height, c.image_width)
            embed = self.tokenizer if c.patch_embedding == "tokenizer" else self.patch_embed
            return tuple(embed(torch.zeros(shape))[1])
        return c.image_height // c.patch_height, c.image_width // c.patch_width

    def _positions(self, x, grid):
        """[1, count, D] for the first prefix tokens with a position, then the patches."""
        c = self.c
        if c.position == "learned":
            prefix = self.pos_embed[:, : c.position_prefix]
            table = self.pos_embed[:, c.position_prefix :]
            table = table.unflatten(1, self.grid).permute(0, 3, 1, 2)
            table = resize_grid(table, tuple(grid), c.position_resize).flatten(2).transpose(1, 2)
            return torch.cat((prefix, table), dim=1)
        if c.position == "sinusoidal_1d":
            table = sinusoidal_1d(c.position_prefix + grid[0] * grid[1], c.embed_dim)
        else:
            table = sincos_2d(*grid, c.embed_dim)
            table = torch.cat((torch.zeros(c.position_prefix, c.embed_dim), table))
        return table[None].to(x.dtype)

    def forward(self, x):
        c = self.c
        embed = self.tokenizer if c.patch_embedding == "tokenizer" else self.patch_embed
        x, grid = embed(x)
        prefix = [getattr(self, name).expand(len(x), -1, -1)
                  for name in ("cls_token", "dist_token", "reg_token") if hasattr(self, name)]
        x = torch.cat(prefix + [x], dim=1)
        if c.position != "none":
            positions = self._positions(x, grid)
            # Prefix tokens beyond position_prefix have none.
            bare = torch.zeros(1, c.prefix - c.position_prefix, c.embed_dim, dtype=x.dtype)
            x = x + torch.cat((positions[:, : c.position_prefix], bare,
                               positions[:, c.position_prefix :]), dim=1)
        x = self.norm_pre(x)
        for block in self.blocks:
            x = block(x)
        return self._answer(self.norm(x))

    def _answer(self, x):
        pooling, patches = self.c.pooling, x[:, self.c.prefix :]
        if pooling == "distilled":
            return (self.head(x[:, 0]) + self.head_dist(x[:, 1])) / 2
        if pooling == "class_token":
            x = x[:, 0]
        elif pooling == "mean":
            x = patches.mean(dim=1)
        elif pooling == "mean_all":
            x = x.mean(dim=1)
        elif pooling == "class_and_mean":
            x = torch.cat((x[:, 0], patches.mean(dim=1)), dim=1)
        elif pooling == "sequence":
            x = (self.sequence_pool(x).softmax(dim=1).transpose(1, 2) @ x)[:, 0]
        else:
            x = self.attn_pool(patches)
        return self.head(self.fc_norm(x))
