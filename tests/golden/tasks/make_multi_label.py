#!/usr/bin/env python3
"""Writes multi_label.json: scikit-learn's metrics of random multi-label answers.

usage: make_multi_label.py     needs numpy, scikit-learn
"""

import json
from pathlib import Path

import numpy as np
from sklearn.metrics import (accuracy_score, average_precision_score, f1_score, log_loss,
                             precision_score, recall_score)

OUT = Path(__file__).resolve().parent / "multi_label.json"


def case(seed, pictures, classes, threshold, ties):
    rng = np.random.default_rng(seed)
    truth = (rng.random((pictures, classes)) < 0.35).astype(int)
    logits = (rng.normal(size=(pictures, classes)) + 1.5 * truth - 0.7).astype(np.float32)
    if ties:  # few distinct scores
        logits = np.round(logits * 2) / 2
    truth[0] = 1  # every class has a picture
    truth[1] = 0  # which shows nothing
    probability = 1 / (1 + np.exp(-logits.astype(np.float64)))
    said = (probability >= threshold).astype(int)
    return {
        "threshold": threshold,
        "logits": logits.tolist(),
        "truth": truth.tolist(),
        "average_precision": average_precision_score(truth, logits, average=None).tolist(),
        "mean_average_precision": average_precision_score(truth, logits, average="macro"),
        "exact_match": accuracy_score(truth, said),
        "macro_f1": f1_score(truth, said, average="macro", zero_division=0),
        "micro_f1": f1_score(truth, said, average="micro", zero_division=0),
        "f1": f1_score(truth, said, average=None, zero_division=0).tolist(),
        "precision": [None if np.isnan(p) else p for p in precision_score(
            truth, said, average=None, zero_division=np.nan)],
        "recall": recall_score(truth, said, average=None, zero_division=0).tolist(),
        "loss": float(np.mean([log_loss(t, p, labels=[0, 1])
                               for t, p in zip(truth.T, probability.T)])),
    }


def main():
    cases = [case(1, 40, 5, 0.5, False), case(2, 60, 4, 0.5, True), case(3, 25, 7, 0.8, False),
             case(4, 12, 2, 0.3, True), case(5, 30, 3, 0.999, False)]
    OUT.write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()
