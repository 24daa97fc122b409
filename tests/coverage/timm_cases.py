"""timm: every name of vision_transformer and deit, and the smallest of each structural variant of
the other transformer-like modules, against `vitrail classify` / `embed` -> out/timm.jsonl."""
import copy
import json
import sys

import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_model_data_config
from timm.models._hub import save_config_for_hf, save_for_hf

from timm_scan import scan

from common import (SUSPECT, Records, classify, embed, folder, follow_advice, judge, photo,
                    randomise, relative, seed_of, truths_of)

WHOLE = {"vision_transformer", "deit"}  # modules of which every name runs
FULL_DEPTH = {"vit_base_patch16_224", "vit_base_patch16_clip_224", "vit_base_patch14_reg4_dinov2",
              "vit_base_patch16_siglip_224", "deit3_base_patch16_224"}
SHRINK_ABOVE, LARGEST = 25e6, 150e6  # parameters: depth 2 above the one, nothing above the other
# Not of the VisionTransformer's class, but with tensors that look like it: whole, since shapes that
# match a published architecture's settle what they should not.
ALIKE = ["vit_base_patch16_rope_224", "vit_base_patch16_rope_ape_224", "vit_base_patch16_dinov3",
         "vit_pe_core_base_patch16_224", "vit_pe_spatial_base_patch16_512"]
REPEAT_BELOW = 35e6  # a structure that ran already runs again under another name below this


RAN = set()


def selected():
    rows = scan()
    chosen, seen = [], {}
    for r in rows:
        if r["module"] in WHOLE:
            chosen.append(r)
    for r in sorted(rows, key=lambda r: r.get("params", 0)):
        if r["module"] in WHOLE:
            continue
        key = (r["module"], r.get("sig", r["name"]))
        if key not in seen:
            seen[key] = r
            chosen.append(r)
    return sorted(chosen, key=lambda r: r.get("params", 0))


def narrowed(name):
    """Of a giant: its heads, but 16 wide, and a picture of a few patches; the rest is its own."""
    with torch.device("meta"):
        model = timm.create_model(name, pretrained=False)
    heads, patch = model.blocks[0].attn.num_heads, model.patch_embed.patch_size[0]
    rest = model.pretrained_cfg["input_size"][-1] % patch  # so400m/14 at 384 has six pixels over
    return dict(depth=2, embed_dim=16 * heads, img_size=6 * patch + rest)


def build(row, whole=False, **extra):
    kwargs = dict(extra)
    name = row["name"]
    if not whole and "embed_dim" not in extra and row.get("params", 0) > SHRINK_ABOVE and row.get("depth") and name not in FULL_DEPTH:
        try:
            with torch.device("meta"):
                timm.create_model(name, pretrained=False, depth=2, **extra)
            kwargs["depth"] = 2
        except Exception:
            pass
    with torch.device("meta"):
        size = sum(p.numel() for p in timm.create_model(name, pretrained=False, **kwargs)
                   .parameters())
    key = (row["module"], row["sig"], bool(extra), whole)
    if size > LARGEST or (size > REPEAT_BELOW and "embed_dim" not in extra and key in RAN and name not in FULL_DEPTH):
        return None, kwargs, size
    RAN.add(key)
    return timm.create_model(name, pretrained=False, **kwargs), kwargs, size


def preprocess(model, picture):
    size = getattr(getattr(model, "patch_embed", None), "img_size", None)
    own = resolve_model_data_config(model)
    if size and model.pretrained_cfg.get("fixed_input_size"):
        own["input_size"] = (own["input_size"][0], *size)
    transform = create_transform(**own, is_training=False)
    return transform(Image.open(picture).convert("RGB")).unsqueeze(0)


@torch.no_grad()
def nudged(model, seed):
    """A copy whose every weight is one float32 further up or down."""
    copied = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    for weight in copied.parameters():
        up = torch.randint(0, 2, weight.shape, generator=generator) * 2 - 1
        weight.copy_(torch.nextafter(weight, up * torch.full_like(weight, torch.inf)))
    return copied


def as_close_as_itself(model, x, answer):
    """Where random weights saturate one softmax after another, roundings grow from block to block,
    and the library's own float32 is as far from float64. One run of it may be close by luck: its
    error is the largest of five, four of which have weights a rounding away. That error, when ours
    is at most three times as large; else nothing."""
    pick = lambda y: (y[0] if isinstance(y, (tuple, list)) else y)[0]
    exact = pick(copy.deepcopy(model).double()(x.double()))
    own = max(relative(pick(alike(x)), exact)
              for alike in [model, *(nudged(model, seed) for seed in range(4))])
    return own if relative(answer.top(), exact) <= 3 * own else None


def refused_by_name(row, kwargs, path):
    """The answer to a folder of a model that is too large to be compared: its configuration, its
    tensors' names and shapes, and zeros, which take no room on the disk."""
    with torch.device("meta"):
        model = timm.create_model(row["name"], pretrained=False, **kwargs)
    save_config_for_hf(model, path / "config.json")
    header, at = {}, 0
    for name, tensor in model.state_dict().items():
        bytes_ = tensor.numel() * 4
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, at + bytes_]}
        at += bytes_
    text = json.dumps(header).encode()
    with (path / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + at)
    return classify(path, photo(1)) if model.num_classes > 0 else embed(path, photo(1), "patches")


def compare(model, path, picture):
    """verdict, error, answer, how, reference."""
    head = model.num_classes > 0
    answer = (classify(path, picture) if head else embed(path, picture, "patches"))
    if answer.rc != 0:
        return (*judge(answer, None, None), answer, "classify" if head else "embed", None)
    x = preprocess(model, picture)
    with torch.inference_mode():
        features = model.forward_features(x)
        reference = model.forward_head(features) if head else None
    if head:
        if isinstance(reference, (tuple, list)):
            reference = reference[0]
        verdict, error = judge(answer, answer.top(), reference[0])
        if verdict == "WRONG":
            with torch.no_grad():
                own = as_close_as_itself(model, x, answer)
            if own is not None:
                how = f"classify, as close to float64 as the library: {own:.1e}"
                return "EQUAL", error, answer, how, reference[0]
        return verdict, error, answer, "classify", reference[0]
    # No head: tokens after the final norm.
    if isinstance(features, torch.Tensor) and features.ndim == 3:
        prefix = getattr(model, "num_prefix_tokens", 0)
        verdict, error = judge(answer, answer.values, features[0, prefix:])
        if verdict == "EQUAL" and getattr(model, "cls_token", None) is not None:
            token = embed(path, picture, "class")
            v2, e2 = judge(token, token.values, features[0, 0])
            if v2 != "EQUAL":
                return v2, e2, token, "embed class", features[0]
            error = max(error, e2)
        return verdict, error, answer, "embed", features[0]
    if features.shape[-1] != model.num_features:  # channels first
        features = features.permute(0, 2, 3, 1)
    return (*judge(answer, answer.values, features), answer, "embed of a feature map", features[0])


def reference_of(model, picture):
    """Logits, or tokens without their prefix."""
    x = preprocess(model, picture)
    with torch.inference_mode():
        features = model.forward_features(x)
        if model.num_classes > 0:
            return model.forward_head(features)[0]
        return features[0, getattr(model, "num_prefix_tokens", 0):]


def advised(model, path, picture, answer, fields):
    """Where a refusal asks for fields, they are given, rightly: does an answer come, and which?"""
    if "say --set" not in answer.message:
        return
    head = model.num_classes > 0
    try:
        truths = truths_of(model, resolve_model_data_config(model))
        last, sets = follow_advice(
            lambda more: classify(path, picture, *more) if head
            else embed(path, picture, "patches", *more), answer, truths)
        fields["advice"] = sets
        if last.rc == 0:
            ours = last.top() if head else last.values
            fields["advice_verdict"], fields["advice_rel"] = judge(
                last, ours, reference_of(model, picture))
        else:
            fields["advice_verdict"] = "CRASH" if last.crashed else "REFUSED"
            fields["advice_message"] = last.message
    except Exception as error:
        fields["advice_verdict"] = f"HARNESS {type(error).__name__}: {error}"[:200]


def run_one(records, row, suffix="", **extra):
    name = row["name"]
    case = name + suffix
    if case in records.done:
        return
    fields = {"module": row["module"], "name": name, "params": row.get("params"),
              "cls": row.get("cls")}
    try:
        model, kwargs, size = build(row, suffix == "@whole", **extra)
    except Exception as error:
        records.add(case, verdict="UNBUILT", message=f"{type(error).__name__}: {error}"[:200],
                    **fields)
        return
    fields.update(kwargs={k: v for k, v in kwargs.items()}, built=size)
    if model is None:
        verdict, message = "SKIPPED", f"{size / 1e6:.0f} M parameters"
        if row["module"] not in WHOLE and size > LARGEST:
            with folder(case) as path:
                answer = refused_by_name(row, kwargs, path)
            if answer.rc != 0:
                verdict, message = judge(answer, None, None)[0], answer.message
        records.add(case, verdict=verdict, message=message, **fields)
        return
    picture = photo(1)
    try:
        with folder(case) as path:
            randomise(model, seed_of(case))
            try:
                save_for_hf(model, path, safe_serialization=True)
            except RuntimeError:  # tensors that share memory
                save_for_hf(model, path, safe_serialization=False)
            verdict, error, answer, how, reference = compare(model, path, picture)
            fields.update(how=how, message=answer.message)
            if verdict == "REFUSED":
                advised(model, path, picture, answer, fields)
            if verdict in ("EQUAL", "WRONG"):  # does the answer depend on the picture at all?
                with torch.inference_mode():
                    other = model.forward_features(preprocess(model, photo(2)))
                    if model.num_classes > 0:
                        other = model.forward_head(other)
                fields["sens"] = relative(other[0], reference)
            if verdict == "EQUAL":
                randomise(model, seed_of(case) + 1, faint=True)
                save_for_hf(model, path, safe_serialization=True)
                v2, e2, answer2, *_ = compare(model, path, picture)
                fields["rel_faint"] = e2
                if v2 != "EQUAL":
                    verdict, error = v2, e2
                    fields["message"] = "faint pass: " + answer2.message
                elif max(error, e2) > SUSPECT:
                    fields["suspect"] = True
            records.add(case, verdict=verdict, rel=error, **fields)
    except Exception as error:
        fields["message"] = f"{type(error).__name__}: {error}"[:300]
        records.add(case, verdict="HARNESS", **fields)


def main():
    records = Records("timm")
    rows = selected()
    only = sys.argv[1:]
    for row in rows:
        if only and not any(o in row["name"] for o in only):
            continue
        run_one(records, row)
        if row.get("classes") == 0 and row["module"] in WHOLE | {"eva"}:
            run_one(records, row, "+head", num_classes=7)
    every = {r["name"]: r for r in scan()}
    for name in ALIKE:
        if not only or any(o in name for o in only):
            run_one(records, every[name], "@whole")
    skipped = {r["name"] for r in Records("timm").rows if r["verdict"] == "SKIPPED"}
    for row in rows:
        if row["name"] in skipped and row["module"] in WHOLE and (
                not only or any(o in row["name"] for o in only)):
            try:
                extra = narrowed(row["name"])
            except Exception:
                continue
            run_one(records, row, "@narrow", **extra)


if __name__ == "__main__":
    main()
