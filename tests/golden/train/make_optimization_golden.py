#!/usr/bin/env python3
"""What timm and torch answer for schedules, optimizers, layer-wise decay and averaged weights.

usage: make_optimization_golden.py

Writes optimization.json beside itself. Numbers are those of golden_input() in tests/kernels/golden.h.
"""

import json
from pathlib import Path

import timm
import torch
import torch.optim._muon as torch_muon
from timm.optim import param_groups_layer_decay
from timm.scheduler import CosineLRScheduler, StepLRScheduler
from timm.utils import ModelEmaV3

HERE = Path(__file__).resolve().parent
STEPS = 40


def values(count, start=0):
    return ((torch.arange(start, start + count) * 37) % 101).float() / 64 - 0.75


def optimizer_of_one(lr):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


def timm_rates(make):
    optimizer = optimizer_of_one(0.5)
    schedule = make(optimizer)
    rates = []
    for step in range(STEPS):
        schedule.step_update(step)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def torch_rates(make):
    optimizer = optimizer_of_one(0.5)
    schedule = make(optimizer)
    rates = []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(rates) < STEPS:
            schedule.step()
    return rates


def schedules():
    lr = torch.optim.lr_scheduler
    return {
        "cosine": timm_rates(lambda o: CosineLRScheduler(
            o, t_initial=26, lr_min=0.01, warmup_t=6, warmup_lr_init=0.002, warmup_prefix=True,
            t_in_epochs=False)),
        "step": timm_rates(lambda o: StepLRScheduler(
            o, decay_t=7, decay_rate=0.3, warmup_t=5, warmup_lr_init=0.002, t_in_epochs=False)),
        "one_cycle": torch_rates(lambda o: lr.OneCycleLR(
            o, max_lr=0.5, total_steps=STEPS, pct_start=0.3, div_factor=20, final_div_factor=5,
            cycle_momentum=False)),
        "linear": torch_rates(lambda o: lr.LinearLR(
            o, start_factor=1.0, end_factor=0.02, total_iters=STEPS)),
        "constant": torch_rates(lambda o: lr.LinearLR(
            o, start_factor=0.2, end_factor=1.0, total_iters=4)),
    }


def stepped(optimizer, parameter, steps=4):
    count = parameter.numel()
    for step in range(1, steps + 1):
        parameter.grad = values(count, start=count * step).reshape(parameter.shape)
        optimizer.step()
    return parameter.detach().flatten().tolist()


def sgd():
    cases = []
    for momentum, nesterov, decay in ((0.0, False, 0.1), (0.9, False, 0.0), (0.8, True, 0.05)):
        parameter = torch.nn.Parameter(values(19))
        optimizer = torch.optim.SGD([parameter], lr=0.05, momentum=momentum, nesterov=nesterov,
                                    weight_decay=decay)
        cases.append(dict(momentum=momentum, nesterov=nesterov, weight_decay=decay,
                          values=stepped(optimizer, parameter)))
    return cases


def exact_newton_schulz(gradient, coefficients, steps, eps):
    """The iteration of torch.optim.Muon in double precision instead of bfloat16."""
    a, b, c = coefficients
    x = gradient.double()
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        if x.size(0) <= x.size(1):
            gram = x @ x.T
            x = a * x + (b * gram + c * gram @ gram) @ x
        else:
            gram = x.T @ x
            x = a * x + x @ (b * gram + c * gram @ gram)
    return x.float()


def muon():
    rounded = torch_muon._zeropower_via_newtonschulz
    cases = []
    for shape in ((6, 10), (10, 6), (8, 8)):
        for nesterov, match in ((True, True), (False, False)):
            case = dict(shape=shape, nesterov=nesterov, match=match)
            for name, iteration in (("values", exact_newton_schulz), ("bfloat16", rounded)):
                torch_muon._zeropower_via_newtonschulz = iteration
                parameter = torch.nn.Parameter(values(shape[0] * shape[1]).reshape(shape))
                optimizer = torch.optim.Muon(
                    [parameter], lr=0.02, weight_decay=0.1, momentum=0.9, nesterov=nesterov,
                    adjust_lr_fn="match_rms_adamw" if match else "original")
                case[name] = stepped(optimizer, parameter)
            cases.append(case)
    return cases


def layers():
    model = timm.models.VisionTransformer(img_size=8, patch_size=4, embed_dim=8, depth=3,
                                          num_heads=2, num_classes=3, reg_tokens=2)
    groups = param_groups_layer_decay(model, weight_decay=0.05, layer_decay=0.7,
                                      no_weight_decay_list=model.no_weight_decay())
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {names[id(p)]: [group["lr_scale"], group["weight_decay"]]
            for group in groups for p in group["params"]}


def ema():
    cases = []
    for decay, warmup in ((0.9, False), (0.95, True)):
        model = torch.nn.Linear(19, 1, bias=False)
        with torch.no_grad():
            model.weight.copy_(values(19)[None])
        average = ModelEmaV3(model, decay=decay, use_warmup=warmup)
        decays = []
        for step in range(1, 9):
            with torch.no_grad():
                model.weight.copy_(values(19, 19 * step)[None])
            decays.append(average.get_decay(step))
            average.update(model, step=step)
        cases.append(dict(decay=decay, warmup=warmup, decays=decays,
                          values=average.module.weight.detach().flatten().tolist()))
    return cases


def main():
    golden = dict(schedules=schedules(), sgd=sgd(), muon=muon(), layers=layers(), ema=ema())
    (HERE / "optimization.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
