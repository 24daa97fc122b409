"""PyTorch with timm: eager (its fused attention) or compiled; f32, bf16, dynamic int8."""
import logging
import warnings

import numpy
import torch

import models


class Engine:
    version = torch.__version__

    def __init__(self, spec):
        torch.set_num_threads(spec["threads"])
        self.images = torch.from_numpy(numpy.load(models.input_path(spec)))
        self.model = models.torch_model(spec["model"], spec["size"])
        if spec["precision"] == "bf16":
            self.model, self.images = self.model.to(torch.bfloat16), self.images.to(torch.bfloat16)
        if spec["precision"] == "int8":
            self.model = torch.ao.quantization.quantize_dynamic(
                self.model, {torch.nn.Linear}, dtype=torch.qint8)
        if spec["variant"] == "compiled":
            from torch._inductor import config
            config.freezing = True  # weights are constants: packed for oneDNN
            config.compile_threads = 1  # no pool of compilers left behind
            self.model = torch.compile(self.model)

    def run(self):
        with torch.no_grad():
            self.logits = self.model(self.images)

    def answer(self):
        return self.logits.float().numpy()


def load(spec):
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    return Engine(spec)
