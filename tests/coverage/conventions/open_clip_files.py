"""OpenCLIP's folders and files, of which the tower of pictures is compared: the projection that
encode_image() gives. OpenAI's own archives are in torchscript.py."""
import json

import torch
from PIL import Image

from common import classify, embed, folder, judge, randomise, seed_of
from conventions.shared import PICTURE, note, wanted

GROUP = "open_clip"
OWN = {"image_size": 64, "layers": 3, "width": 96, "head_width": 32, "patch_size": 16}
TEXT = {"context_length": 8, "vocab_size": 99, "width": 32, "heads": 2, "layers": 1}
PREPROCESS = {"mean": [0.48, 0.45, 0.40], "std": [0.26, 0.26, 0.27]}


def trunk(name, pool, proj):
    return {"image_size": 224, "timm_model_name": name, "timm_model_pretrained": False,
            "timm_pool": pool, "timm_proj": proj}


TOWERS = {
    "vit": OWN,
    "vit_quickgelu": OWN,
    "vit_pool_avg": {**OWN, "pool_type": "avg"},
    "vit_clipa": {**OWN, "pool_type": "avg", "no_ln_pre": True, "final_ln_after_pool": True},
    "vit_layer_scale": {**OWN, "ls_init_value": 0.1},
    "vit_timm_trunk": trunk("vit_small_patch16_224", "token", "linear"),
    "vit_timm_map": trunk("vit_small_patch16_224", "map", "none"),
    "vit_timm_eva": trunk("eva02_tiny_patch14_224", "token", None),
    "coca": {**OWN, "attentional_pool": True, "attn_pooler_heads": 4},
}


def build(label, vision):
    import open_clip
    return open_clip.CLIP(64, vision, TEXT, quick_gelu=label == "vit_quickgelu")


def pixels_of(size):
    from open_clip.transform import image_transform
    return image_transform(size, False, PREPROCESS["mean"], PREPROCESS["std"])(
        Image.open(PICTURE))[None]


def tokens_of(model, pixels):
    """Of a trunk of timm's, without its prefix."""
    with torch.inference_mode():
        trunk = model.visual.trunk
        return trunk.forward_features(pixels)[0, trunk.num_prefix_tokens:]


def cases():
    for label, vision in TOWERS.items():
        case = f"open_clip/{label}"
        if not wanted(case):
            continue
        model = randomise(build(label, vision), seed_of(case))
        pixels = pixels_of(vision["image_size"])
        with torch.inference_mode():
            reference = model.encode_image(pixels)[0]
        with folder(case) as path:
            torch.save(model.state_dict(), path / "open_clip_pytorch_model.bin")
            (path / "open_clip_config.json").write_text(json.dumps({
                "model_cfg": {"embed_dim": 64, "vision_cfg": vision, "text_cfg": TEXT,
                              "quick_gelu": label == "vit_quickgelu"},
                "preprocess_cfg": PREPROCESS}))
            for name, target in {case: path,
                                 case + "/file": path / "open_clip_pytorch_model.bin"}.items():
                if vision.get("timm_proj") == "none":  # nothing projects what the trunk pools
                    answer = embed(target, PICTURE, "patches")
                    ours, wanted_tokens = answer.values, tokens_of(model, pixels)
                    note(name, GROUP, *judge(answer, ours, wanted_tokens), answer)
                    continue
                answer = classify(target, PICTURE)
                ours = answer.top() if answer.rc == 0 else None
                note(name, GROUP, *judge(answer, ours, reference), answer)
