"""OpenCLIP: its own towers of pictures, beside a tower of texts, in the folder that it publishes. The
gradients have timm's names, under which Vitrail reads the tower."""

import json
import re

import open_clip
from safetensors.torch import save_file

from .recorder import ADAMW, Case

TEXT = {"context_length": 4, "vocab_size": 8, "width": 8, "heads": 1, "layers": 1}
NAMES = {
    "conv1": "patch_embed.proj", "class_embedding": "cls_token",
    "positional_embedding": "pos_embed", "ln_pre": "norm_pre", "ln_post": "norm",
    "attn.in_proj_": "attn.qkv.", "attn.out_proj": "attn.proj", "ln_1": "norm1", "ln_2": "norm2",
    "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2", "ls_1": "ls1", "ls_2": "ls2",
}


def timm_names(tensors, after_pooling):
    out = {}
    for name, tensor in tensors.items():
        if not name.startswith("visual."):
            continue
        name = name.removeprefix("visual.").replace("transformer.resblocks", "blocks")
        for theirs, timm in NAMES.items():
            name = re.sub(rf"(^|(?<=\.)){re.escape(theirs)}", timm, name)
        if after_pooling and name.startswith("norm."):
            name = "fc_" + name
        if name == "proj":
            name, tensor = "head.weight", tensor.T
        out[name] = tensor
    return out


def _case(name, faint=False, quick_gelu=False, added=(), **vision):
    vision = {"image_size": 12, "patch_size": 4, "width": 16, "head_width": 8, "layers": 2,
              "mlp_ratio": 2.0, **vision}
    model = open_clip.CLIP(6, vision, TEXT, quick_gelu=quick_gelu)
    size = vision["image_size"]
    height, width = size if isinstance(size, tuple) else (size, size)

    def write_config(folder):
        (folder / "open_clip_config.json").write_text(json.dumps({
            "model_cfg": {"embed_dim": 6, "quick_gelu": quick_gelu, "vision_cfg": vision,
                          "text_cfg": TEXT},
            "preprocess_cfg": {"mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28]}}, indent=1))

    return Case(
        family="open_clip", name=name, library=f"open_clip {open_clip.__version__}", model=model,
        picture=(3, height, width), blocks=lambda m: list(m.visual.transformer.resblocks),
        forward=lambda m, x: m.encode_image(x),
        to_file=lambda t: timm_names(t, vision.get("final_ln_after_pool", False)),
        write_weights=lambda folder, _: save_file(
            {n: t.contiguous() for n, t in model.state_dict().items()},
            folder / "open_clip_model.safetensors"),
        write_config=write_config, faint=faint, added=added,
        steps=0 if added else ADAMW["steps"])


def cases():
    yield _case("vit", faint=True)
    yield _case("quick_gelu", quick_gelu=True, ls_init_value=0.1, image_size=(8, 16))
    yield _case("pool_avg", pool_type="avg")
    # timm's form, in which it is read, has a bias where no norm follows the patches.
    yield _case("clipa", added=("patch_embed.proj.bias",), pool_type="avg", no_ln_pre=True,
                final_ln_after_pool=True, faint=True)
