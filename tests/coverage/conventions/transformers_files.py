"""transformers' folders and files: .bin, shards, half precision, wrappers' prefixes, old processors,
and without the config.json that the library writes."""
import argparse
import json
from collections import OrderedDict

import torch
import transformers as T
from safetensors.torch import save_file

from common import classify, embed, folder, judge, randomise, seed_of
from conventions.shared import PICTURE, note, prefixed, wanted
from hf_cases import C, R, V, ask, pixels, processor_for, reference_of

HF = {
    "vit": (lambda: T.ViTForImageClassification(C(T.ViTConfig, **V)), "vit"),
    "vit_base": (lambda: T.ViTModel(T.ViTConfig(**V)), "vit"),
    "deit_teacher": (lambda: T.DeiTForImageClassificationWithTeacher(C(T.DeiTConfig, **V)), "deit"),
    "dinov2": (lambda: T.Dinov2ForImageClassification(C(T.Dinov2Config, **R)), "dinov2"),
    "dinov2_swiglu_base": (lambda: T.Dinov2Model(T.Dinov2Config(**R, use_swiglu_ffn=True)),
                           "dinov2"),
    "dinov2_reg": (lambda: T.Dinov2WithRegistersForImageClassification(
        C(T.Dinov2WithRegistersConfig, **R)), "dinov2"),
}


def saved_names(model, path):
    """The state dict under the names that save_pretrained writes."""
    from safetensors.torch import load_file
    model.save_pretrained(path)
    tensors = load_file(path / "model.safetensors")
    (path / "model.safetensors").unlink()
    return tensors


def sharded_bin(tensors, path):
    names = list(tensors)
    half = len(names) // 2
    weight_map = {}
    for i, part in enumerate((names[:half], names[half:]), 1):
        file = f"pytorch_model-{i:05d}-of-00002.bin"
        torch.save({n: tensors[n].clone() for n in part}, path / file)
        weight_map.update({n: file for n in part})
    (path / "pytorch_model.bin.index.json").write_text(json.dumps(
        {"metadata": {"total_size": 1}, "weight_map": weight_map}))


def without(tensors, *prefixes):
    out = {}
    for n, t in tensors.items():
        for p in prefixes:
            if n.startswith(p):
                n = n[len(p):]
        out[n] = t.clone()
    return out


BASES = ("vit.", "deit.", "dinov2.", "dinov2_with_registers.")
HF_WAYS = {
    "bin": lambda m, p, t: torch.save({n: x.clone() for n, x in t.items()},
                                      p / "pytorch_model.bin"),
    "bin_legacy_serialization": lambda m, p, t: torch.save(
        {n: x.clone() for n, x in t.items()}, p / "pytorch_model.bin",
        _use_new_zipfile_serialization=False),
    "sharded_safetensors": lambda m, p, t: m.save_pretrained(p, max_shard_size="40KB"),
    "sharded_bin": lambda m, p, t: sharded_bin(t, p),
    "module_tree_names": lambda m, p, t: torch.save(m.state_dict(), p / "pytorch_model.bin"),
    "module_prefix": lambda m, p, t: torch.save(prefixed(t, "module."), p / "pytorch_model.bin"),
    "orig_mod_prefix": lambda m, p, t: torch.save(prefixed(t, "_orig_mod."),
                                                  p / "pytorch_model.bin"),
    "orig_mod_safetensors": lambda m, p, t: save_file(dict(prefixed(t, "_orig_mod.")),
                                                      p / "model.safetensors"),
    "lightning": lambda m, p, t: torch.save(
        {"epoch": 3, "global_step": 9, "pytorch-lightning_version": "2.4.0",
         "state_dict": prefixed(t, "model."), "optimizer_states": [], "callbacks": {},
         "hyper_parameters": {"lr": 1e-3}}, p / "last.ckpt"),
    "prefix_absent": lambda m, p, t: save_file(without(t, *BASES), p / "model.safetensors"),
    "trainer_folder": lambda m, p, t: (
        save_file(dict(t), p / "model.safetensors"),
        torch.save({"state": {0: {"exp_avg": torch.zeros(8, 8)}}}, p / "optimizer.pt"),
        torch.save(argparse.Namespace(lr=1), p / "training_args.bin"),
        torch.save({"last_epoch": 1}, p / "scheduler.pt"),
        (p / "trainer_state.json").write_text("{}")),
}


def cases():
    for name, (build, kind) in HF.items():
        for way, save in HF_WAYS.items():
            case = f"hf/{name}/{way}"
            if not wanted(case):
                continue
            with folder(case) as path:
                model = randomise(build(), seed_of(case))
                slow = processor_for(kind, 32)[1]
                kind_of, reference = reference_of(model, pixels(slow, PICTURE))
                tensors = saved_names(model, path)
                slow.save_pretrained(path)
                save(model, path, tensors)
                target = path / "last.ckpt" if (path / "last.ckpt").exists() else path
                verdict, error, answer = ask(target, PICTURE, kind_of, reference, model)
                note(case, "hf files", verdict, error, answer)
        for dtype in (torch.float16, torch.bfloat16, torch.float64):
            case = f"hf/{name}/{str(dtype)[6:]}"
            if not wanted(case):
                continue
            with folder(case) as path:
                model = randomise(build(), seed_of(case)).to(dtype)
                slow = processor_for(kind, 32)[1]
                model.save_pretrained(path)
                slow.save_pretrained(path)
                kind_of, reference = reference_of(model.float(), pixels(slow, PICTURE))
                verdict, error, answer = ask(path, PICTURE, kind_of, reference, model)
                note(case, "hf files", verdict, error, answer)
    # A base model under the classifier's prefix, and an old processor's file.
    case = "hf/vit_base/prefix_present"
    if wanted(case):
        with folder(case) as path:
            model = randomise(HF["vit_base"][0](), seed_of(case))
            slow = processor_for("vit", 32)[1]
            kind_of, reference = reference_of(model, pixels(slow, PICTURE))
            tensors = saved_names(model, path)
            save_file(dict(prefixed(tensors, "vit.")), path / "model.safetensors")
            slow.save_pretrained(path)
            note(case, "hf files", *ask(path, PICTURE, kind_of, reference, model))
    for label, old in {
        "feature_extractor_int_size": {
            "do_normalize": True, "do_resize": True, "feature_extractor_type": "ViTFeatureExtractor",
            "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "resample": 2, "size": 32},
        "no_type_at_all": {
            "do_normalize": True, "do_resize": True, "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5], "resample": 2, "size": 32},
        "processor_class_fast": {
            "do_normalize": True, "do_resize": True, "image_processor_type": "ViTImageProcessorFast",
            "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "resample": 2,
            "do_rescale": True, "rescale_factor": 1 / 255, "size": {"height": 32, "width": 32},
            "crop_size": None, "do_center_crop": None, "data_format": "channels_first",
            "device": None, "input_data_format": None, "return_tensors": None,
            "do_convert_rgb": None, "default_to_square": True},
    }.items():
        case = f"hf/vit/{label}"
        if not wanted(case):
            continue
        with folder(case) as path:
            model = randomise(HF["vit"][0](), seed_of(case))
            slow = processor_for("vit", 32)[1]
            kind_of, reference = reference_of(model, pixels(slow, PICTURE))
            model.save_pretrained(path)
            (path / "preprocessor_config.json").write_text(json.dumps(old))
            note(case, "hf files", *ask(path, PICTURE, kind_of, reference, model))
    # No config.json beside it: what would a user's own fields make of other families' files?
    for name, build in {
        "vit_msn": lambda: T.ViTMSNForImageClassification(C(T.ViTMSNConfig, **V)),
        "vit_mae": lambda: T.ViTMAEModel(T.ViTMAEConfig(**V, mask_ratio=0.0)),
        "ijepa": lambda: T.IJepaForImageClassification(C(T.IJepaConfig, **V)),
        "yolos": lambda: T.YolosModel(T.YolosConfig(
            **{**V, "image_size": [32, 32]}, num_detection_tokens=4,
            use_mid_position_embeddings=False)),
        "dpt_base": lambda: T.DPTModel(T.DPTConfig(**V)),
        "beit": lambda: T.BeitForImageClassification(C(
            T.BeitConfig, **V, use_absolute_position_embeddings=True)),
        "data2vec": lambda: T.Data2VecVisionModel(T.Data2VecVisionConfig(**V)),
        "pixio": lambda: T.PixioModel(T.PixioConfig(**R, n_cls_tokens=3)),
    }.items():
        case = f"hf/no_config/{name}"
        if not wanted(case):
            continue
        with folder(case) as path:
            model = randomise(build(), seed_of(case))
            slow = processor_for("vit", 32)[1]
            kind_of, reference = reference_of(model, pixels(slow, PICTURE))
            model.save_pretrained(path)
            (path / "config.json").unlink()
            sets = ["--set", "num_heads=4", "--set", f"eps={model.config.layer_norm_eps}",
                    "--set", "activation=gelu", "--set", "image_size=32", "--set", "mean=0.5",
                    "--set", "std=0.5", "--set", "interpolation=bilinear", "--set", "crop_pct=1",
                    "--set", "crop_mode=squash"]
            if kind_of == "logits":
                answer = classify(path, PICTURE, *sets)
                ours = answer.top() if answer.rc == 0 else None
            else:
                answer = embed(path, PICTURE, "patches", *sets)
                ours = None
                if answer.values is not None:
                    ours = answer.values.reshape(-1, answer.values.shape[-1])
                    reference = reference[reference.shape[0] - ours.shape[0]:]
            note(case, "hf without config", *judge(answer, ours, reference), answer)
