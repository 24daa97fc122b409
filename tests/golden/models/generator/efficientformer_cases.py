"""timm's EfficientFormer, shrunk. Its attention is of 49 tokens and eight heads whatever the width."""

import json

import timm
from timm.models._hub import save_config_for_hf

from .recorder import Case
from .softmax_rows import watch, watched, watching


def _tokens(output):
    return output.flatten(2).transpose(1, 2) if output.dim() == 4 else output


def _case(name, side, attention=False, weight_scale=1.0, **arguments):
    model = timm.create_model("efficientformer_l1", pretrained=False, in_chans=1, **arguments)
    blocks = lambda m: [b for s in m.stages for b in s.blocks if hasattr(b, "token_mixer")]

    def write_config(folder):
        path = folder / "config.json"
        save_config_for_hf(model, path, model_args={"in_chans": 1, **arguments})
        config = json.loads(path.read_text())
        config["pretrained_cfg"]["input_size"] = [1, side, side]  # what a model says that is for it
        path.write_text(json.dumps(config, indent=2) + "\n")

    watch([b.token_mixer for b in blocks(model) if hasattr(b.token_mixer, "qkv")])
    return Case(
        family="efficientformer", name=name, library=f"timm {timm.__version__}", model=model,
        picture=(1, side, side), blocks=blocks, stages=lambda m: [*list(m.stages)[:-1], m.norm],
        to_tokens=_tokens, attention=watched if attention else None,
        forward=watching(lambda m, x: m(x)), weight_scale=weight_scale,
        write_config=write_config)


def cases():
    yield _case("two_stages", 56, depths=(1, 2), embed_dims=(8, 8), num_vit=1, mlp_ratios=2,
                num_classes=5)
    yield _case("attention_alone", 28, attention=True, depths=(1,), embed_dims=(8,), num_vit=1,
                mlp_ratios=1.5, num_classes=5)
    yield _case("no_head_faint", 27, depths=(2,), embed_dims=(8,), num_vit=1, pool_size=5,
                mlp_ratios=2, num_classes=0, weight_scale=0.05)
