#!/usr/bin/env python3
"""Fits the coefficients of src/kernels/cpu/vector_math-inl.h, and of attention_scores-inl.h's Exp2,
and prints them. Needs numpy and mpmath.

Minimax fits by Lawson's algorithm: least squares whose weights grow where the error is largest.
"""
import math

import mpmath
import numpy as np

NODES = np.cos(np.linspace(0, np.pi, 4001))


def lawson(system, error, rounds):
    """Coefficients with the smallest largest error. system(w) solves for weights w."""
    weights, best = np.ones(error(system(np.ones(1))).size), (math.inf, None)
    for _ in range(rounds):
        coefficients = system(weights)
        e = np.abs(error(coefficients))
        if e.max() < best[0]:
            best = (e.max(), coefficients)
        weights = weights * np.sqrt(e / e.max() + 1e-3)
        weights /= weights.mean()
    return best


def fit_exp():
    """q in exp(r) = 1 + r + r^2 q(r), of degree 4, relative error on |r| <= log(2) / 2."""
    r = NODES * math.log(2) / 2 * 1.0005
    r = r[np.abs(r) > 1e-4]
    target = np.array([float((mpmath.e ** mpmath.mpf(v) - 1 - mpmath.mpf(v)) / mpmath.mpf(v) ** 2)
                       for v in r])
    scale = r * r / np.exp(r)
    powers = np.vander(r, 5, increasing=True)

    def system(weights):
        w = np.sqrt(weights) * scale
        return np.linalg.lstsq(powers * w[:, None], target * w, rcond=None)[0]

    return lawson(system, lambda c: (powers @ c - target) * scale, 500)


def fit_exp2():
    """q in 2^r = 1 + r q(r), of degree 4, relative error on |r| <= 1 / 2."""
    r = NODES / 2 * 1.0005
    r = r[np.abs(r) > 1e-4]
    value = 2.0 ** r
    powers = np.vander(r, 6, increasing=True)[:, 1:] / value[:, None]
    target = 1 - 1 / value

    def system(weights):
        w = np.sqrt(weights)
        return np.linalg.lstsq(powers * w[:, None], target * w, rcond=None)[0]

    return lawson(system, lambda c: powers @ c - target, 500)


def fit_erf(degree=5, limit=4.0):
    """P and Q in erf(x) = x P(x^2) / Q(x^2), Q(0) = 1, relative error on |x| <= limit."""
    x = (NODES + 1) / 2 * limit
    x = x[x > 1e-6]
    target = np.vectorize(math.erf)(x) / x
    s = (x / limit) ** 2
    numerator = np.vander(s, degree + 1, increasing=True)
    denominator = numerator[:, 1:]
    q = np.ones_like(x)

    def system(weights):
        nonlocal q
        w = np.sqrt(weights) / target / np.abs(q)
        matrix = np.hstack([numerator, -target[:, None] * denominator]) * w[:, None]
        c = np.linalg.lstsq(matrix, target * w, rcond=None)[0]
        q = 1 + denominator @ c[degree + 1:]
        return c

    error, c = lawson(system, lambda c: numerator @ c[:degree + 1] /
                      (1 + denominator @ c[degree + 1:]) / target - 1, 1500)
    powers = limit ** (2.0 * np.arange(degree + 1))
    return error, c[:degree + 1] / powers, np.concatenate([[1], c[degree + 1:]]) / powers


def fit_gelu(degree=7, limit=4.0):
    """P in gelu(x) = x (1/2 + x P(x^2)), absolute error on |x| <= limit."""
    x = (NODES + 1) / 2 * limit
    x = x[x > 1e-6]
    target = x * np.vectorize(math.erf)(x / math.sqrt(2)) / 2
    powers = np.vander((x / limit) ** 2, degree + 1, increasing=True) * (x * x)[:, None]

    def system(weights):
        w = np.sqrt(weights) * np.ones_like(x)
        return np.linalg.lstsq(powers * w[:, None], target * w, rcond=None)[0]

    error, c = lawson(system, lambda c: powers @ c - target, 1000)
    return error, c / limit ** (2.0 * np.arange(degree + 1))


def show(name, coefficients):
    print(name, ", ".join(f"{v:.9g}f" for v in coefficients.astype(np.float32)))


error, q = fit_exp()
print(f"exp: relative error {error:.2g}")
show("  q", q)
error, q = fit_exp2()
print(f"exp2: relative error {error:.2g}")
show("  q", q)
error, p, q = fit_erf()
print(f"erf: relative error {error:.2g}")
show("  P", p)
show("  Q", q)
error, p = fit_gelu()
print(f"coarse gelu: absolute error {error:.2g}")
show("  P", p)
