"""PyTorch's training step: timm's model, cross entropy, clipped gradients, its fused AdamW."""
import contextlib

import numpy
import torch

import models


class Engine:
    version = torch.__version__

    def __init__(self, spec):
        torch.set_num_threads(spec["threads"])
        self.bf16 = spec["precision"] == "bf16"
        self.model = models.torch_model(spec["model"], spec["size"]).train()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-6, weight_decay=0.05,
                                           fused=True)
        self.images = torch.from_numpy(numpy.load(models.input_path(spec)))
        self.labels = torch.tensor(spec["labels"])
        self.first = None

    def run(self):
        self.optimizer.zero_grad(set_to_none=True)
        cast = torch.autocast("cpu", torch.bfloat16) if self.bf16 else contextlib.nullcontext()
        with cast:
            loss = torch.nn.functional.cross_entropy(self.model(self.images), self.labels)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        if self.first is None:
            self.first = numpy.array([loss.item(), norm.item()])

    def answer(self):
        """Loss and gradient norm of the first step."""
        return self.first


def load(spec):
    return Engine(spec)
