#!/usr/bin/env python3
"""Ten steps of masked autoencoding and of DINO in PyTorch on tiny models: the losses that Vitrail
must reproduce.

usage: make_self_supervised_golden.py

Needs torch, timm and safetensors. Writes beside itself, for METHOD in mae and dino,
METHOD.safetensors: the initial weights under their authors' names, the pictures of each step as
bytes (`pictures` [10, 4, 3, 16, 16] and the masks `hidden` u8 [10, 4, 16]; `global` [10, 2, 4, 3,
16, 16] and `local` [10, 2, 4, 3, 8, 8]), and `losses` f64 [10]. Blocks are timm's; the rest says
the papers (He et al. 2022; Caron et al. 2021) in few lines.
"""

import math
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from timm.models.vision_transformer import Block
from torch import nn

ROOT = Path(__file__).resolve().parent
STEPS, BATCH, SIZE, PATCH, DIM, DEPTH, HEADS = 10, 4, 16, 4, 16, 2, 2
GRID = SIZE // PATCH
EPOCHS = 2  # of five steps
LEARNING_RATE = 2e-3
LayerNorm = partial(nn.LayerNorm, eps=1e-6)


def block(dim):
    return Block(dim, HEADS, 4.0, qkv_bias=True, norm_layer=LayerNorm)


def sincos(dim):
    """The authors' get_2d_sincos_pos_embed: columns first, a row of zeros for the class token."""
    omega = 1.0 / 10000 ** (torch.arange(dim // 4, dtype=torch.float64) / (dim / 4.0))

    def one(position):
        angle = position.reshape(-1)[:, None].double() * omega
        return torch.cat([angle.sin(), angle.cos()], 1)

    y, x = torch.meshgrid(torch.arange(GRID), torch.arange(GRID), indexing="ij")
    return torch.cat([torch.zeros(1, dim), torch.cat([one(x), one(y)], 1).float()])[None]


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, DIM, PATCH, PATCH)})
        self.cls_token = nn.Parameter(torch.zeros(1, 1, DIM))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + GRID * GRID, DIM))
        self.blocks = nn.ModuleList(block(DIM) for _ in range(DEPTH))
        self.norm = LayerNorm(DIM)

    def patches(self, x):
        return self.patch_embed["proj"](x).flatten(2).transpose(1, 2)

    def encode(self, x):
        for layer in self.blocks:
            x = layer(x)
        return self.norm(x)

    def positions(self, x):
        """DINO's interpolate_pos_encoding."""
        if x.shape[-1] == SIZE:
            return self.pos_embed
        side = x.shape[-1] // PATCH
        grid = self.pos_embed[:, 1:].reshape(1, GRID, GRID, DIM).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, scale_factor=((side + 0.1) / GRID,) * 2, mode="bicubic")
        assert grid.shape[-1] == side
        return torch.cat([self.pos_embed[:, :1], grid.permute(0, 2, 3, 1).reshape(1, -1, DIM)], 1)

    def forward(self, x):
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), self.patches(x)], 1)
        return self.encode(tokens + self.positions(x))[:, 0]


class MaskedAutoencoder(Encoder):
    DECODER = 12

    def __init__(self):
        super().__init__()
        dim = self.DECODER
        self.pos_embed = nn.Parameter(sincos(DIM), requires_grad=False)
        self.decoder_embed = nn.Linear(DIM, dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.decoder_pos_embed = nn.Parameter(sincos(dim), requires_grad=False)
        self.decoder_blocks = nn.ModuleList([block(dim)])
        self.decoder_norm = LayerNorm(dim)
        self.decoder_pred = nn.Linear(dim, PATCH * PATCH * 3)

    def loss(self, images, hidden):
        count, patches = len(images), GRID * GRID
        x = self.patches(images) + self.pos_embed[:, 1:]
        keep = torch.argsort(hidden.long(), dim=1, stable=True)
        restore = torch.argsort(keep, dim=1)
        keep = keep[:, :patches - int(hidden[0].sum())]
        x = torch.gather(x, 1, keep[..., None].expand(-1, -1, DIM))
        cls = (self.cls_token + self.pos_embed[:, :1]).expand(count, -1, -1)
        x = self.decoder_embed(self.encode(torch.cat([cls, x], 1)))
        mask = self.mask_token.expand(count, patches + 1 - x.shape[1], -1)
        y = torch.cat([x[:, 1:], mask], 1)
        y = torch.gather(y, 1, restore[..., None].expand(-1, -1, self.DECODER))
        y = torch.cat([x[:, :1], y], 1) + self.decoder_pos_embed
        for layer in self.decoder_blocks:
            y = layer(y)
        predicted = self.decoder_pred(self.decoder_norm(y))[:, 1:]
        target = images.reshape(count, 3, GRID, PATCH, GRID, PATCH)
        target = torch.einsum("nchpwq->nhwpqc", target).reshape(count, patches, -1)
        mean, variance = target.mean(-1, keepdim=True), target.var(-1, keepdim=True)
        target = (target - mean) / (variance + 1e-6) ** 0.5
        each = ((predicted - target) ** 2).mean(-1)
        return (each * hidden).sum() / hidden.sum()


class DinoHead(nn.Module):
    def __init__(self, hidden=20, bottleneck=8, outputs=24):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(DIM, hidden), nn.GELU(), nn.Linear(hidden, hidden),
                                 nn.GELU(), nn.Linear(hidden, bottleneck))
        self.last_layer = nn.utils.weight_norm(nn.Linear(bottleneck, outputs, bias=False))
        self.last_layer.weight_g.data.fill_(1)
        self.last_layer.weight_g.requires_grad = False

    def forward(self, x):
        return self.last_layer(F.normalize(self.mlp(x), dim=-1, p=2))


class DinoNetwork(Encoder):
    def __init__(self):
        super().__init__()
        self.head = DinoHead()

    def answer(self, crops):
        return self.head(torch.cat([self(same.flatten(0, 1)) for same in crops]))


def copy_of(model, dtype):
    copy = type(model)()  # deepcopy refuses weight_norm
    copy.load_state_dict(model.state_dict())
    return copy.to(dtype)


def initialise(model):
    generator = torch.Generator().manual_seed(11)
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        noise = torch.randn(parameter.shape, generator=generator)
        with torch.no_grad():
            parameter.add_(0.02 * noise if parameter.dim() == 1 else 0.15 * noise - parameter)


def optimizer_of(model, weight_decay, beta2):
    kept = {"cls_token", "pos_embed", "mask_token"}
    groups = {True: [], False: []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[parameter.dim() > 1 and name not in kept].append(parameter)
    return torch.optim.AdamW([dict(params=groups[True], weight_decay=weight_decay),
                              dict(params=groups[False], weight_decay=0.0)],
                             lr=LEARNING_RATE, betas=(0.9, beta2), eps=1e-8)


def normalised(pictures, dtype):
    return (pictures.to(dtype) / 255 - 0.5) / 0.5


def mae_losses(model, data, dtype):
    optimizer = optimizer_of(model, 0.05, 0.95)
    losses = []
    for step in range(STEPS):
        loss = model.loss(normalised(data["pictures"][step], dtype), data["hidden"][step].to(dtype))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def cosine(start, end, step):
    return end + 0.5 * (start - end) * (1 + math.cos(math.pi * step / STEPS))


def dino_losses(student, data, dtype):
    teacher = copy_of(student, dtype)
    center = torch.zeros(24, dtype=dtype)
    optimizer = optimizer_of(student, 0.04, 0.999)
    losses = []
    for step in range(STEPS):
        epoch = step // (STEPS // EPOCHS)
        temperature = torch.linspace(0.04, 0.07, EPOCHS)[epoch].item()
        optimizer.param_groups[0]["weight_decay"] = cosine(0.04, 0.4, step)
        crops = [normalised(data[kind][step], dtype) for kind in ("global", "local")]
        with torch.no_grad():
            seen = teacher.answer(crops[:1])
        answers = F.softmax((seen - center) / temperature, dim=-1).chunk(2)
        logits = (student.answer(crops) / 0.1).chunk(4)
        terms = [-(q * F.log_softmax(p, dim=-1)).sum(-1).mean()
                 for i, q in enumerate(answers) for v, p in enumerate(logits) if v != i]
        loss = sum(terms) / len(terms)
        optimizer.zero_grad()
        loss.backward()
        if epoch < 1:
            student.head.last_layer.weight_v.grad = None
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            momentum = cosine(0.9, 1.0, step)
            for slow, fast in zip(teacher.parameters(), student.parameters()):
                slow.mul_(momentum).add_((1 - momentum) * fast)
            center = center * 0.9 + seen.mean(0) * 0.1
        losses.append(loss.item())
    return losses


def blobs(shape, generator):
    """Noise with a bright square: something that a picture can be completed by."""
    pictures = 80 * torch.rand(shape, generator=generator)
    flat = pictures.reshape(-1, 3, *shape[-2:])
    for picture in flat:
        y, x = torch.randint(shape[-1] // 2, (2,), generator=generator)
        colour = 170 * torch.rand(3, 1, 1, generator=generator)
        picture[:, y:y + shape[-1] // 2, x:x + shape[-1] // 2] += colour
    return flat.reshape(shape).to(torch.uint8)


def save(name, model, data, losses):
    initialise(model)
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    found, expected = [losses(copy_of(model, dtype), data, dtype)
                       for dtype in (torch.float32, torch.float64)]
    difference = max(abs(a - b) for a, b in zip(found, expected))
    print(f"{name}: {found[0]:.4f} to {found[-1]:.4f}; float32 is {difference:.1e} from float64")
    assert difference < 3e-5
    save_file({**weights, **data, "losses": torch.tensor(found, dtype=torch.float64)},
              ROOT / f"{name}.safetensors")


def main():
    torch.set_num_threads(1)
    torch.manual_seed(11)  # of what initialise() leaves alone: the biases that torch draws
    generator = torch.Generator().manual_seed(7)
    hidden = torch.rand(STEPS, BATCH, GRID * GRID, generator=generator).argsort(-1) < 12
    save("mae", MaskedAutoencoder(),
         {"pictures": blobs((STEPS, BATCH, 3, SIZE, SIZE), generator),
          "hidden": hidden.to(torch.uint8)}, mae_losses)
    save("dino", DinoNetwork(),
         {"global": blobs((STEPS, 2, BATCH, 3, SIZE, SIZE), generator),
          "local": blobs((STEPS, 2, BATCH, 3, SIZE // 2, SIZE // 2), generator)}, dino_losses)


if __name__ == "__main__":
    main()
