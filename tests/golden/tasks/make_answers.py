#!/usr/bin/env python3
"""Writes answers/: what transformers' pipeline answers by problem_type and the number of labels.

Two tiny random ViTs, of three labels and of one, and a picture. answers.json holds for each case
the config.json that stands beside the weights, and the score of every label by index.

usage: make_answers.py     needs torch, transformers, pillow
"""

import json
import os
import shutil
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor, pipeline  # noqa: E402

OUT = Path(__file__).resolve().parent / "answers"
PROBLEMS = [None, "single_label_classification", "multi_label_classification", "regression"]


def model_of(labels):
    config = ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
                       intermediate_size=16, image_size=16, patch_size=8, num_labels=labels,
                       id2label={i: f"label {i}" for i in range(labels)})
    torch.manual_seed(labels)
    model = ViTForImageClassification(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(OUT / "picture.png")
    processor = ViTImageProcessor(size={"height": 16, "width": 16})
    cases = []
    for labels, weights in [(3, "three"), (1, "one")]:
        model = model_of(labels)
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            processor.save_pretrained(folder)
            shutil.copy(Path(folder) / "model.safetensors", OUT / f"{weights}.safetensors")
            (OUT / "preprocessor_config.json").write_text(
                json.dumps(json.loads((Path(folder) / "preprocessor_config.json").read_text())))
            for problem in PROBLEMS:
                if labels == 1 and problem == "single_label_classification":
                    continue  # transformers refuses it
                config = json.loads((Path(folder) / "config.json").read_text())
                config.pop("problem_type", None)
                if problem is not None:
                    config["problem_type"] = problem
                (Path(folder) / "config.json").write_text(json.dumps(config))
                answer = pipeline("image-classification", model=folder, device="cpu", top_k=labels)
                scores = {entry["label"]: entry["score"]
                          for entry in answer(Image.open(OUT / "picture.png"))}
                cases.append({"weights": weights, "config": config,
                              "scores": [scores[f"label {i}"] for i in range(labels)]})
    (OUT / "answers.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
