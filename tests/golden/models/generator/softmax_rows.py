"""Rows of attention where a library computes softmax without a module that could be hooked."""

import torch


class SoftmaxRows:
    """Stands on an attention layer; what its softmax makes is told to whoever hooks it."""

    def __init__(self):
        self.hooks = []

    def register_forward_hook(self, hook):
        self.hooks.append(hook)
        return self

    def remove(self):
        self.hooks.clear()


def watch(layers):
    for layer in layers:
        layer.softmax_rows = SoftmaxRows()


def watched(model):
    return [m.softmax_rows for m in model.modules() if hasattr(m, "softmax_rows")]


def watching(forward):
    """The forward pass with softmax observed: the layers' own, in their order. Biases that the
    library keeps of a pass that is not training are forgotten before and after it."""

    def clear(model):
        for module in model.modules():
            if hasattr(module, "attention_bias_cache"):
                module.attention_bias_cache = {}

    def run(model, x):
        rows = iter(watched(model))
        softmax = torch.Tensor.softmax

        def observed(scores, dim):
            weights = softmax(scores, dim=dim)
            for hook in next(rows).hooks:
                hook(None, None, weights)
            return weights

        clear(model)
        torch.Tensor.softmax = observed
        try:
            return forward(model, x)
        finally:
            torch.Tensor.softmax = softmax
            clear(model)

    return run
