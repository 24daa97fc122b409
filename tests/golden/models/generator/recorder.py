"""Runs one tiny model in float64 and in float32 and writes its golden folder."""

import copy
import json
import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import numpy
import torch
from safetensors.torch import save_file
from torch import nn

BATCH = 2
ADAMW = {"lr": 2e-3, "weight_decay": 0.05, "betas": [0.9, 0.999], "eps": 1e-8, "steps": 10}


@dataclass
class Case:
    """One model and how to look into it; every callable takes the model it is given."""

    family: str
    name: str
    library: str
    model: nn.Module
    picture: tuple  # (C, H, W) of the golden's input
    blocks: Callable  # model -> modules whose outputs are block.i
    forward: Callable = lambda model, x: model(x)  # -> logits [B, K]
    # {parameter name in memory: tensor} -> {tensor name in the family's file: tensor}; linear.
    to_file: Callable = lambda tensors: dict(tensors)
    # The same of gradients, where the family reads parts of a tensor as parameters of their own.
    gradients_to_file: Callable | None = None
    attention: Callable | None = None  # model -> modules whose outputs are softmax rows [B,H,N,N]
    stages: Callable | None = None  # model -> modules whose outputs are stage.i
    to_tokens: Callable = lambda output: output  # of a block or a stage, to [B, N, D]
    write_config: Callable = lambda folder: None
    # (folder, {tensor name in the family's file: tensor}); None: model.safetensors.
    write_weights: Callable | None = None
    weight_scale: float = 1.0  # of matrices, over 1 / sqrt(fan in)
    faint: bool = False  # tokens of small variance, so that LayerNorm's epsilon is seen
    settings: dict = field(default_factory=dict)  # what --set must say for this checkpoint
    metadata: dict | None = None  # of model.safetensors
    steps: int = ADAMW["steps"]  # 0: the model ties parameters that Vitrail trains apart
    added: tuple = ()  # parameters of zeros that Vitrail adds: the library has no gradient of them


def depth_of(index):
    """Every third case of a pairwise table has two blocks, the others one: smaller files."""
    return 2 if index % 3 == 0 else 1


def seeded(*words):
    generator = torch.Generator()
    generator.manual_seed(zlib.crc32("/".join(words).encode()))
    return generator


EMBEDDING = re.compile(r"patch_embed|pos_|position|tokenizer|token$|distillation_token")


def randomise(model, case_name, weight_scale=1.0, faint=False):
    """Weights of a spread that lets every parameter matter: a fresh model hides most mistakes."""
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=seeded(case_name, name))
        leaf = name.rsplit(".", 1)[-1]
        if leaf in ("gamma", "lambda1"):
            value = 0.7 + 0.3 * noise
        elif parameter.dim() == 1 and leaf == "weight":  # LayerNorm
            value = 1.0 + 0.3 * noise
        elif leaf == "bias":
            value = 0.25 * noise
        elif leaf == "logit_scale":  # of cosine attention: the first head's is beyond its bound, ln 100
            value = 1.5 + noise
            value.view(-1)[0] = 4.7
        elif "token" in leaf or "pos" in leaf or leaf == "latent":
            value = 0.5 * noise
        else:
            value = weight_scale * noise / max(1, parameter[0].numel()) ** 0.5
        if faint and EMBEDDING.search(name):
            value = 0.01 * value
        with torch.no_grad():
            parameter.copy_(value)
    for name, statistic in running_statistics(model):
        noise = torch.rand(statistic.shape, generator=seeded(case_name, name))
        statistic.copy_(noise - 0.5 if name.endswith("mean") else noise + 0.5)


def running_statistics(model):
    """What batch normalisation keeps: saved with the weights, and constant in every golden."""
    return [(name, buffer) for name, buffer in model.named_buffers()
            if name.endswith(("running_mean", "running_var"))]


class Capture:
    """Keeps the outputs of modules while the model runs."""

    def __init__(self, modules):
        self.outputs = [None] * len(modules)
        self.handles = [
            module.register_forward_hook(self._hook(index)) for index, module in enumerate(modules)
        ]

    def _hook(self, index):
        def keep(_module, _inputs, output):
            self.outputs[index] = (output[0] if isinstance(output, tuple) else output).detach()

        return keep

    def remove(self):
        for handle in self.handles:
            handle.remove()


def run(case, model, pixels, labels):
    """Logits, blocks, gradients, attention rows and the losses of AdamW, in the model's dtype."""
    result = {}
    capture = Capture(case.blocks(model))
    rows = Capture(case.attention(model)) if case.attention else None
    stages = Capture(case.stages(model)) if case.stages else None
    model.zero_grad()
    logits = case.forward(model, pixels)
    loss = nn.functional.cross_entropy(logits, labels)
    loss.backward()
    capture.remove()
    result["logits"] = logits.detach()
    for index, output in enumerate(capture.outputs):
        result[f"block.{index}"] = case.to_tokens(output)
    if stages:
        stages.remove()
        for index, output in enumerate(stages.outputs):
            result[f"stage.{index}"] = case.to_tokens(output)
    if rows:
        rows.remove()
        for index, output in enumerate(rows.outputs):
            result[f"attention.{index}"] = output
    gradients = {
        name: parameter.grad for name, parameter in model.named_parameters()
        if parameter.grad is not None and parameter.numel() > 0
    }
    for name, gradient in (case.gradients_to_file or case.to_file)(gradients).items():
        result[f"grad.{name}"] = gradient.clone()

    optimizer = torch.optim.AdamW(
        model.parameters(), lr=ADAMW["lr"], betas=tuple(ADAMW["betas"]), eps=ADAMW["eps"],
        weight_decay=ADAMW["weight_decay"])
    losses = []
    for _ in range(case.steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(case.forward(model, pixels), labels)
        loss.backward()
        losses.append(loss.detach())
        optimizer.step()
    with torch.no_grad():
        losses.append(nn.functional.cross_entropy(case.forward(model, pixels), labels))
    result["losses"] = torch.stack(losses)
    return result


def relative_errors(approximate, exact):
    """max|a - b| / max|b| per tensor; a gradient is measured against at least 1e-3 of the largest."""
    largest = max(t.abs().max().item() for n, t in exact.items() if n.startswith("grad."))
    errors = {}
    for name, b in exact.items():
        scale = b.abs().max().item()
        if name.startswith("grad."):
            scale = max(scale, 1e-3 * largest)
        errors[name] = (approximate[name].double() - b).abs().max().item() / scale
    return errors


def record(case, root):
    folder = Path(root) / case.family / case.name
    folder.mkdir(parents=True, exist_ok=True)
    model = case.model.eval()
    randomise(model, f"{case.family}/{case.name}", case.weight_scale,
              case.faint)

    pixels = torch.randn((BATCH, *case.picture), generator=seeded(case.name, "input"))
    with torch.no_grad():
        classes = case.forward(model, pixels).shape[1]
    labels = torch.randint(classes, (BATCH,), generator=seeded(case.name, "labels"))

    weights = case.to_file({n: p.detach().clone() for n, p in
                            [*model.named_parameters(), *running_statistics(model)]})
    if case.write_weights:
        case.write_weights(folder, weights)
    else:
        save_file({n: t.contiguous() for n, t in weights.items()}, folder / "model.safetensors",
                  metadata=case.metadata)
    single = run(case, copy.deepcopy(model), pixels, labels)
    exact = run(case, copy.deepcopy(model).double(), pixels.double(), labels)
    errors = relative_errors(single, exact)
    if not numpy.isfinite(list(errors.values())).all():
        raise ValueError(f"{case.family}/{case.name}: not finite")

    tensors = {name: tensor.float().contiguous() for name, tensor in exact.items()}
    tensors["input"] = pixels
    tensors["labels"] = labels
    save_file(tensors, folder / "golden.safetensors")
    case.write_config(folder)
    for file in folder.iterdir():
        file.chmod(0o644)
    golden = {
        "family": case.family,
        "library": case.library,
        "settings": case.settings,
        "adamw": {**ADAMW, "steps": case.steps},
        "float32_error": {  # smaller ones change no bound
            name: float(f"{error:.2e}") for name, error in sorted(errors.items()) if error > 1e-6
        },
    }
    if case.added:
        golden["added"] = list(case.added)
    (folder / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")
    return max(errors.values())
