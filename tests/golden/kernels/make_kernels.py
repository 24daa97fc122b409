"""Writes interpolate.txt, interpolate_corners.txt and adamw.txt beside itself: what PyTorch computes
in f32.

Needs torch; the tests need neither. Inputs are made from integers, so that the tests make the same
ones: value(i) = (37 i mod 101) / 64 - 3/4.
"""
import pathlib

import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).parent


def values(count, start=0):
    return ((torch.arange(start, start + count) * 37) % 101).float() / 64 - 0.75


def numbers(tensor):
    return " ".join(f"{v:.9g}" for v in tensor.flatten().tolist())


def interpolate():
    """mode antialias planes in_h in_w out_h out_w scale_h scale_w : values"""
    lines = []
    sizes = [(7, 7, 14, 14), (14, 14, 7, 7), (7, 5, 9, 11), (16, 12, 5, 5), (8, 8, 3, 17),
             (1, 1, 4, 4), (4, 4, 1, 1), (5, 5, 5, 5), (10, 3, 7, 2)]
    for mode in ("bilinear", "bicubic"):
        for antialias in (False, True):
            for in_h, in_w, out_h, out_w in sizes:
                x = values(2 * in_h * in_w).reshape(1, 2, in_h, in_w)
                y = F.interpolate(x, (out_h, out_w), mode=mode, antialias=antialias,
                                  align_corners=False)
                lines.append(f"{mode} {int(antialias)} 2 {in_h} {in_w} {out_h} {out_w} 0 0 : {numbers(y)}")
            # DINOv2 adds 0.1 to the grid it wants before dividing.
            for in_size, out_h, out_w in ((9, 14, 11), (9, 5, 16), (16, 9, 9)):
                x = values(2 * in_size * in_size).reshape(1, 2, in_size, in_size)
                scale = ((out_h + 0.1) / in_size, (out_w + 0.1) / in_size)
                y = F.interpolate(x, scale_factor=scale, mode=mode, antialias=antialias)
                assert y.shape[-2:] == (out_h, out_w)
                lines.append(f"{mode} {int(antialias)} 2 {in_size} {in_size} {out_h} {out_w} "
                             f"{scale[0]!r} {scale[1]!r} : {numbers(y)}")
    (HERE / "interpolate.txt").write_text("\n".join(lines) + "\n")


def interpolate_corners():
    """The same with align_corners."""
    lines = []
    for mode in ("bilinear", "bicubic"):
        for antialias in (False, True):
            for in_h, in_w, out_h, out_w in ((7, 5, 9, 11), (16, 12, 5, 6), (8, 8, 3, 17), (1, 1, 4, 4),
                                             (5, 4, 1, 1), (5, 5, 5, 5)):
                x = values(2 * in_h * in_w).reshape(1, 2, in_h, in_w)
                y = F.interpolate(x, (out_h, out_w), mode=mode, antialias=antialias,
                                  align_corners=True)
                lines.append(f"{mode} {int(antialias)} 2 {in_h} {in_w} {out_h} {out_w} 0 0 : {numbers(y)}")
    (HERE / "interpolate_corners.txt").write_text("\n".join(lines) + "\n")


def adamw():
    """lr beta1 beta2 epsilon weight_decay gradient_scale steps : the parameter's 19 values after"""
    lines = []
    for lr, betas, eps, decay, scale in ((1e-3, (0.9, 0.999), 1e-8, 1e-2, 1.0),
                                         (5e-2, (0.8, 0.95), 1e-6, 0.3, 0.25),
                                         (1e-1, (0.0, 0.5), 1e-3, 0.0, 4.0)):
        parameter = torch.nn.Parameter(values(19))
        optimizer = torch.optim.AdamW([parameter], lr=lr, betas=betas, eps=eps,
                                      weight_decay=decay, foreach=False, fused=False)
        for step in range(1, 11):
            parameter.grad = values(19, start=19 * step) * scale
            optimizer.step()
            if step in (1, 2, 10):
                lines.append(f"{lr} {betas[0]} {betas[1]} {eps} {decay} {scale} {step} : "
                             f"{numbers(parameter.detach())}")
    (HERE / "adamw.txt").write_text("\n".join(lines) + "\n")


interpolate()
interpolate_corners()
adamw()
