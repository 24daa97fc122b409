#!/usr/bin/env python3
"""Twenty steps of AdamW or SGD in PyTorch on tiny models: the losses that Vitrail must reproduce.

usage: make_training_golden.py

Writes beside itself batches.safetensors (pictures u8 [20, 8, 28, 28], labels i64 [20, 8]) and, for
each case, CASE.safetensors (the initial weights, `losses` f64 [20], and under "after." the
running statistics at the end, where there are some) and CASE.json (the
configuration in src/train/run/config.h's names, with the model under "model"). The models are the plain
definitions of ../models/generator/vitrail_model.py.
"""

import json
import math
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT.parent / "models"))

from generator.vitrail_model import Config, VisionTransformer  # noqa: E402

STEPS, BATCH, SIZE, CLASSES = 20, 8, 28, 5
EPOCHS, WARMUP_EPOCHS = 4, 1  # of STEPS / EPOCHS batches
MEAN, STD = 0.286, 0.353
NOT_DECAYED = {"cls_token", "pos_embed"}

CASES = {
    "cct": dict(
        model=dict(patch_embedding="tokenizer", tokenizer=dict(layers=2, hidden_channels=6),
                   norm_placement="cct", qkv_bias=False, layer_norm_epsilon=1e-5, embed_dim=16,
                   num_heads=2, mlp_hidden_dim=24, pooling="sequence", class_token=False,
                   position_prefix=0),
        train=dict(learning_rate=3e-3, min_learning_rate=1e-4, weight_decay=0.1, decay_all=False,
                   clip_norm=0.5, label_smoothing=0.1)),
    "vit": dict(
        model=dict(patch_height=7, patch_width=7, embed_dim=12, num_heads=3, layer_scale=True),
        train=dict(learning_rate=1e-2, min_learning_rate=0.0, weight_decay=0.05, decay_all=True,
                   clip_norm=0.0, label_smoothing=0.0)),
    "resnet": dict(
        model=dict(patch_embedding="resnet", layer_norm_epsilon=1e-5, embed_dim=16, num_heads=2,
                   depth=0, class_token=False, position="none", position_prefix=0, final_norm=False,
                   pooling="mean",
                   resnet=dict(stem_channels=4, stem_kernel=3, stem_stride=1, stem_pool=False,
                               blocks=[1, 1, 1], channels=[4, 8, 16], norm_groups=2)),
        train=dict(optimizer="sgd", momentum=0.9, nesterov=True, learning_rate=0.02,
                   min_learning_rate=0.0, weight_decay=1e-4, decay_all=True, clip_norm=0.0,
                   label_smoothing=0.0)),
}
CASES["resnet_batch_norm"] = dict(
    model=dict(CASES["resnet"]["model"],
               resnet=dict(CASES["resnet"]["model"]["resnet"], norm="batch")),
    train=dict(CASES["resnet"]["train"], learning_rate=0.004))


def make_batches():
    """A blurred blob a class, under noise: there is something to learn in twenty steps."""
    generator = torch.Generator().manual_seed(7)
    labels = torch.randint(CLASSES, (STEPS, BATCH), generator=generator)
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    angle = 2 * math.pi * labels[..., None, None] / CLASSES
    blob = torch.exp(-((x - 14 - 8 * angle.cos()) ** 2 + (y - 14 - 8 * angle.sin()) ** 2) / 30)
    noise = torch.rand(STEPS, BATCH, SIZE, SIZE, generator=generator)
    return (180 * blob + 75 * noise).to(torch.uint8), labels


def initialise(model):
    generator = torch.Generator().manual_seed(11)
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        with torch.no_grad():
            parameter.add_(0.02 * noise if parameter.dim() == 1 else 0.15 * noise - parameter)


def learning_rate(step, train):
    warmup = STEPS // EPOCHS * WARMUP_EPOCHS
    peak, low = train["learning_rate"], train["min_learning_rate"]
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / (STEPS - warmup)
    return low + 0.5 * (peak - low) * (1 + math.cos(math.pi * progress))


def groups(model, train):
    decayed = {True: [], False: []}
    for name, parameter in model.named_parameters():
        kept = parameter.dim() == 1 or name in NOT_DECAYED
        decayed[train["decay_all"] or not kept].append(parameter)
    return [dict(params=decayed[True], weight_decay=train["weight_decay"]),
            dict(params=decayed[False], weight_decay=0.0)]


def make_optimizer(model, train):
    if train.get("optimizer") != "sgd":
        return torch.optim.AdamW(groups(model, train), lr=1.0)
    return torch.optim.SGD(groups(model, train), lr=1.0, momentum=train["momentum"],
                           nesterov=train["nesterov"])


def losses_of(model, train, pictures, labels, dtype):
    model = model.to(dtype)
    optimizer = make_optimizer(model, train)
    losses = []
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, train)
        images = (pictures[step].to(dtype)[:, None] / 255 - MEAN) / STD
        loss = torch.nn.functional.cross_entropy(model(images), labels[step],
                                                 label_smoothing=train["label_smoothing"])
        optimizer.zero_grad()
        loss.backward()
        if train["clip_norm"] > 0:
            torch.nn.utils.clip_grad_norm_(model.parameters(), train["clip_norm"])
        optimizer.step()
        losses.append(loss.item())
    after = {f"after.{name}": buffer.float() for name, buffer in model.named_buffers()
             if name.endswith(("running_mean", "running_var"))}
    return losses, after


def config_json(model, train):
    fields = dict(model)
    for group in ("tokenizer", "resnet"):
        fields.update({f"{group}_{name}": value for name, value in fields.pop(group, {}).items()})
    return dict(train, epochs=EPOCHS, batch_size=BATCH, warmup_epochs=WARMUP_EPOCHS, mean=[MEAN],
                std=[STD], model=fields)


def main():
    torch.set_num_threads(1)
    pictures, labels = make_batches()
    save_file({"pictures": pictures, "labels": labels}, ROOT / "batches.safetensors")
    for name, case in CASES.items():
        fields = dict(case["model"], image_height=SIZE, image_width=SIZE, in_channels=1,
                      depth=case["model"].get("depth", 2), num_classes=CLASSES)
        torch.manual_seed(11)  # of what initialise() leaves alone: the biases that torch draws
        model = VisionTransformer(Config(**fields))
        initialise(model)
        weights = {key: value.clone() for key, value in model.state_dict().items()}
        losses, after = losses_of(model, case["train"], pictures, labels, torch.float32)
        exact = VisionTransformer(Config(**fields))
        exact.load_state_dict(weights)
        exact, _ = losses_of(exact, case["train"], pictures, labels, torch.float64)
        difference = max(abs(a - b) for a, b in zip(losses, exact))
        print(f"{name}: {losses[0]:.4f} to {losses[-1]:.4f}; float32 is {difference:.1e} from float64")
        assert difference < 3e-5
        save_file({**weights, **after, "losses": torch.tensor(losses, dtype=torch.float64)},
                  ROOT / f"{name}.safetensors")
        text = json.dumps(config_json(fields, case["train"]), indent=2)
        (ROOT / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
