#!/usr/bin/env python3
"""Fifty steps in PyTorch with AdamW, mixup and averaged weights: the losses that Vitrail must give.

usage: make_recipe_golden.py

Writes recipe.json beside itself: the configuration, the losses of the steps, and those of timm's
ModelEmaV3 every ten steps. Weights and pictures come from a formula that the test repeats.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
from timm.utils import ModelEmaV3

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT.parent / "models"))

from generator.vitrail_model import Config, VisionTransformer  # noqa: E402

STEPS, WARMUP, BATCH, SIZE, CLASSES = 50, 5, 8, 16, 5
MODEL = dict(image_height=SIZE, image_width=SIZE, in_channels=3, patch_height=4, patch_width=4,
             embed_dim=24, num_heads=3, depth=2, mlp_hidden_dim=48, num_classes=CLASSES)
TRAIN = dict(learning_rate=3e-3, min_learning_rate=1e-4, weight_decay=0.05, clip_norm=1.0,
             label_smoothing=0.1, ema_decay=0.95, ema_warmup=True)


def uniform(count, seed):
    """In [0, 1): an integer hash of (index, seed)."""
    x = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B1)
    x += np.uint32(seed * 0x85EBCA77 & 0xFFFFFFFF)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x2C1B3C6D)
    x ^= x >> np.uint32(12)
    x *= np.uint32(0x297A2D39)
    x ^= x >> np.uint32(15)
    return x.astype(np.float64) / 2.0**32


def path_seed(path):
    value = 2166136261
    for byte in path.encode():
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return value


def weight(path, shape):
    count = int(np.prod(shape))
    noise = sum(uniform(count, (path_seed(path) + k) & 0xFFFFFFFF) for k in range(4)) - 2
    start = 1.0 if "norm" in path and path.endswith("weight") else 0.0
    scale = 0.05 if len(shape) == 1 else 0.25
    return torch.tensor((start + scale * noise).reshape(shape), dtype=torch.float32)


def batch(step):
    """Stripes whose phase is the class, under noise."""
    labels = np.floor(uniform(BATCH, 1000 + step) * CLASSES).astype(np.int64)
    noise = uniform(BATCH * 3 * SIZE * SIZE, 2000 + step).reshape(BATCH, 3, SIZE, SIZE)
    stripes = (np.arange(SIZE)[None, :] + 3 * labels[:, None]) % 7 / 3.0 - 1
    pictures = stripes[:, None, None, :] + noise
    return torch.tensor(pictures, dtype=torch.float32), torch.tensor(labels)


def mixed(step):
    """timm's mixup of a batch with its reverse."""
    pictures, labels = batch(step)
    share = 0.5 + 0.05 * (step % 10)
    hot = torch.nn.functional.one_hot(labels, CLASSES).float()
    hot = hot * (1 - TRAIN["label_smoothing"]) + TRAIN["label_smoothing"] / CLASSES
    return (pictures * share + pictures.flip(0) * (1 - share),
            hot * share + hot.flip(0) * (1 - share))


def learning_rate(step):
    peak, low = TRAIN["learning_rate"], TRAIN["min_learning_rate"]
    if step < WARMUP:
        return peak * (step + 1) / WARMUP
    progress = (step - WARMUP) / (STEPS - WARMUP)
    return low + 0.5 * (peak - low) * (1 + math.cos(math.pi * progress))


def main():
    torch.set_num_threads(1)
    model = VisionTransformer(Config(**MODEL))
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            parameter.copy_(weight(path, tuple(parameter.shape)))
    plain = [p for n, p in model.named_parameters() if p.dim() == 1 or n in ("cls_token", "pos_embed")]
    decayed = [p for n, p in model.named_parameters()
               if not (p.dim() == 1 or n in ("cls_token", "pos_embed"))]
    optimizer = torch.optim.AdamW([dict(params=decayed, weight_decay=TRAIN["weight_decay"]),
                                   dict(params=plain, weight_decay=0.0)], lr=1.0)
    average = ModelEmaV3(model, decay=TRAIN["ema_decay"], use_warmup=TRAIN["ema_warmup"])
    losses, averaged = [], []
    test_pictures, test_labels = batch(999)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        pictures, targets = mixed(step)
        loss = torch.sum(-targets * torch.log_softmax(model(pictures), -1), -1).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), TRAIN["clip_norm"])
        optimizer.step()
        average.update(model, step=step + 1)
        losses.append(loss.item())
        if step % 10 == 9:
            with torch.no_grad():
                answer = average.module(test_pictures)
            averaged.append(torch.nn.functional.cross_entropy(answer, test_labels).item())
    print(f"{losses[0]:.4f} to {losses[-1]:.4f}; averaged {averaged}")
    (ROOT / "recipe.json").write_text(json.dumps(dict(
        train=dict(TRAIN, epochs=STEPS, batch_size=BATCH, warmup_epochs=WARMUP, model=MODEL),
        losses=losses, averaged=averaged), indent=1) + "\n")


if __name__ == "__main__":
    main()
