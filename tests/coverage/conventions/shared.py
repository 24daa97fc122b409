"""What the files' parts share: the picture, records, models of timm and how a file is asked."""
import sys
from collections import OrderedDict

import argparse
import timm
import torch
from PIL import Image
from timm.data import create_transform

from common import SUSPECT, Records, classify, embed, judge, photo, randomise

PICTURE = photo(1)
records = Records("conventions")
only = sys.argv[1:]
# As timm's training script and many others keep the arguments of a run.
ARGS = argparse.Namespace(lr=0.1, model="vit_tiny_patch16_224", output_dir="out")


def wanted(case):
    return case not in records.done and (not only or any(o in case for o in only))


def note(case, group, verdict, error, answer, **more):
    records.add(case, group=group, verdict=verdict, rel=error, message=answer.message,
                notes=[l for l in answer.err.splitlines() if "note" in l or "warning" in l][:4],
                suspect=bool(error and error > SUSPECT), **more)


def prefixed(tensors, prefix):
    return OrderedDict((prefix + n, t.clone()) for n, t in tensors.items())


def optimizer_state(model):
    return {"state": {i: {"exp_avg": torch.zeros_like(p), "step": torch.tensor(1.0)}
                      for i, p in enumerate(list(model.parameters())[:9])},
            "param_groups": [{"lr": 1e-3, "params": list(range(9))}]}


def tiny(seed, name="vit_tiny_patch16_224", **kw):
    return randomise(timm.create_model(name, pretrained=False, **kw), seed)


def timm_pixels(model, cfg=None):
    cfg = cfg or timm.data.resolve_model_data_config(model)
    return create_transform(**cfg, is_training=False)(Image.open(PICTURE).convert("RGB"))[None]


def timm_reference(model, cfg=None):
    """Logits and tokens."""
    with torch.inference_mode():
        features = model.forward_features(timm_pixels(model, cfg))
        return model.forward_head(features)[0], features[0]


def ask_file(case, group, path, sets, reference, tokens=None):
    """Logits, or for a backbone its class token and patches."""
    if tokens is None:
        answer = classify(path, PICTURE, *sets)
        return note(case, group, *judge(answer, answer.top() if answer.rc == 0 else None,
                                        reference), answer)
    answer = embed(path, PICTURE, "patches", *sets)
    if answer.values is None:
        return note(case, group, *judge(answer, None, None), answer)
    patches = answer.values.reshape(-1, answer.values.shape[-1])
    verdict, error = judge(answer, patches, tokens[tokens.shape[0] - patches.shape[0]:])
    if verdict == "EQUAL" and tokens.shape[0] > patches.shape[0]:
        answer = embed(path, PICTURE, "class", *sets)
        v, e = judge(answer, answer.values, tokens[0])
        verdict, error = (v, e) if v != "EQUAL" else (verdict, max(error, e))
    note(case, group, verdict, error, answer)
