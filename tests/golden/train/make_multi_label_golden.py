#!/usr/bin/env python3
"""Writes multi_label.json: PyTorch's loss of labels of several classes a picture with its gradient,
and scikit-learn's logistic regression of each class.

usage: make_multi_label_golden.py     needs numpy, torch, scikit-learn
"""

import json
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

OUT = Path(__file__).resolve().parent / "multi_label.json"
PENALTY = 0.05


def main():
    rng = np.random.default_rng(7)
    pictures, width, classes = 60, 4, 3
    features = (rng.normal(size=(pictures, width)) * [1, 10, 0.1, 2] + [0, 3, 1, -5]).astype(
        np.float32)
    scaled = (features - features.mean(0)) / features.std(0)
    labels = (scaled @ rng.normal(size=(width, classes)) + rng.normal(size=(pictures, classes)) >
              0.4).astype(int)
    logits = torch.tensor(rng.normal(size=(pictures, classes)) * 3, dtype=torch.float64)
    logits = logits.float().double().requires_grad_()
    loss = torch.nn.BCEWithLogitsLoss()(logits, torch.tensor(labels, dtype=torch.float64))
    loss.backward()
    weights, biases = [], []
    for c in range(classes):
        fitted = LogisticRegression(C=1 / (pictures * PENALTY), tol=1e-10, max_iter=10000)
        fitted.fit(scaled.astype(np.float64), labels[:, c])
        weight = fitted.coef_[0] / features.astype(np.float64).std(0)
        weights.append(weight.tolist())
        biases.append(float(fitted.intercept_[0] - weight @ features.astype(np.float64).mean(0)))
    OUT.write_text(json.dumps({
        "features": features.tolist(), "labels": labels.tolist(),
        "logits": logits.tolist(), "loss": loss.item(), "gradient": logits.grad.tolist(),
        "penalty": PENALTY, "weights": weights, "biases": biases}) + "\n")


if __name__ == "__main__":
    main()
