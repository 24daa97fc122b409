#!/usr/bin/env python3
"""The recipe of `vitrail finetune` in PyTorch and timm: the oracle of its accuracy, and the peer of
its time per step. Needs torch, torchvision, timm, safetensors.

  finetune.py split SOURCE TARGET            class folders as TARGET/train and TARGET/val (links)
  finetune.py probe MODEL DATA               linear probe
  finetune.py full MODEL DATA [--epochs N]   probe, then everything
  finetune.py step MODEL [--batch N]         milliseconds of a training step
"""
import argparse
import json
import math
import pathlib
import random
import time

import timm
import timm.optim
import torch
from safetensors.torch import load_file
from torch.nn import functional
from torchvision import datasets, transforms

PENALTIES = [1, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4]


def split(source, target, train_count, seed=0):
    for folder in sorted(pathlib.Path(source).iterdir()):
        names = sorted(path for path in folder.iterdir() if path.is_file())
        random.Random(f"{seed} {folder.name}").shuffle(names)
        for part, chosen in (("train", names[:train_count]), ("val", names[train_count:])):
            place = pathlib.Path(target) / part / folder.name
            place.mkdir(parents=True)
            for name in chosen:
                (place / name.name).symlink_to(name.resolve())


def load(folder, classes, drop_path=0.0):
    folder = pathlib.Path(folder)
    config = json.loads((folder / "config.json").read_text())
    model = timm.create_model(config["architecture"], num_classes=classes,
                              drop_path_rate=drop_path, **config.get("model_args", {}))
    weights = load_file(folder / "model.safetensors")
    weights = {name: value for name, value in weights.items() if not name.startswith("head.")}
    missing = model.load_state_dict(weights, strict=False)
    assert set(missing.missing_keys) == {"head.weight", "head.bias"}, missing
    data = timm.data.resolve_data_config(config["pretrained_cfg"])
    return model, data


def features(model, data, folder):
    transform = timm.data.create_transform(**data, is_training=False)
    pictures = datasets.ImageFolder(folder, transform)
    loader = torch.utils.data.DataLoader(pictures, batch_size=32)
    model.eval()
    with torch.inference_mode():
        parts = [(model.forward_head(model.forward_features(x), pre_logits=True), y)
                 for x, y in loader]
    return torch.cat([x for x, _ in parts]).clone(), torch.cat([y for _, y in parts]).clone()


def fit_probe(train, val, classes):
    x, y = train
    mean, deviation = x.mean(0), x.std(0, unbiased=False)
    scaled = (x - mean) / deviation
    weight = torch.zeros(classes, x.shape[1], requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    best = None
    for penalty in PENALTIES:
        optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, tolerance_grad=1e-6,
                                      line_search_fn="strong_wolfe")

        def closure():
            optimizer.zero_grad()
            loss = (functional.cross_entropy(scaled @ weight.t() + bias, y)
                    + penalty / 2 * (weight ** 2).sum())
            loss.backward()
            return loss

        optimizer.step(closure)
        with torch.no_grad():
            w = weight / deviation
            b = bias - w @ mean
            logits = val[0] @ w.t() + b
            correct = int((logits.argmax(1) == val[1]).sum())
            loss = float(functional.cross_entropy(logits, val[1]))
        if best is None or (correct, -loss) > (best[0], -best[1]):
            best = (correct, loss, penalty, w.clone(), b.clone())
    return best


def probe(model, data, folder):
    begin = time.time()
    train = features(model, data, f"{folder}/train")
    val = features(model, data, f"{folder}/val")
    correct, _, penalty, weight, bias = fit_probe(train, val, model.num_classes)
    print(f"probe: {correct} of {len(val[1])} = {100 * correct / len(val[1]):.2f}%, "
          f"penalty {penalty}, {time.time() - begin:.0f} s", flush=True)
    with torch.no_grad():
        model.head.weight.copy_(weight)
        model.head.bias.copy_(bias)


def evaluate(model, data, folder):
    transform = timm.data.create_transform(**data, is_training=False)
    loader = torch.utils.data.DataLoader(datasets.ImageFolder(folder, transform), batch_size=32)
    model.eval()
    with torch.inference_mode():
        return sum(int((model(x).argmax(1) == y).sum()) for x, y in loader), len(loader.dataset)


def full(model, data, folder, options):
    size = data["input_size"][1]
    transform = transforms.Compose([
        transforms.RandomResizedCrop(size, (0.35, 1),
                                     interpolation=transforms.InterpolationMode.BICUBIC),
        transforms.RandomHorizontalFlip(), transforms.ToTensor(),
        transforms.Normalize(data["mean"], data["std"])])
    pictures = datasets.ImageFolder(f"{folder}/train", transform)
    loader = torch.utils.data.DataLoader(pictures, batch_size=options.batch, shuffle=True,
                                         drop_last=True)
    groups = timm.optim.param_groups_layer_decay(
        model, weight_decay=0.05, layer_decay=options.layer_decay)
    optimizer = torch.optim.AdamW(groups, lr=options.lr, fused=True)
    total = options.epochs * len(loader)
    warmup = round(min(2.0, 0.1 * options.epochs) * len(loader))
    rate = [group["lr_scale"] for group in optimizer.param_groups]
    step, seconds = 0, 0.0
    for epoch in range(options.epochs):
        model.train()
        for x, y in loader:
            begin = time.time()
            now = (options.lr * (step + 1) / warmup if step < warmup else 1e-6 + 0.5 * (
                options.lr - 1e-6) * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))))
            for group, factor in zip(optimizer.param_groups, rate):
                group["lr"] = now * factor
            optimizer.zero_grad(set_to_none=True)
            functional.cross_entropy(model(x), y, label_smoothing=0.1).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            step += 1
            seconds += time.time() - begin
        correct, count = evaluate(model, data, f"{folder}/val")
        print(f"epoch {epoch + 1}: {correct} of {count} = {100 * correct / count:.2f}%, "
              f"{1000 * seconds / step:.0f} ms a step", flush=True)


def time_step(model, options):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, weight_decay=0.05, fused=True)
    size = model.patch_embed.img_size[0]
    x, y = torch.randn(options.batch, 3, size, size), torch.arange(options.batch) % 17
    model.train()
    times = []
    for _ in range(options.steps + 2):
        begin = time.time()
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(model(x), y, label_smoothing=0.1).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        times.append(time.time() - begin)
    times = sorted(times[2:])
    print(f"{1000 * times[len(times) // 2]:.1f} ms a step (median of {len(times)})")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["split", "probe", "full", "step"])
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=3e-4)
    parser.add_argument("--layer-decay", type=float, default=0.75)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--train-count", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    if options.what == "split":
        return split(*options.paths, options.train_count)
    if options.what == "step":
        return time_step(load(options.paths[0], 17, 0.1)[0], options)
    folder = options.paths[1]
    classes = len(list((pathlib.Path(folder) / "train").iterdir()))
    model, data = load(options.paths[0], classes, 0.1 if options.what == "full" else 0.0)
    probe(model, data, folder)
    if options.what == "full":
        full(model, data, folder, options)


if __name__ == "__main__":
    main()
